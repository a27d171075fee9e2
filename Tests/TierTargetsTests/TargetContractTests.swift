import Testing
import TierCore
import TierLinux
import TierTestSupport

@testable import TierTargets

/// What `Target` promises besides archiving, for every kind.
@Suite struct TargetContractTests {
  // MARK: Connecting

  @Test(arguments: TargetKind.all)
  func connectingPreparesAFreshTarget(_ kind: TargetKind) throws {
    let bench = try kind.make()
    for _ in 0..<2 { try bench.withSession { _ in } }
    #expect(try bench.nas.text(".tierd/format") == "tierd target format 1\n")
    #expect(try bench.nas.status(of: TargetLayout.temporary, at: "test")?.kind == .directory)
    #expect(try bench.nasTree() == [])
  }

  @Test(arguments: TargetKind.all)
  func aNewerTargetIsRefusedUntouched(_ kind: TargetKind) throws {
    let bench = try kind.make()
    try bench.nas.write(Array("tierd target format 2\nunknown\n".utf8), to: TargetLayout.format)
    let before = try bench.nas.status(of: TargetLayout.folder, at: "test")
    let error = #expect(throws: TierError.self) { try bench.target.connect() }
    #expect(error?.code == .unsupported)
    #expect(error?.message.contains("upgrade tierd") == true)
    #expect(try bench.nas.list(TargetLayout.folder, at: "test").map(\.name.description) == ["format"])
    #expect(try bench.nas.status(of: TargetLayout.folder, at: "test")?.modified == before?.modified)
  }

  @Test(arguments: TargetKind.all)
  func aStrangeFormatFileIsRefusedUntouched(_ kind: TargetKind) throws {
    let bench = try kind.make()
    try bench.nas.write(Array("shopping list".utf8), to: TargetLayout.format)
    let error = #expect(throws: TierError.self) { try bench.target.connect() }
    #expect(error?.code == .corruptRecord)
    #expect(try bench.nas.list(TargetLayout.folder, at: "test").map(\.name.description) == ["format"])
  }

  /// Else the cache would be archived onto whatever lies under a mount point that is empty today.
  @Test(arguments: TargetKind.all)
  func aTargetThatLostItsFormatIsNotPreparedAnew(_ kind: TargetKind) throws {
    let bench = try kind.make()
    try bench.withSession { _ in }
    try bench.nas.unlink(TargetLayout.format, at: "test")
    let error = #expect(throws: TierError.self) { try bench.target.connect() }
    #expect(error?.code == .targetUnreachable)
    #expect(try bench.nas.status(of: TargetLayout.format, at: "test") == nil)
  }

  @Test(arguments: TargetKind.all)
  func closingTwiceIsClosing(_ kind: TargetKind) throws {
    let bench = try kind.make()
    let session = try bench.target.connect()
    session.close()
    session.close()
    #expect(throws: TierError.self) { try session.status(of: ["a"]) }
    try bench.withSession { _ in }
  }

  // MARK: Looking

  @Test(arguments: TargetKind.all)
  func statusTellsWhatStandsThere(_ kind: TargetKind) throws {
    let bench = try kind.make()
    let time = FileTime(seconds: 1_500_000_000, nanoseconds: 250_000_000)
    try bench.nas.write(noise(1234), to: "volume/d/file", modified: time)
    try bench.nas.write([], to: "volume/d/\u{1}\n", modified: time)
    try bench.nas.makeSymlink("volume/link", to: Array("d/file".utf8), at: "test")
    let paths: [RelativePath] = [
      "volume/d/file", "volume/none", "volume/d", "none/none", "volume/d/file/below", "volume/link",
      "volume/d/\u{1}\n",
    ]
    let seen = try bench.withSession { try $0.status(of: paths) }
    try #require(seen.count == paths.count)
    #expect(seen[0]?.matches(TargetStatus(size: 1234, modified: time)) == true)
    #expect(seen[1] == nil && seen[3] == nil && seen[4] == nil)
    #expect(seen[2]?.isRegular == false && seen[5]?.isRegular == false)
    #expect(seen[6]?.size == 0 && seen[6]?.isRegular == true)
  }

  @Test(arguments: TargetKind.all)
  func listingShowsEverythingButTheNASsOwnFolders(_ kind: TargetKind) throws {
    let bench = try kind.make()
    for name in ArchivingContractTests.hostileNames {
      try bench.nas.write(noise(3), to: RelativePath("volume/l").appending(FileName(trusted: name)))
    }
    for name in ["@eaDir", "#recycle", "#snapshot", "folder"] {
      try bench.nas.makeDirectories(RelativePath("volume/l/\(name)/x")!)
    }
    let (entries, none) = try bench.withSession { session in
      (try session.list("volume/l"), try session.list("volume/none"))
    }
    #expect(none.isEmpty)
    #expect(
      Set(entries.map(\.name.bytes)) == Set(ArchivingContractTests.hostileNames + [Array("folder".utf8)]))
    #expect(entries.count == ArchivingContractTests.hostileNames.count + 1)
    for entry in entries { #expect(entry.isDirectory == (entry.name.description == "folder")) }
    for entry in entries where !entry.isDirectory {
      #expect(entry.status.isRegular && entry.status.size == 3)
    }
  }

  // MARK: Reading

  @Test(arguments: TargetKind.all)
  func fetchingAndHashingGiveTheWholeContent(_ kind: TargetKind) throws {
    let bench = try kind.make()
    let sizes = [0, 1, 70_000, (1 << 20) + 5, 5 << 20]
    let paths = sizes.map { RelativePath("volume/-f\n\($0) *")! }
    for (path, size) in zip(paths, sizes) { try bench.nas.write(noise(size), to: path) }
    try bench.withSession { session in
      let downloads = try zip(paths, sizes).map { try bench.download($0, size: $1) }
      let lost = try bench.download("volume/lost", size: 10)
      let outcomes = try bench.fetch(downloads + [lost], session)
      for (index, size) in sizes.enumerated() {
        guard case .fetched(let hash, let fetched) = outcomes[index] else {
          throw Unexpected("\(outcomes[index])")
        }
        #expect(hash == sha256(noise(size)) && fetched == Int64(size))
        let name = RelativePath(
          Array(downloads[index].destinationPath.dropFirst(bench.volume.rootPath.count + 1)))!
        #expect(try bench.volume.read(name) == noise(size))
      }
      guard case .missing = outcomes.last else { throw Unexpected("\(outcomes)") }

      let hashes = try bench.hash(paths + ["volume/lost"], session)
      for (index, size) in sizes.enumerated() {
        guard case .hashed(let hash, let hashed) = hashes[index] else { throw Unexpected("\(hashes[index])") }
        #expect(hash == sha256(noise(size)) && hashed == Int64(size))
      }
      guard case .missing = hashes.last else { throw Unexpected("\(hashes)") }
    }
  }

  /// The caller compares: a copy that changed comes as it is, with its real size.
  @Test(arguments: TargetKind.all)
  func aCopyOfAnotherSizeIsFetchedAsItIs(_ kind: TargetKind) throws {
    let bench = try kind.make()
    try bench.nas.write(noise(999), to: "volume/a")
    try bench.withSession { session in
      guard
        case .fetched(let hash, let size) = try bench.fetch([bench.download("volume/a", size: 5)], session)[0]
      else { throw Unexpected("not fetched") }
      #expect(hash == sha256(noise(999)) && size == 999)
    }
  }

  // MARK: Moving

  static let trash: RelativePath = ".tierd/trash/20261123/volume/d/a*[1]"

  @Test(arguments: TargetKind.all)
  func aCopyMovesToTheTrash(_ kind: TargetKind) throws {
    let bench = try kind.make()
    try bench.nas.write(Array("x".utf8), to: "volume/d/a*[1]")
    try bench.nas.write(Array("y".utf8), to: "volume/d/ab1")
    try bench.withSession { session in
      let expected = try #require(try session.status(of: ["volume/d/a*[1]"])[0])
      #expect(try session.move("volume/d/a*[1]", to: Self.trash, expected: expected) == .done)
      // A crash may make the caller ask again.
      #expect(try session.move("volume/d/a*[1]", to: Self.trash, expected: expected) == .done)
    }
    #expect(try bench.nas.text(Self.trash.escaped) == "x")
    #expect(try bench.nas.status(of: "volume/d/a*[1]", at: "test") == nil)
    #expect(try bench.nas.text("volume/d/ab1") == "y")
  }

  @Test(arguments: TargetKind.all)
  func nothingMovesThatIsNotWhatWasExpected(_ kind: TargetKind) throws {
    let bench = try kind.make()
    try bench.nas.write(Array("edited".utf8), to: "volume/d/a*[1]")
    let other = TargetStatus(size: 3, modified: FileTime(seconds: 1_600_000_000, nanoseconds: 5))
    try bench.withSession { session throws in
      #expect(try session.move("volume/d/a*[1]", to: Self.trash, expected: other) == .conflict)
      #expect(try session.move("volume/d/none", to: Self.trash, expected: other) == .missing)
      #expect(try session.move("none/none", to: Self.trash, expected: other) == .missing)
    }
    #expect(try bench.nasTree() == ["volume/", "volume/d/", "volume/d/a*[1]"])
  }

  @Test(arguments: TargetKind.all)
  func nothingIsReplacedByAMove(_ kind: TargetKind) throws {
    let bench = try kind.make()
    try bench.nas.write(Array("new".utf8), to: "volume/d/a*[1]")
    try bench.nas.write(Array("trashed before".utf8), to: Self.trash)
    try bench.withSession { session in
      let expected = try #require(try session.status(of: ["volume/d/a*[1]"])[0])
      #expect(try session.move("volume/d/a*[1]", to: Self.trash, expected: expected) == .conflict)
    }
    #expect(try bench.nas.text(Self.trash.escaped) == "trashed before")
    #expect(try bench.nas.text("volume/d/a*[1]") == "new")
  }

  @Test(arguments: TargetKind.all)
  func renamingWorksOrIsSaidNotTo(_ kind: TargetKind) throws {
    let bench = try kind.make()
    try bench.nas.write(Array("x".utf8), to: "volume/old/name")
    let outcome = try bench.withSession { session in
      let expected = try #require(try session.status(of: ["volume/old/name"])[0])
      return try session.move("volume/old/name", to: "volume/new/place/name 2", expected: expected)
    }
    if bench.target.properties.renames {
      #expect(outcome == .done)
      #expect(try bench.nas.text("volume/new/place/name 2") == "x")
      #expect(try bench.nas.status(of: "volume/old/name", at: "test") == nil)
    } else {
      #expect(outcome == .unsupported)
      #expect(try bench.nas.text("volume/old/name") == "x")
    }
  }

  // MARK: Removing

  @Test(arguments: TargetKind.all)
  func onlyTierdsOwnFilesAreRemoved(_ kind: TargetKind) throws {
    let bench = try kind.make()
    try bench.nas.write(noise(5), to: Self.trash)
    try bench.nas.write(noise(5), to: ".tierd/trash/20261123/volume/d/ab1")
    try bench.nas.write(noise(5), to: "volume/a")
    try bench.withSession { session in
      try session.remove(Self.trash)
      try session.remove(Self.trash)
      try session.remove(".tierd/trash/none/none")
      #expect(try bench.nas.status(of: Self.trash, at: "test") == nil)
      #expect(try bench.nas.read(".tierd/trash/20261123/volume/d/ab1") == noise(5))
      for path: RelativePath in ["volume/a", ".tierd", ".", ".tierdx/a"].compactMap({ RelativePath($0) }) {
        #expect(throws: TierError.self) { try session.remove(path) }
      }
    }
    #expect(try bench.nas.read("volume/a") == noise(5))
  }

  @Test(arguments: TargetKind.all)
  func emptyDirectoriesGoUpToTheFirstThatIsNot(_ kind: TargetKind) throws {
    let bench = try kind.make()
    try bench.nas.write(noise(5), to: "volume/kept/file")
    try bench.nas.makeDirectories("volume/kept/a*[1]/b/c")
    try bench.nas.write(noise(5), to: "volume/kept/a*[1]/b/@eaDir/thumb/x.jpg")
    try bench.nas.makeDirectories("volume/kept/ab1/b/c")
    try bench.withSession { session in
      try session.pruneEmptyDirectories(from: "volume/kept/a*[1]/b/c")
      try session.pruneEmptyDirectories(from: "volume/none/at/all")
      try session.pruneEmptyDirectories(from: "volume/kept")
    }
    #expect(
      try bench.nasTree() == [
        "volume/", "volume/kept/", "volume/kept/ab1/", "volume/kept/ab1/b/", "volume/kept/ab1/b/c/",
        "volume/kept/file",
      ])
  }

  @Test(arguments: TargetKind.all)
  func pruningNeverTakesWhatTierdNeeds(_ kind: TargetKind) throws {
    let bench = try kind.make()
    try bench.nas.makeDirectories(".tierd/trash/20261123/volume")
    try bench.withSession { session in
      try session.pruneEmptyDirectories(from: ".tierd/trash/20261123/volume")
      try session.pruneEmptyDirectories(from: TargetLayout.temporary)
      #expect(try bench.nas.status(of: ".tierd/trash/20261123", at: "test") == nil)
      #expect(try bench.nas.status(of: TargetLayout.temporary, at: "test") != nil)
      // And the session goes on.
      #expect(try bench.archive([.init(upload: bench.upload("a", noise(5)))], session)[0].isPublished)
    }
  }

  // MARK: Records

  @Test(arguments: TargetKind.all)
  func recordsAreWrittenReplacedAndRead(_ kind: TargetKind) throws {
    let bench = try kind.make()
    let path: RelativePath = ".tierd/manifest/volume/2026-11.jsonl"
    try bench.withSession { session throws in
      #expect(try session.readRecord(path, limit: 100) == nil)
      try session.writeRecord(noise(50), to: path)
      #expect(try session.readRecord(path, limit: 100) == noise(50))
      try session.writeRecord(noise(90_000, seed: 3), to: path)
      #expect(try session.readRecord(path, limit: 90_000) == noise(90_000, seed: 3))
      // The same length within the same second.
      try session.writeRecord(noise(90_000, seed: 4), to: path)
      #expect(try session.readRecord(path, limit: 90_000) == noise(90_000, seed: 4))
      try session.writeRecord([], to: path)
      #expect(try session.readRecord(path, limit: 0) == [])
      try session.writeRecord(noise(11), to: path)
    }
    let error = #expect(throws: TierError.self) {
      try bench.withSession { try $0.readRecord(path, limit: 10) }
    }
    #expect(error?.code == .corruptRecord)
    #expect(try bench.nasTree() == [".tierd/manifest/volume/", ".tierd/manifest/volume/2026-11.jsonl"])
  }
}
