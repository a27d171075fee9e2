import Glibc
import Synchronization
import Testing
import TierCore
import TierTestSupport

@testable import TierLinux

/// The volume goes away, or something else comes in its place.
@Suite struct WatchVolumeEndTests {
  @Test(.enabled(if: LoopFileSystem.Kind.tmpfs.isAvailable, "only root may mount"))
  func anUnmountedVolumeIsGone() throws {
    let volume = try LoopFileSystem(.tmpfs)
    mkdir("\(volume.path)/d", 0o755)
    let watcher = try InotifyWatcher(path: volume.path)
    try watcher.start { _ in }
    #expect(watcher.coverage.watchedDirectories == 2)
    try volume.unmount()
    try expectGone(watcher)
    #expect(watcher.coverage == WatchCoverage())
  }

  @Test(.enabled(if: LoopFileSystem.Kind.tmpfs.isAvailable, "only root may mount"))
  func aVolumeThatIsStillOpenSomewhereIsGoneAllTheSame() throws {
    let volume = try LoopFileSystem(.tmpfs)
    let holder = try volume.fileSystem()
    let watcher = try InotifyWatcher(path: volume.path)
    try watcher.start { _ in }
    #expect(throws: (any Error).self, "it is open") { try volume.unmount() }
    try run("umount -l \(volume.path)")
    try expectGone(watcher)
    _ = try holder.list(.root, at: "test.list")
  }

  @Test(.enabled(if: LoopFileSystem.Kind.tmpfs.isAvailable, "only root may mount"))
  func aMountOverTheVolumeHidesIt() throws {
    let volume = try LoopFileSystem(.tmpfs)
    let watcher = try InotifyWatcher(path: volume.path)
    try watcher.start { _ in }
    try run("mount -t tmpfs over \(volume.path)")
    defer { try? run("umount \(volume.path)") }
    try expectGone(watcher)
    try watcher.start { _ in }
    mkdir("\(volume.path)/seen", 0o755)
    #expect(try watcher.wait(atMost: .seconds(10)) == [.subtree("seen")], "started anew on what is there")
    watcher.stop()
  }

  @Test(.enabled(if: LoopFileSystem.Kind.tmpfs.isAvailable, "only root may mount"))
  func mountsInsideAreGapsWhileTheyLast() throws {
    let volume = try LoopFileSystem(.tmpfs)
    let other = try TemporaryDirectory()
    mkdir(other.path("x"), 0o755)
    let fixture = try WatchFixture(at: volume.path)
    try fixture.makeDirectories("a/b/c")
    try fixture.makeDirectories("bind")
    try fixture.start()
    #expect(fixture.watcher.coverage.watchedDirectories == 5)
    try run("mount -t tmpfs inside \(volume.path)/a/b && mount --bind \(volume.path)/a \(volume.path)/bind")
    defer { try? run("umount -l \(volume.path)/bind \(volume.path)/a/b") }
    let hints = try fixture.settle()
    #expect(hints.contains(.subtree("a/b")) && hints.contains(.subtree("bind")))
    let gaps = fixture.watcher.coverage.gaps
    #expect(gaps.map(\.directory).sorted() == [at("a/b"), at("bind")])
    #expect(gaps.allSatisfy { $0.reason.hasPrefix("another file system or subvolume") })
    #expect(fixture.watcher.coverage.watchedDirectories == 2)
    // The same is found by a watcher that starts now.
    let late = try WatchFixture(at: volume.path)
    try late.start()
    #expect(late.watcher.coverage.gapCount == 2 && late.watcher.coverage.watchedDirectories == 2)
    try run("umount \(volume.path)/bind \(volume.path)/a/b")
    try fixture.settle()
    try fixture.expectEveryDirectoryIsHeard()
  }

  @Test func aMovedOrDeletedRootIsGone() throws {
    let directory = try TemporaryDirectory()
    for change in ["mv root elsewhere", "rmdir root"] {
      try run("mkdir -p \(directory.path("root"))")
      let watcher = try InotifyWatcher(path: directory.path("root"))
      try watcher.start { _ in }
      try run("cd \(directory.path) && \(change)")
      try expectGone(watcher)
    }
  }

  /// Nothing tells of a parent's move: the root is looked at now and then.
  @Test func aRootWhoseParentMovedIsFoundMissing() throws {
    let directory = try TemporaryDirectory()
    try run("mkdir -p \(directory.path("parent/root"))")
    let clock = AdvancedClock()
    let watcher = try InotifyWatcher(path: directory.path("parent/root"), clock: clock)
    try watcher.start { _ in }
    try run("mv \(directory.path("parent")) \(directory.path("other"))")
    #expect(try watcher.wait(atMost: .zero) == [])
    clock.advance(by: WatchSession.rootCheckInterval)
    #expect(try watcher.wait(atMost: .zero) == [.volumeGone])
  }

  private func expectGone(_ watcher: InotifyWatcher) throws {
    var hints: [Hint] = []
    try eventually("the end of the volume") {
      hints += try watcher.wait(atMost: .milliseconds(50))
      return !hints.isEmpty
    }
    #expect(hints == [.volumeGone])
    #expect(try watcher.wait(atMost: .zero) == [], "told once")
  }

  private func run(_ script: String) throws {
    let result = try ChildProcess.run(ChildCommand("/bin/sh", ["-c", script]), deadline: .seconds(60))
    guard result.succeeded else { throw TierError(.internalFault, script, cause: result.errorText) }
  }
}

/// The real clock, put forward at will.
final class AdvancedClock: TierClock {
  private let offset = Mutex(Duration.zero)
  private let real = SystemClock()
  var now: Timestamp { real.now }
  var monotonic: Duration { real.monotonic + offset.withLock { $0 } }
  func advance(by delay: Duration) { offset.withLock { $0 += delay } }
}
