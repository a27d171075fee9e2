import Glibc
import Testing
import TierCore
import TierTestSupport

@testable import TierEngine

/// One place that can't be read doesn't keep the rest of a volume from being served.
@Suite struct BadPlaceTests {
  @Test func scanGoesOnPastADirectoryThatFails() throws {
    let bench = try Bench()
    bench.write("a/one", "1")
    bench.write("b/two", "2")
    // The root comes first, then `a`.
    bench.faults.at("reconcile.list", occurrence: 2, .fail(errno: EIO))
    bench.loop.scanNeeded("test")
    #expect(bench.loop.settleNow() == nil)
    #expect(try bench.find("a/one") == nil)
    #expect(try bench.find("b/two") != nil)
    // Looked at again by itself.
    #expect(bench.loop.settleNow() == nil)
    #expect(try bench.find("a/one") != nil)
  }

  @Test func namesThatCannotBeLookedAtAreNotTakenForDeleted() throws {
    let bench = try Bench()
    bench.write("file", "content")
    try bench.archive()
    #expect(unlink("\(bench.cache)/file") == 0)
    bench.faults.at("missing.status", .fail(errno: EIO))
    bench.loop.scanNeeded("test")
    #expect(bench.loop.settleNow() == nil)
    #expect(try bench.find("file") != nil)
    try bench.look()
    #expect(try bench.find("file") == nil)
  }
}
