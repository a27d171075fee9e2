import Glibc
import Testing
import TierCore
import TierTestSupport

@testable import TierEngine

/// Wall clocks jump, and files come with times that nobody can believe.
@Suite struct ClockTests {
  @Test func timesInTheFutureDoNotPostponeForEver() throws {
    let bench = try Bench()
    bench.write("photo", "content")
    let year2100 = [timespec(tv_sec: 4_102_444_800, tv_nsec: 0), timespec(tv_sec: 4_102_444_800, tv_nsec: 0)]
    #expect(utimensat(AT_FDCWD, "\(bench.cache)/photo", year2100, 0) == 0)
    try bench.look()
    let due = try #require(try bench.row("photo").archiveBy)
    bench.clock.advance(.seconds(3000))
    try bench.look()
    #expect(try #require(try bench.row("photo").archiveBy) - due < .seconds(60))
    bench.clock.advance(.seconds(3000))
    try bench.turn()
    #expect(bench.onNAS("photo") == "content")
  }

  @Test func clockSetBackIsRecoveredFromByTheNextScan() throws {
    let bench = try Bench()
    bench.clock.jump(.seconds(10 * 365 * 86_400))
    bench.write("file", "content")
    try bench.look()
    bench.clock.jump(.seconds(-10 * 365 * 86_400))
    try bench.look()
    bench.clock.advance(.seconds(4000))
    try bench.look()
    try bench.turn()
    #expect(bench.onNAS("file") == "content")
  }

  @Test(arguments: [60 * 86_400, -60 * 86_400])
  func trashIsKeptForAsLongAsTimeWasSeenToPass(jump: Int) throws {
    let bench = try trashed()
    bench.clock.jump(.seconds(jump))
    try bench.look()
    try bench.window()
    #expect(try bench.trash() == 1)
    bench.clock.advance(.seconds(80_000))
    try bench.look()
    try bench.window()
    #expect(try bench.trash() == 1)
    bench.clock.advance(.seconds(7_000))
    try bench.look()
    try bench.window()
    #expect(try bench.trash() == 0)
  }

  @Test func timeInWhichNobodyLookedDoesNotEmptyTheTrash() throws {
    let bench = try trashed()
    bench.clock.advance(.seconds(60 * 86_400))
    try bench.restart()
    try bench.look()
    try bench.window()
    #expect(try bench.trash() == 1)
  }

  /// One deleted file, in the target's trash for a day.
  private func trashed() throws -> Bench {
    let bench = try Bench()
    bench.write("file", "content")
    try bench.archive()
    unlink("\(bench.cache)/file")
    try bench.look()
    try bench.window()
    try #require(try bench.trash() == 1)
    return bench
  }
}

extension Bench {
  fileprivate func trash() throws -> Int {
    try catalog.removals(at: .root, in: volume.id, after: nil, limit: 10).count
  }
}
