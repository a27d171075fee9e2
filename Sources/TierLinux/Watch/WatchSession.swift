import Glibc
import TierCore

/// One time of watching, from `start` to `stop`: reads events, keeps the watches in step with them, and tells
/// hints. `WatchSession+Events.swift` says what each event means.
final class WatchSession {
  /// A directory that left its place is expected elsewhere for so long, and until all that was queued by then has
  /// been read; after that it has left the volume. The halves of a rename come together, but another's events may
  /// stand between them, and a read may end there.
  static let holdTime = Duration.milliseconds(100)
  /// After a walk over everything, the next one waits for this many times its duration.
  static let resyncRest = 10
  static let rootCheckInterval = Duration.seconds(5)
  static let gapRetryInterval = Duration.seconds(60)
  static let lookAttempts = 3

  let watches: DirectoryWatches
  var hints = HintBuffer()
  private(set) var isVolumeGone = false
  private(set) var overflows = 0

  private let path: String
  private let source: any WatchSource
  private let pace: WatchPace
  private let clock: any TierClock
  private let mark: RootMark
  /// Everything queued before this time has been handled.
  private var caughtUpTo = Duration.zero
  private var nextRootCheck: Duration
  private var nextGapRetry = Duration.zero
  private var nextResync = Duration.zero
  private var directoriesNeeded = 0
  /// What came during a walk.
  private var carried = WatchTurn()
  /// The root while a turn or a chore needs it.
  private var openedRoot: OpenDirectory?
  /// The path of the last event's directory: most come in runs.
  private var lastPath: (index: WatchTree.Index, version: UInt64, path: RelativePath?)?

  init(path: String, root: OpenDirectory, source: any WatchSource, pace: WatchPace, clock: any TierClock) {
    self.path = path
    self.source = source
    self.pace = pace.fitting((try? WatchLimits.current().queuedEvents.count) ?? 16)
    self.clock = clock
    mark = RootMark(root, path: path)
    watches = DirectoryWatches(source: source, root: root) { clock.monotonic }
    nextRootCheck = clock.monotonic + Self.rootCheckInterval
  }

  func watchEverything(_ root: OpenDirectory, progress: (Int) -> Void) {
    if watches.gaps.isEmpty { walk(from: WatchTree.root, root, root: root, progress: progress) }
    progress(watches.tree.watchedCount)
    countWhatIsNeeded(root)
  }

  /// Returns with hints, when woken, when the volume is gone, or at `end`, but not before the queue has been read
  /// to its end.
  func wait(until end: Duration) throws(SyscallError) -> [Hint] {
    while true {
      let began = clock.monotonic
      let isReady = !hints.isEmpty || !carried.isEmpty
      carried.append(try source.next(atMost: isReady ? .zero : min(end, nextChore) - began))
      let turn = carried
      carried = WatchTurn()
      handle(turn)
      if turn.isQueueEmptied { caughtUpTo = began }
      doChores()
      openedRoot = nil
      let isOver = clock.monotonic >= end && turn.isQueueEmptied
      if isVolumeGone || turn.isWoken || !hints.isEmpty || isOver { return hints.take() }
    }
  }

  func close() { source.close() }

  var coverage: WatchCoverage {
    WatchCoverage(
      watchedDirectories: watches.tree.watchedCount,
      gaps: watches.describeGaps(atMost: 100, directoriesNeeded: directoriesNeeded),
      gapCount: watches.gaps.count, overflows: overflows)
  }

  // MARK: For the events

  /// Nil, and the end of watching, where another directory stands at the volume's path, or none.
  func root() -> OpenDirectory? {
    if let openedRoot { return openedRoot }
    guard let root = try? OpenDirectory(root: path), root.identity.isSameDirectory(as: mark.identity) else {
      isVolumeGone = true
      return nil
    }
    openedRoot = root
    return root
  }

  func endVolume() { isVolumeGone = true }

  func eventsWereLost(_ reason: String) {
    overflows += 1
    hints.add(.everything(reason))
    watches.isOutOfStep = true
  }

  /// Nil while the directory's place isn't known: what follows from its events then will be covered by the hint
  /// that tells its new place.
  func path(of index: WatchTree.Index) -> RelativePath? {
    if let last = lastPath, last.index == index, last.version == watches.tree.version { return last.path }
    let path = watches.tree.path(of: index)
    lastPath = (index, watches.tree.version, path)
    return path
  }

  func walk(
    from index: WatchTree.Index, _ directory: OpenDirectory, root: OpenDirectory,
    progress: (Int) -> Void = { _ in }
  ) {
    var rhythm = WalkRhythm(pace, clock)
    watches.walk(from: index, directory, root: root) { count in
      if rhythm.isPause(count) {
        progress(count)
        pause(rhythm.rest())
      }
    }
  }

  // MARK: Turns

  private func handle(_ turn: WatchTurn) {
    if turn.mountsChanged || clock.monotonic >= nextRootCheck {
      nextRootCheck = clock.monotonic + Self.rootCheckInterval
      guard let root = root() else { return }
      if turn.mountsChanged { lookAtMounts(root) }
    }
    for event in turn.events {
      handle(event)
      if isVolumeGone { return }
    }
    openedRoot = nil
  }

  /// Mount points inside the volume that came or went: what is there now is another directory.
  private func lookAtMounts(_ root: OpenDirectory) {
    for point in mark.changedMountPoints() {
      guard let name = point.name, let parent = watches.find(point.parent) else { continue }
      if let index = watches.tree.child(of: parent, named: name) { watches.drop(index) }
      if case .new(let index, let directory) = watches.settle(name, under: parent, root: root) {
        walk(from: index, directory, root: root)
      }
      hints.add(.subtree(point))
    }
  }

  /// During a walk: the queue must not overflow, and nothing may be handled before the walk is done.
  private func pause(_ rest: Duration) {
    let end = clock.monotonic + rest
    repeat {
      guard let turn = try? source.next(atMost: end - clock.monotonic) else { break }
      carried.append(turn)
      // A walk that is woken goes on at full speed.
      if turn.isWoken { break }
    } while clock.monotonic < end
    if carried.events.count > WatchTurn.eventLimit {
      carried.events = []
      eventsWereLost("more than \(WatchTurn.eventLimit) events while watches were added")
    }
  }

  // MARK: Chores

  private var nextChore: Duration {
    var next = nextRootCheck
    for since in watches.detached.values { next = min(next, since + Self.holdTime) }
    for doubt in watches.doubtful.values { next = min(next, doubt.since + Self.holdTime) }
    if watches.isOutOfStep { next = min(next, nextResync) }
    if watches.limitGapCount > 0 { next = min(next, nextGapRetry) }
    return next
  }

  private func doChores() {
    let now = clock.monotonic
    guard !isVolumeGone, nextChore <= now else { return }
    let ripe = caughtUpTo - Self.holdTime
    let movedOut = watches.detached.filter { $0.value <= ripe }
    for index in movedOut.keys where watches.detached[index] != nil { watches.drop(index) }
    if watches.isOutOfStep, now >= nextResync { resync() }
    for (index, doubt) in watches.doubtful where doubt.since <= ripe { lookAgain(index, doubt.attempts) }
    if watches.limitGapCount > 0, now >= nextGapRetry { retryGaps() }
  }

  private func resync() {
    guard let root = root() else { return }
    let began = clock.monotonic
    var rhythm = WalkRhythm(pace, clock)
    watches.walkEverything(root: root) { if rhythm.isPause($0) { pause(rhythm.rest()) } }
    nextResync = clock.monotonic + (clock.monotonic - began) * Self.resyncRest
    countWhatIsNeeded(root)
  }

  private func lookAgain(_ index: WatchTree.Index, _ attempts: Int) {
    // An earlier look may have let it go.
    guard watches.doubtful[index] != nil, let root = root() else { return }
    if let path = watches.tree.path(of: index), let directory = try? OpenDirectory(path, below: root),
      directory.identity.inode == watches.tree.inode(of: index)
    {
      watches.trust(index)
      walk(from: index, directory, root: root)
      hints.add(.subtree(path))
    } else if attempts < Self.lookAttempts {
      watches.tryAgainLater(index)
    } else {
      watches.trust(index)
      watches.isOutOfStep = true
      hints.add(.everything("the watches no longer fitted the directories"))
    }
  }

  private func retryGaps() {
    guard let root = root() else { return }
    nextGapRetry = clock.monotonic + Self.gapRetryInterval
    if watches.gaps[WatchTree.root] != nil, watches.watchRoot(root) {
      watches.isOutOfStep = true
      hints.add(.everything("the volume could not be watched until now"))
      return
    }
    for (path, index, directory) in watches.retryGaps(root: root) {
      walk(from: index, directory, root: root)
      hints.add(.subtree(path))
    }
    countWhatIsNeeded(root)
  }

  /// Once a limit was met, so that the message names the number that suffices.
  private func countWhatIsNeeded(_ root: OpenDirectory) {
    let known = watches.tree.watchedCount + watches.limitGapCount
    guard watches.limitGapCount > 0, known > directoriesNeeded else { return }
    nextGapRetry = clock.monotonic + Self.gapRetryInterval
    let counted = (try? WatchPreflight.count(root, atMost: .seconds(10)))?.0
    directoriesNeeded = max(known, counted ?? 0)
  }
}
