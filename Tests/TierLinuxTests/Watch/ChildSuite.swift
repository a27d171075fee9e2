import Foundation
import Testing
import TierCore
import TierTestSupport

@testable import TierLinux

/// Runs one suite of this test program in a process of its own, behind a program that changes what it may do.
enum ChildSuite {
  private static let variable = "TIERD_TEST_CHILD"

  /// For the suite's `.enabled(if:)`: it runs in no other way.
  static func isRunning(_ suite: String) -> Bool { ProcessInfo.processInfo.environment[variable] == suite }

  static let hasUserNamespaces: Bool = {
    let probe = ChildCommand("unshare", ["-U", "-r", "/bin/true"])
    return (try? ChildProcess.run(probe, deadline: .seconds(20)).succeeded) ?? false
  }()

  static func run(_ suite: String, after prefix: String) throws {
    let words = prefix.split(separator: " ").map(String.init)
    var environment = ProcessInfo.processInfo.environment
    environment[variable] = suite
    let program = try #require(CommandLine.arguments.first)
    let command = ChildCommand(
      words[0],
      Array(words.dropFirst()) + [program, "--testing-library", "swift-testing", "--filter", suite],
      environment: environment)
    let result = try ChildProcess.run(command, deadline: .seconds(120))
    let text = String(decoding: result.output + result.errors, as: UTF8.self)
    #expect(result.succeeded && text.contains("Suite \(suite) passed"), "\(text)")
  }
}

@Suite(
  .serialized,
  .enabled(if: ChildSuite.isRunning("WatchLimitTests"), "run by limitsAreMetInANamespaceOfOurOwn"))
struct WatchLimitTests {
  @Test func subtreesBeyondTheLimitAreGapsWithTheWayOut() throws {
    let clock = AdvancedClock()
    let fixture = try WatchFixture(clock: clock)
    try fixture.shell("for i in $(seq 10); do mkdir -p $i/a/b; done")
    try set("max_inotify_watches", 12)
    try fixture.start()
    let coverage = fixture.watcher.coverage
    #expect(coverage.watchedDirectories == 12 && coverage.gapCount >= 6)
    let reason =
      "needs 31 watches, the limit is 12 (user.max_inotify_watches): sysctl -w user.max_inotify_watches=1024"
    #expect(coverage.gaps.allSatisfy { $0.reason == reason }, "\(coverage.gaps)")
    // What comes later is a gap too, and told of.
    try fixture.shell("mkdir late")
    #expect(try fixture.watcher.wait(atMost: .seconds(10)) == [.subtree("late")])
    #expect(fixture.watcher.coverage.gaps.contains { $0.directory == at("late") })
    try set("max_inotify_watches", 1000)
    clock.advance(by: WatchSession.gapRetryInterval)
    var hints: [Hint] = []
    try eventually("all is watched") {
      hints += try fixture.watcher.wait(atMost: .milliseconds(10))
      return fixture.watcher.coverage.watchedDirectories == 32
    }
    #expect(fixture.watcher.coverage.gapCount == 0)
    for gap in coverage.gaps { #expect(hints.contains(.subtree(gap.directory))) }
    try fixture.settle()
    try fixture.expectEveryDirectoryIsHeard()
  }

  @Test func withoutAnInstanceTheVolumeIsOneGap() throws {
    let clock = AdvancedClock()
    let fixture = try WatchFixture(clock: clock)
    try fixture.makeDirectories("a/b")
    try set("max_inotify_instances", 0)
    try fixture.start()
    let reason =
      "needs 1 more inotify instance, the limit is 0 (user.max_inotify_instances): "
      + "sysctl -w user.max_inotify_instances=1024"
    #expect(fixture.watcher.coverage.gaps == [WatchCoverage.Gap(directory: .root, reason: reason)])
    #expect(try fixture.watcher.wait(atMost: .zero) == [])
    try set("max_inotify_instances", 100)
    clock.advance(by: WatchSession.gapRetryInterval)
    #expect(
      try fixture.watcher.wait(atMost: .seconds(10)) == [
        .everything("the volume could not be watched until now")
      ])
    try eventually("all is watched") {
      _ = try fixture.watcher.wait(atMost: .milliseconds(10))
      return fixture.watcher.coverage == WatchCoverage(watchedDirectories: 3)
    }
    try fixture.expectEveryDirectoryIsHeard()
  }

  private func set(_ setting: String, _ value: Int) throws {
    try "\(value)".write(toFile: "/proc/sys/user/\(setting)", atomically: false, encoding: .utf8)
  }
}

@Suite(.enabled(if: ChildSuite.isRunning("WatchPermissionTests"), "run by unreadableDirectoriesAreGaps"))
struct WatchPermissionTests {
  @Test func unreadableDirectoriesAreGapsUntilTheyMayBeRead() throws {
    let fixture = try WatchFixture()
    try fixture.shell("mkdir -p dark/a/b light; chmod 000 dark")
    defer { try? fixture.shell("chmod -R u+rwx .") }
    try fixture.start()
    #expect(
      fixture.watcher.coverage.gaps == [
        WatchCoverage.Gap(
          directory: at("dark"),
          reason: "openat2: EACCES: Permission denied: only scans look there, as far as they may")
      ])
    try fixture.shell("chmod 755 dark")
    #expect(try fixture.settle().contains(.subtree("dark")))
    #expect(fixture.watcher.coverage == WatchCoverage(watchedDirectories: 5))
    try fixture.expectEveryDirectoryIsHeard()
  }
}
