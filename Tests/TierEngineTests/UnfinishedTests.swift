import Glibc
import Testing
import TierCore
import TierTestSupport

@testable import TierEngine

/// What can't be finished after a crash or a failure keeps only its own file waiting.
@Suite struct UnfinishedTests {
  let bench: Bench
  let apps: World

  init() throws {
    bench = try Bench()
    apps = World(root: bench.cache)
    apps.create("bad", "content of bad")
    apps.create("good", "content of good")
    try bench.archive()
    // As each turn of the volume's thread does.
    try bench.loop.finishLingering()
  }

  private func fail(_ site: CallSite) {
    bench.faults.at(site, occurrence: bench.faults.count(of: site) + 1, .fail(errno: EIO))
  }

  /// What people are told of `bad`.
  private func explanation() throws -> String {
    try bench.engine.explain(Array("\(bench.cache)/bad".utf8)).sentences.joined(separator: " ")
  }

  private func expectThatItWaits(_ change: String) throws {
    #expect(try explanation().contains("Its \(change) was cut off and can't be finished"))
    let problems = try bench.volume.unfinishedProblems()
    #expect(problems.count == 1 && problems[0].contains("\(bench.cache)/bad: its \(change)"))
  }

  private func expectThatItIsFinishedLater() throws {
    bench.clock.advance(.seconds(61))
    try bench.loop.finishLingering()
    #expect(try bench.volume.unfinishedProblems() == [])
    #expect(try !explanation().contains("was cut off"))
    #expect(try Verdict.problems(of: bench, apps) == [])
  }

  @Test("a release that a crash cut off", arguments: [true, false])
  func releaseThatACrashCutOff(isGone: Bool) throws {
    for name in ["bad", "good"] { _ = bench.loop.release([try bench.row(name)]) }
    fail("swap.settleAside")
    try bench.restart()
    try expectThatItWaits("release")
    #expect(try bench.restore("good").files == 1)
    if isGone { apps.unlink("bad") }
    try bench.look()
    #expect(bench.leftovers().count == 1)
    try expectThatItIsFinishedLater()
  }

  @Test("a restore asks for another attempt at the release that was cut off", arguments: [true, false])
  func restoreAsksForAnotherAttempt(comesThrough: Bool) throws {
    _ = bench.loop.release([try bench.row("bad")])
    fail("swap.settleAside")
    try bench.restart()
    if !comesThrough { fail("swap.settleAside") }
    let handle = try bench.engine.restore(.paths([Array("\(bench.cache)/bad".utf8)]), pinUntil: nil)
    bench.runCommands()
    try bench.window()
    if comesThrough {
      #expect(handle.current.failures == [])
      #expect(bench.read("bad") == "content of bad")
    } else {
      #expect(try #require(handle.current.failures.first).contains("can't be finished"))
    }
    try expectThatItIsFinishedLater()
  }

  @Test("a file that lingers and can't be freed")
  func fileThatLingersAndCannotBeFreed() throws {
    for name in ["bad", "good"] { _ = bench.loop.release([try bench.row(name)]) }
    bench.clock.advance(.seconds(3))
    fail("release.open")
    try bench.loop.finishLingering()
    try expectThatItWaits("release")
    #expect(bench.leftovers().count == 1)
    try expectThatItIsFinishedLater()
  }

  @Test("a release that can't be undone")
  func releaseThatCannotBeUndone() throws {
    fail("release.exchange")
    fail("swap.settleAside")
    let outcome = bench.loop.release([try bench.row("bad"), try bench.row("good")])
    guard case .held = outcome.first, case .released = outcome.last else {
      Issue.record("\(outcome)")
      return
    }
    try expectThatItWaits("release")
    try expectThatItIsFinishedLater()
  }

  @Test("a restore that can't be undone")
  func restoreThatCannotBeUndone() throws {
    for name in ["bad", "good"] { try bench.release(name) }
    fail("restore.exchange")
    fail("swap.settleAside")
    #expect(try bench.restore("bad").failures.count == 1)
    #expect(bench.windows.condition.lastError == nil)
    try expectThatItWaits("restore")
    #expect(try bench.restore("good").files == 1)
    try expectThatItIsFinishedLater()
  }

  @Test("an archive whose remains the target doesn't let go")
  func archiveWhoseRemainsTheTargetDoesNotLetGo() throws {
    apps.create("bad", "new content of bad")
    try bench.look()
    bench.clock.advance(.seconds(61))
    let faults = bench.targetFaults
    faults.at("directory.rename", occurrence: faults.count(of: "directory.rename") + 1, .fail(errno: EIO))
    #expect(try bench.window() != nil)
    apps.create("good", "new content of good")
    try bench.look()
    bench.clock.advance(.seconds(61))
    faults.at("directory.remove", occurrence: faults.count(of: "directory.remove") + 1, .fail(errno: EACCES))
    #expect(try bench.window() == nil)
    #expect(bench.onNAS("good") == "new content of good")
    #expect(try Verdict.problems(of: bench, apps) == [])
  }

  /// Where names can't be exchanged, a crash leaves a moment in which the file has none.
  @Test("a file that a crash left without its name isn't taken for deleted")
  func fileWithoutItsNameIsNotTakenForDeleted() throws {
    let folder = try TemporaryDirectory()
    let bench = try Bench(renameFlags: false, in: folder)
    bench.write("bad", "content")
    try bench.archive()
    fail("swap.place", of: bench)
    fail("swap.settleAside", of: bench)
    fail("swap.settleAside", of: bench, after: 1)
    _ = bench.loop.release([try bench.row("bad")])
    #expect(!bench.exists("bad"))
    try bench.look()
    #expect(try bench.row("bad").copy != nil)
    bench.clock.advance(.seconds(61))
    try bench.loop.finishLingering()
    try bench.look()
    #expect(bench.read("bad") == "content")
    #expect(bench.leftovers() == [])
  }

  private func fail(_ site: CallSite, of bench: Bench, after calls: Int = 0) {
    bench.faults.at(site, occurrence: bench.faults.count(of: site) + 1 + calls, .fail(errno: EIO))
  }
}
