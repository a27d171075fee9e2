import Testing
import TierCore
import TierLinux
import TierTestSupport

@testable import TierTargets

/// What `Target` promises of names that are taken and of publications that are repeated, for every kind.
@Suite struct ConflictContractTests {
  let suffix = "20261123T105800Z"

  // MARK: After a crash

  @Test(arguments: TargetKind.all)
  func aLeftoverOfTheSameIDIsReplaced(_ kind: TargetKind) throws {
    let bench = try kind.make()
    let upload = try bench.upload("a", noise(5000))
    try bench.withSession { _ = try bench.stage([upload], $0) }
    let staged = TargetLayout.temporary.appending(upload.archiveID.fileName)
    try bench.nas.write(noise(9000, seed: 7), to: staged)
    try bench.withSession { session throws in
      #expect(try bench.archive([.init(upload: upload)], session)[0].isPublished)
    }
    #expect(try bench.nas.read(upload.path) == noise(5000))
    if kind.stages { #expect(try bench.nas.status(of: staged, at: "test") == nil) }
  }

  @Test(arguments: TargetKind.all)
  func whatOneWindowStagedTheNextPublishes(_ kind: TargetKind) throws {
    let bench = try kind.make()
    let upload = try bench.upload("a", noise(5000))
    // Not closed in time: as a crash leaves it.
    let crashed = try bench.target.connect()
    let hash = try #require(try bench.stage([upload], crashed)[0].hash)
    try bench.withSession { session throws in
      #expect(try bench.publish([(.init(upload: upload), hash)], session)[0].isPublished)
    }
    crashed.close()
    #expect(try bench.nasTree() == ["volume/", "volume/a"])
  }

  @Test(arguments: TargetKind.all)
  func aFinishedPublicationMayBeRepeated(_ kind: TargetKind) throws {
    let bench = try kind.make()
    let order = TargetBench.Order(upload: try bench.upload("a", noise(5000)))
    let hash = sha256(noise(5000))
    try bench.withSession { session throws in
      #expect(try bench.archive([order], session)[0].isPublished)
      #expect(try bench.publish([(order, hash)], session)[0].isPublished)
    }
    try bench.withSession { session throws in
      #expect(try bench.publish([(order, hash)], session)[0].isPublished)
    }
    // From the very beginning: the caller had no time to note anything.
    try bench.withSession { session throws in #expect(try bench.archive([order], session)[0].isPublished) }
    #expect(try bench.nasTree() == ["volume/", "volume/a"])
    #expect(try bench.nas.read(order.upload.path) == noise(5000))
  }

  @Test(arguments: TargetKind.all)
  func aRepeatedReplacementKeepsTheOldCopyInTheTrash(_ kind: TargetKind) throws {
    let bench = try kind.make()
    let old = try bench.upload("a", Array("old".utf8))
    try bench.withSession { _ = try bench.archive([.init(upload: old)], $0) }
    // The same size and time: only the trash tells that the old copy is there already.
    let new = try bench.upload("a", Array("new".utf8))
    let trash: RelativePath = ".tierd/trash/20261123/volume/a"
    let order = TargetBench.Order(
      upload: new, replaces: TargetStatus(size: 3, modified: old.metadata.modified), trash: trash)
    for _ in 0..<3 {
      try bench.withSession { session throws in #expect(try bench.archive([order], session)[0].isPublished) }
    }
    #expect(try bench.nas.text("volume/a") == "new")
    #expect(try bench.nas.text(".tierd/trash/20261123/volume/a") == "old")
  }

  // MARK: Our own earlier copy

  @Test(arguments: TargetKind.all)
  func ourOwnEarlierCopyGoesToTheTrash(_ kind: TargetKind) throws {
    let bench = try kind.make()
    let trash: RelativePath = ".tierd/trash/20261123/volume/d/a*[b].txt"
    let (old, new) = try replacement(bench, "d/a*[b].txt", trash: trash)
    #expect(old.isPublished && new.isPublished)
    #expect(try bench.nas.text("volume/d/a*[b].txt") == "new content")
    #expect(try bench.nas.text(".tierd/trash/20261123/volume/d/a*[b].txt") == "old")
  }

  /// It may be another file's, who needs it.
  @Test(arguments: TargetKind.all)
  func ourOwnEarlierCopyGoesToTheTrashEvenWhereTheNewOneIsTheSame(_ kind: TargetKind) throws {
    let bench = try kind.make()
    let trash: RelativePath = ".tierd/trash/20261123/volume/a"
    let content = noise(5000)
    try bench.withSession { session in
      let old = try bench.upload("a", content)
      #expect(try bench.archive([.init(upload: old)], session)[0].isPublished)
      let replaces = try session.status(of: [old.path])[0]
      let new = try bench.upload("a", content)
      let order = TargetBench.Order(upload: new, replaces: replaces, trash: trash)
      #expect(try bench.archive([order], session)[0].isPublished)
    }
    #expect(try bench.nas.read("volume/a") == content)
    #expect(try bench.nas.read(trash) == content)
  }

  /// The engine may want to put it anywhere below `.tierd/trash`.
  @Test(arguments: TargetKind.all)
  func theTrashPlaceIsTheCallersChoice(_ kind: TargetKind) throws {
    let bench = try kind.make()
    let trash: RelativePath = ".tierd/trash/20261123/0123456789abcdef0123456789abcdef"
    let (_, new) = try replacement(bench, "d/a", trash: trash)
    #expect(new.isPublished)
    #expect(try bench.nas.text("volume/d/a") == "new content")
    #expect(try bench.nas.text(trash.escaped) == "old")
  }

  @Test(arguments: TargetKind.all)
  func withoutTrashOurOwnEarlierCopyIsReplaced(_ kind: TargetKind) throws {
    let bench = try kind.make()
    let (_, new) = try replacement(bench, "d/a", trash: nil)
    #expect(new.isPublished)
    #expect(try bench.nasTree() == ["volume/", "volume/d/", "volume/d/a"])
    #expect(try bench.nas.text("volume/d/a") == "new content")
  }

  private func replacement(_ bench: TargetBench, _ path: RelativePath, trash: RelativePath?) throws -> (
    PublishOutcome, PublishOutcome
  ) {
    try bench.withSession { session in
      let old = try bench.upload(path, Array("old".utf8))
      let first = try bench.archive([.init(upload: old)], session)[0]
      let replaces = try session.status(of: [old.path])[0]
      let time = FileTime(seconds: 1_700_000_900, nanoseconds: 5)
      let new = try bench.upload(path, Array("new content".utf8), modified: time)
      return (first, try bench.archive([.init(upload: new, replaces: replaces, trash: trash)], session)[0])
    }
  }

  @Test(arguments: TargetKind.all)
  func ourOwnCopyThatIsGoneIsNoObstacle(_ kind: TargetKind) throws {
    let bench = try kind.make()
    let order = TargetBench.Order(
      upload: try bench.upload("a", noise(10)),
      replaces: TargetStatus(size: 3, modified: FileTime(seconds: 7, nanoseconds: 0)),
      trash: ".tierd/trash/x/volume/a")
    try bench.withSession { session throws in #expect(try bench.archive([order], session)[0].isPublished) }
    #expect(try bench.nasTree() == ["volume/", "volume/a"])
  }

  // MARK: Somebody else's

  @Test(arguments: TargetKind.all)
  func somebodyElsesFileIsKeptBeside(_ kind: TargetKind) throws {
    let bench = try kind.make()
    try bench.nas.write(Array("theirs".utf8), to: "volume/d/a b.txt")
    let order = TargetBench.Order(upload: try bench.upload("d/a b.txt", Array("ours".utf8)))
    let outcome = try bench.withSession { try bench.archive([order], $0)[0] }
    #expect(outcome.conflict?.escaped == "volume/d/a b.txt.conflict-\(suffix)")
    #expect(try bench.nas.text("volume/d/a b.txt") == "ours")
    #expect(try bench.nas.text("volume/d/a b.txt.conflict-\(suffix)") == "theirs")
  }

  /// As large and as old as ours will be, but another content.
  @Test(arguments: TargetKind.all)
  func somebodyElsesFileThatLooksLikeOursIsKeptBeside(_ kind: TargetKind) throws {
    let bench = try kind.make()
    let order = TargetBench.Order(upload: try bench.upload("a", Array("ours".utf8)))
    try bench.nas.write(Array("them".utf8), to: "volume/a", modified: order.upload.metadata.modified)
    let outcome = try bench.withSession { try bench.archive([order], $0)[0] }
    #expect(outcome.conflict?.escaped == "volume/a.conflict-\(suffix)")
    #expect(try bench.nas.text("volume/a") == "ours")
    #expect(try bench.nas.text("volume/a.conflict-\(suffix)") == "them")
  }

  @Test(arguments: TargetKind.all)
  func ourOwnCopyThatSomebodyChangedIsKeptBeside(_ kind: TargetKind) throws {
    let bench = try kind.make()
    let old = try bench.upload("a", Array("old".utf8))
    try bench.withSession { session in
      _ = try bench.archive([.init(upload: old)], session)
      let replaces = try session.status(of: [old.path])[0]
      try bench.nas.write(Array("edited on the NAS".utf8), to: old.path)
      let new = try bench.upload("a", Array("new".utf8))
      let order = TargetBench.Order(upload: new, replaces: replaces, trash: ".tierd/trash/x/volume/a")
      #expect(try bench.archive([order], session)[0].conflict?.escaped == "volume/a.conflict-\(suffix)")
    }
    #expect(try bench.nasTree() == ["volume/", "volume/a", "volume/a.conflict-\(suffix)"])
    #expect(try bench.nas.text("volume/a.conflict-\(suffix)") == "edited on the NAS")
  }

  @Test(arguments: TargetKind.all)
  func aTakenConflictNameIsNotOverwritten(_ kind: TargetKind) throws {
    let bench = try kind.make()
    try bench.nas.write(Array("theirs".utf8), to: "volume/a")
    try bench.nas.write(Array("earlier".utf8), to: RelativePath("volume/a.conflict-\(suffix)")!)
    let order = TargetBench.Order(upload: try bench.upload("a", Array("ours".utf8)))
    let outcome = try bench.withSession { try bench.archive([order], $0)[0] }
    let conflict = try #require(outcome.conflict)
    #expect(try bench.nas.text("volume/a.conflict-\(suffix)") == "earlier")
    #expect(try bench.nas.text(conflict.escaped) == "theirs")
    #expect(try bench.nas.text("volume/a") == "ours")
  }

  @Test(arguments: TargetKind.all)
  func aNameTooLongForTheSuffixIsShortenedOrRefused(_ kind: TargetKind) throws {
    let bench = try kind.make()
    let path = RelativePath(String(repeating: "ü", count: 127))!
    try bench.nas.write(Array("theirs".utf8), to: TargetBench.final(path))
    let order = TargetBench.Order(upload: try bench.upload(path, Array("ours".utf8)))
    let outcome = try bench.withSession { try bench.archive([order], $0)[0] }
    if kind.setsAsideLongNames {
      let conflict = try #require(outcome.conflict)
      #expect(try bench.nas.read(conflict) == Array("theirs".utf8))
      #expect(try bench.nas.read(order.upload.path) == Array("ours".utf8))
    } else {
      #expect(outcome.error?.code == .targetDenied)
      #expect(try bench.nas.read(order.upload.path) == Array("theirs".utf8))
    }
  }

  @Test(arguments: TargetKind.all)
  func aForeignLinkOrFolderIsKeptBesideOrRefused(_ kind: TargetKind) throws {
    let bench = try kind.make()
    try bench.nas.makeDirectories("volume/folder/within")
    try bench.nas.makeSymlink("volume/link", to: Array("/etc/passwd".utf8), at: "test")
    let orders = try ["folder", "link"].map {
      TargetBench.Order(upload: try bench.upload(RelativePath($0)!, Array("ours".utf8)))
    }
    let outcomes = try bench.withSession { try bench.archive(orders, $0) }
    if kind.setsAsideAnything {
      #expect(outcomes.map(\.conflict?.escaped) == orders.map { "\($0.upload.path).conflict-\(suffix)" })
      let tree = try bench.nasTree()
      #expect(tree.contains("volume/folder.conflict-\(suffix)/within/"))
      #expect(
        try bench.nas.readLink(RelativePath("volume/link.conflict-\(suffix)")!, at: "test")
          == Array("/etc/passwd".utf8))
      #expect(try bench.nas.text("volume/folder") == "ours")
    } else {
      for outcome in outcomes { #expect(outcome.error?.code == .targetDenied, "\(outcome)") }
      #expect(try bench.nasTree() == ["volume/", "volume/folder/", "volume/folder/within/", "volume/link"])
    }
  }

  @Test(arguments: TargetKind.all)
  func aFileWhereAFolderIsNeededFailsThatFileAlone(_ kind: TargetKind) throws {
    let bench = try kind.make()
    try bench.nas.write(Array("theirs".utf8), to: "volume/d")
    let orders = try ["d/a", "e/a"].map {
      TargetBench.Order(upload: try bench.upload(RelativePath($0)!, noise(5)))
    }
    let outcomes = try bench.withSession { try bench.archive(orders, $0) }
    #expect(outcomes[0].error?.code == .targetDenied)
    #expect(outcomes[1].isPublished)
    #expect(try bench.nas.text("volume/d") == "theirs")
  }

  /// What stands behind a link on the NAS isn't below the target's root.
  @Test(arguments: TargetKind.all)
  func aLinkWhereAFolderIsNeededIsNotFollowed(_ kind: TargetKind) throws {
    let bench = try kind.make()
    let outside = try TemporaryDirectory()
    try bench.nas.makeDirectories("volume")
    try bench.nas.makeSymlink("volume/d", to: Array(outside.path.utf8), at: "test")
    let order = TargetBench.Order(upload: try bench.upload("d/a", noise(5)))
    let outcome = try bench.withSession { try bench.archive([order], $0)[0] }
    #expect(outcome.error?.code == .targetDenied, "\(outcome)")
    #expect(try outside.fileSystem().list(.root, at: "test").isEmpty)
  }
}
