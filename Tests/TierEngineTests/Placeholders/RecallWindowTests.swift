import Testing
import TierCore
import TierGuardSupport
import TierTestSupport

@testable import TierEngine

/// Recalls that follow each other are one window: one connection, one wake of the NAS, one entry in the ledger.
@Suite(.serialized) struct RecallWindowTests {
  private func windows(_ bench: GuardedBench) throws -> Int {
    try bench.bench.catalog.windows(of: "nas", limit: 100).count
  }

  private func prepare(_ grace: Duration) throws -> GuardedBench {
    let bench = try GuardedBench(.ext4, recallGrace: grace)
    for name in ["a", "b", "c"] { bench.bench.write(name, "the content of \(name)") }
    try bench.bench.archive()
    for name in ["a", "b", "c"] { try bench.bench.release(name) }
    return bench
  }

  private func readAll(_ bench: GuardedBench) throws {
    let app = App(script: #"cat "$1/a"; sleep 0.3; cat "$1/b"; sleep 0.3; cat "$1/c""#, bench.bench.cache)
    let result = try bench.serve(app)
    let expected = ["a", "b", "c"].map { "the content of \($0)" }.joined()
    #expect(result.succeeded && String(decoding: result.output, as: UTF8.self) == expected)
  }

  @Test(.enabled(if: GuardBench.Kind.ext4.isAvailable)) func recallsInARowAreOneWindow() throws {
    let bench = try prepare(.seconds(2))
    let before = try windows(bench)
    try readAll(bench)
    #expect(try windows(bench) == before + 1)
    #expect(try bench.bench.catalog.windows(of: "nas", limit: 1).first?.restoredFiles == 3)
  }

  @Test(.enabled(if: GuardBench.Kind.ext4.isAvailable)) func withoutGraceEachIsAWindow() throws {
    let bench = try prepare(.zero)
    let before = try windows(bench)
    try readAll(bench)
    #expect(try windows(bench) == before + 3)
  }

  /// What a person orders ends when it is done: a command that returned leaves no connection.
  @Test(.enabled(if: GuardBench.Kind.ext4.isAvailable)) func ordersOfPeopleDontLinger() throws {
    let bench = try prepare(.seconds(600))
    #expect(try bench.bench.restore("a").failureCount == 0)
    #expect(try bench.bench.row("a").state == .archived)
  }
}
