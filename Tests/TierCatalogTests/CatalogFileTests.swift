import Testing
import TierCore

@testable import TierCatalog

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
