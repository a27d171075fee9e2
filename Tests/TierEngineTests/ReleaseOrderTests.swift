import Glibc
import Testing
import TierCore
import TierTestSupport

@testable import TierEngine

/// What `tierctl release` does with files that can't, needn't or mustn't go.
@Suite struct ReleaseOrderTests {
  @Test func policiesThatKeepFilesAreKept() throws {
    let small = Policy(
      name: "app", volume: "vol", path: .root, target: "nas",
      archive: .init(after: .seconds(60), within: .seconds(3600)),
      release: .init(after: .seconds(86_400), keepBelow: 5))
    var pinned = small
    pinned.pin = true
    for (policy, kept) in [(small, ["empty", "small"]), (pinned, ["empty", "large", "small"])] {
      let bench = try Bench(policy: policy)
      bench.write("empty", "")
      bench.write("small", "tiny")
      bench.write("large", "large enough")
      try bench.archive()
      let plan = try bench.engine.planRelease(.everything)
      #expect(plan.skippedFiles == kept.count && plan.parts["nas"]?.files ?? 0 == 3 - kept.count)
      let request = try bench.orderRelease()
      #expect(request.failures == [] && request.files == 3 - kept.count)
      #expect(request.notes.first?.hasPrefix("\(kept.count) files kept in the cache by policy") == true)
      for name in ["empty", "large", "small"] { #expect(bench.isSymlink(name) == !kept.contains(name)) }
    }
  }

  @Test func whatWasDeletedJustNowIsPassedOver() throws {
    let bench = try Bench()
    bench.write("file", "content")
    bench.write("gone", "1")
    try bench.look()
    unlink("\(bench.cache)/gone")
    let request = try bench.orderRelease()
    #expect(request.failures.count == 1)
    #expect(request.failures.first?.contains("/file: it isn't archived yet") == true)
  }

  @Test func manyGoByTurns() throws {
    let bench = try Bench()
    let count = 2 * Releaser.turnFiles + 1
    for index in 0..<count { bench.write("\(index)", "content \(index)") }
    try bench.archive()
    let handle = try bench.engine.release(.everything)
    let service = bench.engine.context.volumeServices[0]
    var turns: [Int] = []
    while handle.current.ended == nil {
      for command in service.takeCommands() { command(.success(bench.loop)) }
      turns.append(handle.current.files)
    }
    #expect(turns == [Releaser.turnFiles, 2 * Releaser.turnFiles, count])
    #expect(handle.current.failures == [])
  }
}

extension Bench {
  /// As a person does, with the volume's thread played by the test.
  func orderRelease(_ selection: FileSelection = .everything) throws -> RequestState {
    let handle = try engine.release(selection)
    while handle.current.ended == nil {
      runCommands()
    }
    return handle.current
  }
}
