import Testing
import TierCore

@testable import TierCatalog

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
