import Testing
import TierCore
import TierLinux

@testable import TierCatalog

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
      var seconds: [Int64] = []
      var after: Removal?
      while true {
        let page = try catalog.removals(
          at: RelativePath(path)!, in: fixture.volume.id, after: after, limit: 2)
        if page.isEmpty { return seconds }
        seconds += page.map(\.removedAt.seconds)
        after = page.last
      }
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
    try catalog.postponeExpiry(by: .seconds(100), now: Timestamp(seconds: 9))
    #expect(try expired(110) == [] && expired(111).count == 1)
    try catalog.postponeExpiry(by: .seconds(-100), now: Timestamp(seconds: 9))
    #expect(try expired(11) == [trashed])
    let forEver = try catalog.removals(on: "nas", stage: .pending, expiringBefore: .distantFuture, limit: 9)
    #expect(forEver.last?.expires == .distantFuture)
    try catalog.apply([.forgetRemoval(try #require(trashed.id)), .forgetRemoval(try #require(due[1].id))])
    #expect(try expired(11) == [])
    #expect(try catalog.pending(for: "nas", now: Timestamp(seconds: 0)).removals == 3)
  }

  @Test func theLastMoveOfACopyWins() throws {
    let id = ArchiveID.random()
    func move(_ target: String, _ seconds: Int64) -> TargetMove {
      TargetMove(archiveID: id, target: target, queued: Timestamp(seconds: seconds))
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
