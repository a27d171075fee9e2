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
    bench.clock.advance(.seconds(10 * 365 * 86_400))
    bench.write("file", "content")
    try bench.look()
    bench.clock.advance(.seconds(-10 * 365 * 86_400))
    try bench.look()
    bench.clock.advance(.seconds(4000))
    try bench.look()
    try bench.turn()
    #expect(bench.onNAS("file") == "content")
  }
}
