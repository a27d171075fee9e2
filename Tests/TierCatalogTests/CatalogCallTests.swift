import Testing
import TierCore
import TierLinux
import TierTestSupport

@testable import TierCatalog

@Suite struct CatalogDirectoryTests {
  let fixture: CatalogFixture
  var catalog: SQLiteCatalog { fixture.catalog }
  var volume: VolumeID { fixture.volume.id }
  var root: DirectoryID { fixture.volume.root }

  init() throws { fixture = try CatalogFixture() }

  @Test func volumesKeepTheirState() throws {
    #expect(fixture.volume.epoch == Epoch(0) && fixture.volume.scan.isNeeded)
    let state = ScanState(
      isNeeded: false, resumeAfter: RelativePath([0xFF, 0x2F, 0x0A]), lastCompleted: Timestamp(seconds: 9),
      reason: "overflow")
    try catalog.setScanState(state, of: volume)
    try catalog.setEpoch(Epoch(7), of: volume)
    try fixture.reopen()
    let again = try catalog.openVolume(named: "photos")
    #expect(again == CatalogVolume(id: volume, root: root, epoch: Epoch(7), scan: state))
    let other = try catalog.openVolume(named: "films")
    #expect(other.id != volume && other.root != root)
    #expect(throws: TierError.self) { try catalog.setEpoch(Epoch(1), of: VolumeID(77)) }
    #expect(throws: TierError.self) { try catalog.setScanState(state, of: VolumeID(77)) }
  }

  @Test func refusesAnOlderEpoch() throws {
    try catalog.setEpoch(Epoch(7), of: volume)
    try catalog.setEpoch(Epoch(7), of: volume)
    let error = #expect(throws: TierError.self) { try catalog.setEpoch(Epoch(6), of: volume) }
    #expect(error?.message.contains("newer owner (epoch 7, this is 6)") == true)
    #expect(throws: TierError.self) { try catalog.begin([intent(epoch: 6)]) }
    #expect(try catalog.begin([intent(epoch: 7)]).count == 1)
  }

  @Test func makesParentsAndFindsThem() throws {
    let path = RelativePath(Array("a/".utf8) + [0xFE, 0x0A] + Array("/-c".utf8))!
    let made = try catalog.makeDirectory(at: path, inode: .max, in: volume)
    #expect(try catalog.makeDirectory(at: path, inode: .max, in: volume) == made)
    #expect(try catalog.directory(at: path, in: volume) == made)
    #expect(try catalog.path(of: made) == path)
    #expect(try catalog.directories(withInode: .max, in: volume).map(\.id) == [made])
    #expect(try catalog.directory(at: .root, in: volume) == root)
    #expect(try catalog.path(of: root) == .root)
    #expect(try catalog.makeDirectory(at: .root, inode: 2, in: volume) == root)
    #expect(try catalog.directories(withInode: 2, in: volume).first?.id == root)
    #expect(try catalog.children(of: root).directories.map(\.name) == [FileName("a")!])
    #expect(try catalog.directory(at: RelativePath("a/b")!, in: volume) == nil)
    #expect(try catalog.path(of: DirectoryID(12345)) == nil)
    #expect(throws: TierError.self) { try catalog.makeDirectory(at: path, inode: 1, in: VolumeID(9)) }
  }

  @Test func aRenamedDirectoryTakesEverythingAlong() throws {
    let deep = try catalog.makeDirectory(at: RelativePath("a/b/c")!, inode: 3, in: volume)
    let file = try fixture.put(fixture.file("f", in: deep))
    let a = try #require(try catalog.directory(at: RelativePath("a")!, in: volume))
    let other = try catalog.makeDirectory(at: RelativePath("x/y")!, inode: 4, in: volume)
    try catalog.apply([.moveDirectory(a, to: other, name: FileName("z")!)])
    #expect(try catalog.path(of: deep) == RelativePath("x/y/z/b/c"))
    #expect(try catalog.file(#require(file.id)) == file)
    #expect(try catalog.files(below: other, after: nil, limit: 9) == [file])
    #expect(throws: TierError.self) {
      try catalog.apply([.moveDirectory(other, to: deep, name: FileName("n")!)])
    }
    #expect(throws: TierError.self) { try catalog.apply([.moveDirectory(root, to: a, name: FileName("n")!)]) }
    let films = try catalog.openVolume(named: "films")
    #expect(throws: TierError.self) {
      try catalog.apply([.moveDirectory(a, to: films.root, name: FileName("n")!)])
    }
    #expect(try catalog.path(of: deep) == RelativePath("x/y/z/b/c"))
  }

  @Test func directoriesSwapNames() throws {
    let one = try catalog.makeDirectory(at: RelativePath("one")!, inode: 1, in: volume)
    let two = try catalog.makeDirectory(at: RelativePath("two")!, inode: 2, in: volume)
    try fixture.put(fixture.file("f", in: one))
    try fixture.put(fixture.file("g", in: two))
    #expect(throws: TierError.self, "two isn't empty and has no new place") {
      try catalog.apply([.moveDirectory(one, to: root, name: FileName("two")!)])
    }
    try catalog.apply([
      .moveDirectory(one, to: root, name: FileName("two")!),
      .moveDirectory(two, to: root, name: FileName("one")!),
    ])
    #expect(try catalog.path(of: one) == RelativePath("two"))
    #expect(try catalog.path(of: two) == RelativePath("one"))
  }

  /// Deeper than SQLite's limits on triggers and cascades.
  @Test func goesAsDeepAsPathsDo() throws {
    let path = RelativePath(Array(repeatElement("d", count: 2000).joined(separator: "/").utf8))!
    let deepest = try catalog.makeDirectory(at: path, inode: 1, in: volume)
    try fixture.put(fixture.file("f", in: deepest))
    let top = try #require(try catalog.directory(at: RelativePath("d")!, in: volume))
    #expect(try catalog.totals(below: top).resident.files == 1)
    #expect(try catalog.path(of: deepest) == path)
    try catalog.apply([.forgetDirectory(top)])
    #expect(try catalog.path(of: deepest) == nil)
    #expect(try catalog.totals(of: volume) == VolumeTotals())
  }

  @Test func forgetsADirectoryOnlyWhenItsCopiesAreKnown() throws {
    let directory = try catalog.makeDirectory(at: RelativePath("a/b")!, inode: 3, in: volume)
    let file = try fixture.put(fixture.file("f", in: directory).archived())
    let error = #expect(throws: TierError.self) { try catalog.apply([.forgetDirectory(directory)]) }
    #expect(error?.path == "f")
    let removal = Removal(
      stage: .pending, volume: volume, path: RelativePath("a/b/f")!, copy: try #require(file.copy),
      removedAt: Timestamp(seconds: 1), expires: Timestamp(seconds: 2))
    try catalog.apply([.putRemoval(removal), .forgetDirectory(directory)])
    #expect(try catalog.file(#require(file.id)) == nil)
    try catalog.apply([.forgetDirectory(directory)])
    #expect(throws: TierError.self) { try catalog.apply([.forgetDirectory(root)]) }
  }

  private func intent(epoch: Int64) -> Intent {
    Intent(
      kind: .archive, epoch: Epoch(epoch), volume: volume, file: nil, path: RelativePath("a")!, target: "nas",
      targetPath: RelativePath("photos/a")!, archiveID: .random(), begun: Timestamp(seconds: 1))
  }
}

@Suite struct CatalogFileTests {
  let fixture: CatalogFixture
  var catalog: SQLiteCatalog { fixture.catalog }

  init() throws { fixture = try CatalogFixture() }

  @Test func keepsEveryField() throws {
    var file = fixture.file("x").archived(.awaiting(instance: .max), release: 8)
    file.name = FileName([0xFF, 0x0A, 0x2D])!
    file.version = FileVersion(
      inode: .max, size: .max, modified: FileTime(seconds: .min, nanoseconds: 999_999_999),
      changed: FileTime(seconds: .max, nanoseconds: 0))
    file.links = .max
    file.allocated = .max
    file.firstSeen = .distantPast
    file.lastUsed = .distantFuture
    file.archiveDue = Timestamp(seconds: 1)
    file.archiveBy = .distantFuture
    file.pinnedUntil = .distantFuture
    file.heldReason = "öffen\0\n"
    file.retryAt = Timestamp(seconds: 3)
    file.isLost = true
    file.copy?.path = RelativePath([0x80, 0x2F, 0x09])!
    let put = try fixture.put(file)
    file.id = put.id
    #expect(put == file)
    try fixture.reopen()
    #expect(try catalog.file(#require(file.id)) == file)
    #expect(try catalog.files(withInode: .max, in: file.volume) == [file])
    #expect(try catalog.files(withArchiveID: #require(file.copy?.archiveID)) == [file])

    var plain = fixture.file("x")
    plain.id = file.id
    try catalog.apply([.put(plain)])
    #expect(try catalog.file(#require(file.id)) == plain)
  }

  @Test func aNewFileReplacesTheOneOfItsName() throws {
    let old = try fixture.put(fixture.file("a"))
    let new = try fixture.put(fixture.file("a").governed(due: 5))
    #expect(new.id != old.id)
    #expect(try catalog.file(#require(old.id)) == nil)
    var renamed = try fixture.put(fixture.file("b"))
    renamed.name = FileName("a")!
    try catalog.apply([.put(renamed)])
    #expect(try catalog.children(of: renamed.directory).files == [renamed])
  }

  @Test func filesSwapNames() throws {
    var one = try fixture.put(fixture.file("one"))
    var two = try fixture.put(fixture.file("two").archived())
    swap(&one.name, &two.name)
    try catalog.apply([.put(one), .put(two)])
    #expect(try Set(catalog.children(of: one.directory).files) == [one, two])
  }

  @Test func isAllOrNothing() throws {
    let kept = try fixture.put(fixture.file("kept"))
    var gone = fixture.file("gone")
    gone.id = FileID(4711)
    let error = #expect(throws: TierError.self) {
      try catalog.apply([.forget(kept.id!), .put(fixture.file("new")), .put(gone)])
    }
    #expect(error?.code == .notFound)
    #expect(try catalog.children(of: kept.directory).files == [kept])
    try catalog.apply([.forget(FileID(4711)), .forgetRemoval(RemovalID(3)), .forgetMove(.random())])
    #expect(throws: TierError.self) { try catalog.apply([.put(fixture.file("a", in: DirectoryID(99)))]) }
    let intents = try catalog.begin([.sample(for: kept)])
    #expect(throws: TierError.self) { try catalog.finish(intents, applying: [.put(gone)]) }
    #expect(try catalog.openIntents(limit: 9).count == 1)
  }

  /// Each would be a lie that a release or a restore could act on.
  @Test func refusesStatesThatContradictThemselves() throws {
    var archivedWithoutCopy = fixture.file("a")
    archivedWithoutCopy.state = .archived
    var releasedWithoutCopy = fixture.file("a")
    releasedWithoutCopy.state = .released
    var stubToArchive = fixture.file("a").archived()
    stubToArchive.state = .released
    stubToArchive.archiveDue = Timestamp(seconds: 1)
    stubToArchive.archiveBy = Timestamp(seconds: 1)
    var dueWithoutDeadline = fixture.file("a").governed(due: 1)
    dueWithoutDeadline.archiveBy = nil
    var dueWithoutTarget = fixture.file("a").governed(due: 1)
    dueWithoutTarget.target = nil
    for file in [
      archivedWithoutCopy, releasedWithoutCopy, stubToArchive, dueWithoutDeadline, dueWithoutTarget,
    ] {
      let error = #expect(throws: TierError.self) { try catalog.apply([.put(file)]) }
      #expect(error?.code == .internalFault)
    }
  }

  @Test func pagesBelowADirectoryComeById() throws {
    var expected: [CatalogFile] = []
    for part in 0..<30 {
      let directory = try catalog.makeDirectory(
        at: RelativePath(part % 10 == 0 ? "few/\(part)" : "many/\(part)")!, inode: 1, in: fixture.volume.id)
      try catalog.apply((0..<300).map { .put(fixture.file("\($0)", in: directory)) })
      expected += try catalog.children(of: directory).files
    }
    for top in ["few", "many"] {
      let directory = try #require(try catalog.directory(at: RelativePath(top)!, in: fixture.volume.id))
      var found: [CatalogFile] = []
      while true {
        let page = try catalog.files(below: directory, after: found.last?.id, limit: 70)
        if page.isEmpty { break }
        #expect(page.count <= 70)
        found += page
      }
      #expect(found.map { $0.id!.value } == found.map { $0.id!.value }.sorted())
      #expect(found.count == (top == "few" ? 900 : 8100))
      #expect(try catalog.totals(below: directory).resident.files == found.count)
    }
    #expect(try catalog.files(below: fixture.volume.root, after: nil, limit: 0) == [])
    #expect(try catalog.files(below: DirectoryID(4711), after: nil, limit: 10) == [])
  }
}

@Suite struct CatalogDueTests {
  let fixture: CatalogFixture
  var catalog: SQLiteCatalog { fixture.catalog }

  init() throws { fixture = try CatalogFixture() }

  private func at(_ seconds: Int64) -> Timestamp { Timestamp(seconds: seconds) }

  /// More files than are counted afresh at each call; the clock runs forth and back.
  @Test func countsWhatBecomesDue() throws {
    try catalog.apply((0..<6000).map { .put(fixture.file("\($0)").governed(due: Int64($0), by: 9000)) })
    for now in [-1, 0, 100, 2500, 2600, 5999, 7000, 50, 7000, 4000] as [Int64] {
      for _ in 1...2 {
        let pending = try catalog.pending(for: "nas", now: at(now))
        let due = Int(min(6000, now + 1))
        #expect(pending.dueFiles == due && pending.laterFiles == 6000 - due)
        #expect(pending.dueBytes == Int64(due) * 100 && pending.laterBytes == Int64(6000 - due) * 100)
      }
      // A change on either side of what was counted.
      for name in ["1", "5998"] {
        var file = try #require(try catalog.file(named: FileName(name)!, in: fixture.volume.root))
        file.retryAt = file.retryAt == nil ? at(3000) : nil
        try catalog.apply([.put(file)])
        file.retryAt = nil
        try catalog.apply([.put(file)])
      }
    }
  }

  @Test func deadlinesOfRetriesCountFromTheirRetry() throws {
    var held = fixture.file("held").governed(due: 10, by: 20)
    held.retryAt = at(500)
    try fixture.put(held)
    var pending = try catalog.pending(for: "nas", now: at(100))
    #expect(pending.dueFiles == 0 && pending.laterFiles == 1)
    #expect(pending.earliestDeadline == at(500) && pending.oldestDue == at(10))
    #expect(try catalog.archiveCandidates(for: "nas", now: at(499), limit: 9).isEmpty)
    #expect(try catalog.archiveCandidates(for: "nas", now: at(500), limit: 9).count == 1)
    try fixture.put(fixture.file("later").governed(due: 200, by: 300))
    pending = try catalog.pending(for: "nas", now: at(100))
    #expect(pending.earliestDeadline == at(300) && pending.oldestDue == at(10))
    #expect(try catalog.pending(for: "elsewhere", now: at(100)) == PendingWork())
  }

  @Test func candidatesComeByDeadlineThenDirectory() throws {
    let one = try catalog.makeDirectory(at: RelativePath("one")!, inode: 1, in: fixture.volume.id)
    let two = try catalog.makeDirectory(at: RelativePath("two")!, inode: 2, in: fixture.volume.id)
    try catalog.apply([
      .put(fixture.file("a", in: two).governed(due: 1, by: 100)),
      .put(fixture.file("b", in: one).governed(due: 1, by: 101)),
      .put(fixture.file("c", in: two).governed(due: 1, by: 102)),
      .put(fixture.file("d", in: two).governed(due: 1, by: 100_000)),
      .put(fixture.file("e", in: one).governed(due: 1, by: 50_000)),
    ])
    let names = try catalog.archiveCandidates(for: "nas", now: at(1), limit: 9).map(\.name.description)
    #expect(names == ["b", "a", "c", "e", "d"])
    #expect(try catalog.archiveCandidates(for: "nas", now: at(1), limit: 2).count == 2)
    #expect(try catalog.archiveCandidates(for: "nas", now: at(0), limit: 9).isEmpty)
  }

  /// One file for each reason not to release.
  @Test func releasesOnlyWhatMayGo() throws {
    var unproven = fixture.file("unproven").archived(.awaiting(instance: nil), release: 10)
    unproven.lastUsed = at(1)
    var lost = fixture.file("lost").archived(release: 10)
    lost.isLost = true
    var dirty = fixture.file("dirty").archived(release: 10)
    dirty.state = .resident
    var gone = fixture.file("gone").archived(release: 10)
    gone.state = .released
    var pinned = fixture.file("pinned").archived(release: 10)
    pinned.pinnedUntil = at(100)
    var forever = fixture.file("for ever").archived(release: 10)
    forever.pinnedUntil = .distantFuture
    var retried = fixture.file("retried").archived(release: 10)
    retried.retryAt = at(60)
    let kept = fixture.file("kept").archived()
    var later = fixture.file("later").archived(release: 200)
    later.lastUsed = at(5)
    let free = fixture.file("free").archived(release: 10)
    try catalog.apply(
      [unproven, lost, dirty, gone, pinned, forever, retried, kept, later, free].map(CatalogChange.put))

    let volume = fixture.volume.id
    func due(_ now: Int64) throws -> [String] {
      try catalog.releaseCandidates(in: volume, now: at(now), limit: 99).map(\.name.description)
    }
    #expect(try due(9) == [])
    #expect(try due(10) == ["free"])
    #expect(try due(60) == ["free", "retried"])
    #expect(try due(100) == ["free", "retried", "pinned"])
    #expect(try due(200) == ["free", "retried", "pinned", "later"])
    let coldest = try catalog.coldestFiles(in: volume, now: at(0), limit: 99).map(\.name.description)
    #expect(coldest == ["later", "free"])
    #expect(try catalog.nextRelease(in: volume, after: at(10)) == at(60))
    #expect(try catalog.nextRelease(in: volume, after: at(200)) == nil)
    #expect(
      try catalog.unprovenFiles(on: "nas", before: at(51), limit: 9).map(\.name.description) == ["unproven"])
    #expect(try catalog.unprovenFiles(on: "nas", before: at(50), limit: 9).isEmpty)
    #expect(try catalog.pending(for: "nas", now: at(0)).unprovenFiles == 1)
  }

  /// Their sum is more than 64 bits hold: the totals may be inexact, the file must not be refused.
  @Test func absurdSizesAreCountedWithACeiling() throws {
    for number in 0..<3 {
      var file = fixture.file("\(number)").governed(due: 1)
      file.version.size = .max
      try fixture.put(file)
    }
    #expect(try catalog.totals(of: fixture.volume.id).resident == .init(files: 3, bytes: 3 << 50))
    #expect(try catalog.pending(for: "nas", now: at(1)).dueBytes == 3 << 50)
  }
}

@Suite struct CatalogLedgerTests {
  let fixture: CatalogFixture
  var catalog: SQLiteCatalog { fixture.catalog }

  init() throws { fixture = try CatalogFixture() }

  @Test func journalKeepsIntentsUntilTheyEnd() throws {
    let file = try fixture.put(fixture.file("a").governed(due: 1))
    var first = Intent.sample(for: file)
    var second = Intent.sample(for: file)
    second.kind = .rename
    second.file = nil
    second.newTargetPath = RelativePath([0xFF])!
    second.version = file.version
    second.hash = ContentHash(Array(repeating: 7, count: 32))
    let ids = try catalog.begin([first, second])
    (first.id, second.id) = (ids[0], ids[1])
    #expect(try catalog.openIntents(limit: 9) == [first, second])
    #expect(try catalog.openIntents(limit: 1) == [first])
    #expect(try catalog.openIntents(for: #require(file.id)) == [first])
    first.step = 200
    try catalog.advance([first])
    try fixture.reopen()
    #expect(try catalog.openIntents(limit: 9) == [first, second])

    var done = file
    done.archiveDue = nil
    done.archiveBy = nil
    try catalog.finish([ids[0]], applying: [.put(done)])
    #expect(try catalog.openIntents(limit: 9) == [second])
    #expect(try catalog.file(#require(file.id)) == done)
    #expect(throws: TierError.self) { try catalog.finish([ids[0]], applying: []) }
    #expect(throws: TierError.self) { try catalog.advance([first]) }
    #expect(try catalog.begin([.sample(for: file)])[0].value > ids[1].value, "ids are never given again")
  }

  @Test func removalsAreFoundByTargetPathAndCopy() throws {
    func removal(_ path: String, at seconds: Int64, expires: Timestamp) -> Removal {
      Removal(
        stage: .pending, volume: fixture.volume.id, path: RelativePath(path)!,
        copy: .sample(FileName("x")!), removedAt: Timestamp(seconds: seconds), expires: expires)
    }
    let all = [
      removal("a", at: 1, expires: Timestamp(seconds: 30)), removal("a/b", at: 2, expires: .distantFuture),
      removal("a/b", at: 3, expires: Timestamp(seconds: 10)),
      removal("a!", at: 4, expires: Timestamp(seconds: 20)),
      removal("ab", at: 5, expires: Timestamp(seconds: 20)),
    ]
    try catalog.apply(all.map(CatalogChange.putRemoval))
    func seconds(_ path: String) throws -> [Int64] {
      try catalog.removals(at: RelativePath(path)!, in: fixture.volume.id, limit: 9).map(\.removedAt.seconds)
    }
    #expect(try seconds("") == [5, 4, 3, 2, 1])
    #expect(try seconds("a") == [3, 2, 1])
    #expect(try seconds("a/b") == [3, 2])
    #expect(try catalog.pending(for: "nas", now: Timestamp(seconds: 0)).removals == 5)
    #expect(try catalog.removals(withArchiveID: all[1].copy.archiveID).map(\.path) == [RelativePath("a/b")!])

    let due = try catalog.removals(on: "nas", stage: .pending, expiringBefore: .distantFuture, limit: 9)
    #expect(due.map(\.removedAt.seconds) == [3, 4, 5, 1, 2])
    var trashed = due[0]
    trashed.stage = .trashed
    trashed.trashPath = RelativePath(".tierd/trash/x")
    try catalog.apply([.putRemoval(trashed)])
    func expired(_ now: Int64) throws -> [Removal] {
      try catalog.removals(on: "nas", stage: .trashed, expiringBefore: Timestamp(seconds: now), limit: 9)
    }
    #expect(try expired(10) == [] && expired(11) == [trashed])
    #expect(try catalog.pending(for: "nas", now: Timestamp(seconds: 0)).removals == 4)
    try catalog.apply([.forgetRemoval(try #require(trashed.id)), .forgetRemoval(try #require(due[1].id))])
    #expect(try expired(11) == [])
    #expect(try catalog.pending(for: "nas", now: Timestamp(seconds: 0)).removals == 3)
  }

  @Test func theLastMoveOfACopyWins() throws {
    let id = ArchiveID.random()
    func move(_ target: String, _ seconds: Int64) -> TargetMove {
      TargetMove(archiveID: id, target: target, file: FileID(seconds), queued: Timestamp(seconds: seconds))
    }
    try catalog.apply([.putMove(move("nas", 1)), .putMove(move("nas", 2)), .putMove(move("attic", 3))])
    #expect(try catalog.moves(on: "nas", limit: 9) == [])
    #expect(try catalog.moves(on: "attic", limit: 9) == [move("attic", 3)])
    #expect(try catalog.pending(for: "nas", now: .distantPast).moves == 0)
    #expect(try catalog.pending(for: "attic", now: .distantPast).moves == 1)
    try catalog.apply([.forgetMove(id)])
    #expect(try catalog.pending(for: "attic", now: .distantPast).moves == 0)
  }

  @Test func theLedgerKeepsTheNewestWindows() throws {
    var window = WindowRecord(target: "nas", opened: Timestamp(seconds: 1), cause: "deadline of a/b")
    let id = try catalog.record(window)
    window.id = id
    window.closed = Timestamp(seconds: 2)
    (window.archivedFiles, window.archivedBytes, window.restoredFiles) = (1, 2, 3)
    (window.restoredBytes, window.changesApplied, window.failures) = (4, 5, 6)
    window.error = "unreachable"
    #expect(try catalog.record(window) == id)
    #expect(try catalog.windows(of: "nas", limit: 9) == [window])
    let other = try catalog.record(
      WindowRecord(target: "attic", opened: Timestamp(seconds: 3), cause: "flush"))
    #expect(try catalog.windows(of: nil, limit: 9).map(\.id) == [other, id])
    #expect(try catalog.windows(of: nil, limit: 1).map(\.id) == [other])
    #expect(try catalog.windows(of: "elsewhere", limit: 9) == [])
    window.id = WindowID(4711)
    #expect(throws: TierError.self) { try catalog.record(window) }
  }

  @Test func settingsComeAndGo() throws {
    #expect(try catalog.setting("key") == nil)
    try catalog.setSetting("key", to: [])
    #expect(try catalog.setting("key") == [])
    try catalog.setSetting("key", to: [0, 255])
    try fixture.reopen()
    #expect(try catalog.setting("key") == [0, 255])
    try catalog.setSetting("key", to: nil)
    #expect(try catalog.setting("key") == nil)
  }

  /// A writer swaps the states of two files; whoever reads meanwhile sees either order, never a mixture.
  @Test func readersSeeWholeTransactions() throws {
    let catalog = catalog
    let volume = fixture.volume
    var one = try fixture.put(fixture.file("one").archived())
    var two = try fixture.put(fixture.file("two").archived())
    two.state = .resident
    try catalog.apply([.put(two)])
    let expected = try catalog.totals(of: volume.id)
    let isDone = Flag()
    let readers = (0..<4).map { number in
      OwnedThread(name: "reader \(number)") {
        var rounds = 0
        while !isDone.value || rounds < 10 {
          rounds += 1
          do {
            #expect(try catalog.totals(of: volume.id) == expected)
            let states = try catalog.children(of: volume.root).files.map(\.state.rawValue).sorted()
            #expect(states == [FileState.resident.rawValue, FileState.archived.rawValue])
          } catch { Issue.record(error) }
        }
      }
    }
    for _ in 0..<300 {
      swap(&one.state, &two.state)
      try catalog.apply([.put(one), .put(two)])
    }
    isDone.raise()
    for reader in readers { reader.join() }
  }
}

extension Intent {
  fileprivate static func sample(for file: CatalogFile) -> Intent {
    Intent(
      kind: .archive, epoch: Epoch(0), volume: file.volume, file: file.id, path: RelativePath(file.name),
      target: "nas", targetPath: RelativePath("photos")!.appending(file.name), archiveID: .random(),
      begun: Timestamp(seconds: 1))
  }
}
