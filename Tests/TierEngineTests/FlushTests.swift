import Glibc
import Testing
import TierCore
import TierTestSupport

@testable import TierEngine

/// A person's flush: what it says is what happened.
@Suite struct FlushTests {
  @Test func reachesItsFilesBehindManyOthersThatWait() throws {
    let bench = try Bench(tuning: EngineTuning(batchFiles: 4))
    for index in 0..<40 { bench.write("others/\(index)", "\(index)") }
    try bench.look()
    bench.clock.advance(.seconds(30))
    bench.write("mine/one", "1")
    bench.write("mine/two", "2")
    try bench.look()
    let request = try bench.flush("mine")
    #expect(bench.onNAS("mine/one") == "1" && bench.onNAS("mine/two") == "2")
    #expect(bench.onNAS("others/0") == nil)
    #expect(request.files == 2 && request.expectedFiles == 2)
    #expect(request.failures == [])
  }

  @Test func tellsWhatOfItsOwnScopeCouldNotGo() throws {
    let bench = try Bench()
    bench.write("mine/held", "1")
    bench.write("others/held", "2")
    let apps = ["mine", "others"].map { open("\(bench.cache)/\($0)/held", O_RDWR) }
    defer { for app in apps { close(app) } }
    let request = try bench.flush("mine")
    #expect(request.failures.count == 1)
    #expect(request.failures.first?.contains("mine/held") == true)
  }

  @Test func whatWasDeletedJustBeforeIsNoFailure() throws {
    let bench = try Bench()
    bench.write("file", "content")
    bench.write("deleted", "1")
    bench.write("replaced", "2")
    let handle = try bench.engine.flush(.everything)
    for command in bench.engine.context.volumeServices[0].takeCommands() { command(.success(bench.loop)) }
    unlink("\(bench.cache)/deleted")
    unlink("\(bench.cache)/replaced")
    mkdir("\(bench.cache)/replaced", 0o755)
    while bench.windows.hasWaitingOrders { try bench.turn() }
    #expect(bench.onNAS("file") == "content")
    #expect(handle.current.failures == [])
    #expect(try bench.catalog.windows(of: nil, limit: 9).map(\.failures) == [0])
    try bench.look()
    #expect(try bench.find("deleted") == nil && bench.find("replaced") == nil)
  }

  @Test func saysWhyItsWindowFailed() throws {
    let bench = try Bench()
    bench.write("file", "content")
    bench.targetFaults.at("directory.stage.create", .fail(errno: ENOSPC))
    let request = try bench.flush("file")
    #expect(request.ended != nil)
    #expect(request.failures.contains { $0.contains("full") }, "\(request.failures)")
  }

  @Test func windowsTakeManyFilesInBatches() throws {
    let bench = try Bench(tuning: EngineTuning(batchFiles: 4))
    for index in 0..<21 { bench.write("\(index)", "content \(index)") }
    try bench.archive()
    for index in 0..<21 { #expect(bench.onNAS("\(index)") == "content \(index)") }
    #expect(try bench.windowCount() == 1)
  }
}
