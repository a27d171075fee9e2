import Glibc
import Testing
import TierCore
import TierTestSupport

@testable import TierEngine

/// The NAS is woken for work that can be done, and for nothing else.
@Suite struct QuietTargetTests {
  @Test func fileHeldOpenForDaysOpensNoWindow() throws {
    let bench = try Bench()
    bench.write("db", "in use")
    let app = open("\(bench.cache)/db", O_RDWR)
    defer { close(app) }
    try bench.look()
    for _ in 0..<50 {
      bench.clock.advance(.seconds(3600))
      try bench.turn()
      try bench.look()
    }
    #expect(try bench.windowCount() == 0)
    #expect(try bench.row("db").heldReason?.contains("open for writing") == true)
    close(app)
    bench.clock.advance(.seconds(61))
    try bench.turn()
    #expect(bench.onNAS("db") == "in use")
  }

  @Test func oneOverdueFileThatCanGoOpensAWindowPastThoseThatCannot() throws {
    let bench = try Bench()
    var apps: [Int32] = []
    for index in 0..<5 {
      bench.write("held\(index)", "busy")
      apps.append(open("\(bench.cache)/held\(index)", O_RDWR))
    }
    defer { for app in apps { close(app) } }
    bench.write("ready", "content")
    try bench.look()
    bench.clock.advance(.seconds(7200))
    try bench.turn()
    #expect(try bench.windowCount() == 1)
    #expect(bench.onNAS("ready") == "content")
  }

  @Test func volumeThatIsNotThereOpensNoWindow() throws {
    let bench = try Bench()
    bench.write("file", "content")
    try bench.look()
    bench.loseVolume()
    for _ in 0..<20 {
      bench.clock.advance(.seconds(3600))
      try bench.turn()
    }
    #expect(try bench.windowCount() == 0)
  }

  @Test func fileThatTheTargetRefusesOpensFewWindows() throws {
    let bench = try Bench()
    bench.write("file", "content")
    try bench.look()
    for occurrence in 1...500 {
      bench.targetFaults.at("directory.stage.create", occurrence: occurrence, .fail(errno: EACCES))
    }
    bench.clock.advance(.seconds(3700))
    for _ in 0..<(24 * 60) {
      bench.clock.advance(.seconds(60))
      try bench.turn()
    }
    let windows = try bench.windowCount()
    #expect((1...2).contains(windows), "\(windows) windows in a day")
  }

  @Test func fullVolumeOpensNoWindowThatCannotHelp() throws {
    let bench = try Bench()
    for _ in 0..<20 {
      bench.windows.volumeIsFull("vol")
      bench.clock.advance(.seconds(3600))
      try bench.turn()
    }
    #expect(try bench.windowCount() == 0)
    bench.write("file", "content")
    try bench.look()
    bench.clock.advance(.seconds(61))
    bench.windows.volumeIsFull("vol")
    try bench.turn()
    #expect(bench.onNAS("file") == "content")
  }

  @Test func flushOfWhatHasNothingPendingContactsNoTarget() throws {
    let bench = try Bench()
    bench.write("a/file", "a")
    bench.write("b/file", "b")
    try bench.look()
    let request = try bench.flush("b/nothing")
    #expect(request.ended != nil && request.notes.count == 1)
    #expect(try bench.windowCount() == 0)
  }
}

extension Bench {
  func turn() throws { _ = try windows.turn() }

  func windowCount() throws -> Int { try catalog.windows(of: nil, limit: 1000).count }

  func loseVolume() {
    engine.context.register([], engine.context.windowServices)
  }

  /// As a person does, with the volume's thread played by the test.
  func flush(_ path: String) throws -> RequestState {
    let handle = try engine.flush(.paths([Array("\(cache)/\(path)".utf8)]))
    runCommands()
    while windows.hasWaitingOrders { try turn() }
    return handle.current
  }
}
