import Glibc
import Synchronization
import Testing
import TierCore
import TierTestSupport

@testable import TierLinux

@Suite struct WatchTroubleTests {
  @Test(.enabled(if: WatchFixture.mayShortenQueue, "fs.inotify.max_queued_events can't be written"))
  func anOverflowIsToldAndMended() throws {
    let fixture = try WatchFixture(inMemory: true)
    try fixture.makeDirectories("old/a")
    try fixture.startWithShortQueue()
    try fixture.shell("mv old new; for i in $(seq 100); do mkdir -p $i/a; touch $i/f; done; rmdir 7/a")
    let hints = try fixture.settle()
    let reasons = hints.compactMap { if case .everything(let reason) = $0 { reason } else { nil } }
    #expect(
      reasons.first?.hasPrefix("the kernel's queue of events overflowed (fs.inotify.max_queued_events")
        == true)
    #expect(fixture.watcher.coverage.overflows >= 1)
    #expect(try fixture.directories().count == 202)
    #expect(fixture.watcher.coverage.watchedDirectories == 202)
  }

  @Test func lostEventsAreMendedByAWalk() throws {
    let tap = SourceTap()
    let fixture = try WatchFixture(source: tap)
    try fixture.makeDirectories("stays/a")
    try fixture.makeDirectories("goes/b")
    try fixture.makeDirectories("moves/c")
    try fixture.start()
    tap.onTurn = { turn in
      var lost = turn
      if !turn.events.isEmpty { lost.events = [InotifyEvent(watch: -1, mask: UInt32(IN_Q_OVERFLOW))] }
      return lost
    }
    try fixture.shell("rm -r goes; mv moves stays/moved; mkdir -p new/d goes; mv stays/a stays/b")
    _ = try fixture.watcher.wait(atMost: .seconds(5))
    tap.onTurn = { $0 }
    try fixture.settle()
    #expect(fixture.watcher.coverage.overflows >= 1)
    try fixture.expectEveryDirectoryIsHeard()
  }

  @Test func aBrokenRecordCountsAsAnOverflow() {
    var bytes = [UInt8](repeating: 0, count: 32)
    bytes[12] = 16
    bytes[16] = 0x61
    bytes.withUnsafeBytes { raw in
      #expect(InotifyEvent.parse(raw) == [InotifyEvent(watch: 0, mask: 0, name: FileName("a"))])
      for length in [1, 15, 16, 31] {
        #expect(InotifyEvent.parse(UnsafeRawBufferPointer(rebasing: raw[..<length])) == nil)
      }
      #expect(InotifyEvent.parse(UnsafeRawBufferPointer(rebasing: raw[..<0])) == [])
    }
  }

  /// The kernel may give a number anew before the end of the old watch has been read.
  @Test func reusedWatchNumbersAreToldApart() throws {
    let tap = SourceTap()
    let fixture = try WatchFixture(source: tap)
    try fixture.makeDirectories("a")
    try fixture.start()
    let old = try #require(tap.numbers.last)
    // From here on the next new watch gets the old number.
    var fresh: Int32?
    tap.onAdd = { [unowned tap] directory throws(SyscallError) in
      let number = try tap.real.add(directory, mask: DirectoryWatches.mask)
      if fresh == nil, !tap.numbers.contains(number) { fresh = number }
      return number == fresh ? old : number
    }
    tap.onTurn = { turn in
      var changed = turn
      for index in turn.events.indices where turn.events[index].watch == fresh {
        changed.events[index].watch = old
      }
      // The old watch's end is read last.
      changed.events.sort { !$0.has(IN_IGNORED) && $1.has(IN_IGNORED) }
      return changed
    }
    try fixture.shell("mkdir b && rmdir a")
    try fixture.settle()
    #expect(fresh != nil)
    #expect(fixture.watcher.coverage.watchedDirectories == 2)
    try fixture.make(at("b/f"))
    #expect(try fixture.settle().contains(.changed("b/f")))
  }

  @Test func linksLeadNowhereEvenWhenSwappedIn() throws {
    let outside = try TemporaryDirectory()
    let fixture = try WatchFixture()
    try fixture.shell("mkdir d; ln -s \(outside.path) link; ln -s .. up; ln -s d loop")
    try fixture.start()
    #expect(fixture.watcher.coverage.watchedDirectories == 2)
    // Directories by the time of their events, links by the time they are looked at.
    try fixture.shell(
      "mkdir -p e/f && mv e g && ln -s \(outside.path) e && rmdir g/f && ln -s \(outside.path) g/f")
    try fixture.settle()
    #expect(fixture.watcher.coverage.watchedDirectories == 3)
    try fixture.shell("touch \(outside.path)/secret")
    #expect(try fixture.settle() == [])
    try fixture.expectEveryDirectoryIsHeard()
  }

  @Test func refusedDirectoriesAreGapsUntilTheyAreNot() throws {
    let tap = SourceTap()
    let fixture = try WatchFixture(source: tap)
    try fixture.makeDirectories("open/a")
    try fixture.makeDirectories("closed/b")
    var calls = 0
    tap.onAdd = { _ throws(SyscallError) in
      calls += 1
      if calls == 3 { throw SyscallError(call: "inotify_add_watch", path: "", errno: EACCES) }
      return nil
    }
    try fixture.start()
    let gap = try #require(fixture.watcher.coverage.gaps.first)
    #expect(fixture.watcher.coverage.gapCount == 1)
    #expect(
      gap.reason == "inotify_add_watch: EACCES: Permission denied: only scans look there, as far as they may")
    try fixture.shell("chmod 700 \(gap.directory)")
    #expect(try fixture.settle().contains(.subtree(gap.directory)))
    #expect(fixture.watcher.coverage.gapCount == 0)
    try fixture.expectEveryDirectoryIsHeard()
    tap.onAdd = { (_) throws(SyscallError) in
      throw SyscallError(call: "inotify_add_watch", path: "", errno: EACCES)
    }
    try fixture.shell("mkdir x y; mv x z; rmdir y")
    try fixture.settle()
    #expect(fixture.watcher.coverage.gaps.map(\.directory) == [at("z")], "gaps move and go")
  }

  @Test(.enabled(if: ChildSuite.hasUserNamespaces, "no user namespaces for this user here"))
  func limitsAreMetInANamespaceOfOurOwn() throws {
    // More watches and instances than allowed: the limits of a fresh user namespace, in a process of its own.
    try ChildSuite.run("WatchLimitTests", after: "unshare -U -r")
  }

  @Test(.enabled(if: ChildSuite.hasUserNamespaces, "no user namespaces for this user here"))
  func unreadableDirectoriesAreGaps() throws {
    // No capability, so that permissions count for root too.
    try ChildSuite.run("WatchPermissionTests", after: "unshare -U")
  }

  @Test func messagesNameTheSettingThatSuffices() {
    let limits = WatchLimits(
      watches: .init(8192, "fs.inotify.max_user_watches"),
      instances: .init(128, "fs.inotify.max_user_instances"),
      queuedEvents: .init(16384, "fs.inotify.max_queued_events"))
    #expect(
      limits.watchShortage(needed: 20_000, others: 100)
        == "needs 20000 watches, the limit is 8192 (fs.inotify.max_user_watches): "
        + "sysctl -w fs.inotify.max_user_watches=32768")
    #expect(limits.watchShortage(needed: 32_700, others: 100).hasSuffix("=65536"))
    #expect(
      limits.instanceShortage()
        == "needs 1 more inotify instance, the limit is 128 (fs.inotify.max_user_instances): "
        + "sysctl -w fs.inotify.max_user_instances=1024")
  }

  @Test func thePreflightCountsWhatWouldBeWatched() throws {
    let fixture = try WatchFixture()
    try fixture.shell("mkdir -p a/b/c .tierd/tmp d; ln -s a e; touch f")
    let preflight = try WatchPreflight(root: fixture.path)
    try fixture.start()
    #expect(preflight.directories == fixture.watcher.coverage.watchedDirectories)
    #expect(preflight.isComplete && preflight.shortage == nil)
    var tight = preflight
    tight.limits.watches.count = 4
    #expect(tight.shortage?.hasPrefix("needs 5 watches, the limit is 4 ") == true)
  }
}
