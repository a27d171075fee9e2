import TierCore

/// How fast a walk may go: a million directories hold a disk for a minute or more, so long walks leave it room.
package struct WatchPace: Hashable, Sendable {
  /// Directories between two looks at the kernel's queue, which the walk must not let overflow.
  package var batch = 256
  /// A walk of up to so many goes at full speed.
  package var unhurriedAfter = 65_536
  /// From then on, it rests for this share of the time it worked.
  package var restShare = 0.5

  package init() {}

  package init(batch: Int, unhurriedAfter: Int, restShare: Double) {
    self.batch = batch
    self.unhurriedAfter = unhurriedAfter
    self.restShare = restShare
  }

  /// A listed directory leaves up to two events in the queue, its own and its parent's.
  func fitting(_ queuedEvents: Int) -> WatchPace {
    var pace = self
    pace.batch = max(1, min(batch, queuedEvents / 8))
    return pace
  }
}

/// When a walk pauses, and for how long.
struct WalkRhythm {
  private let pace: WatchPace
  private let clock: any TierClock
  private var resumed: Duration
  private var count = 0

  init(_ pace: WatchPace, _ clock: any TierClock) {
    self.pace = pace
    self.clock = clock
    resumed = clock.monotonic
  }

  mutating func isPause(_ directories: Int) -> Bool {
    count = directories
    return directories % pace.batch == 0
  }

  mutating func rest() -> Duration {
    let worked = clock.monotonic - resumed
    let rest = count > pace.unhurriedAfter ? worked * pace.restShare : .zero
    resumed += worked + rest
    return rest
  }
}

extension DirectoryWatches {
  /// Watches what is below `start`: first a directory's watch, then its listing, then what is in it, so that what
  /// is made meanwhile is met by either. Directories that are watched already aren't entered: their events keep
  /// them in step. `pause` is called after every directory, with their number so far.
  func walk(from start: WatchTree.Index, _ opened: OpenDirectory, root: OpenDirectory, pause: (Int) -> Void) {
    visit(start, opened, root: root, entersKnown: { _ in false }, pause: pause)
  }

  /// Brings all back in step after events were lost: walks everything, and lets go of what it didn't meet.
  func walkEverything(root: OpenDirectory, pause: (Int) -> Void) {
    isOutOfStep = false
    forgetRetired()
    for index in doubtful.keys { trust(index) }
    var met: Set<WatchTree.Index> = [WatchTree.root]
    visit(WatchTree.root, root, root: root, entersKnown: { met.insert($0).inserted }, pause: pause)
    for index in 1..<max(1, tree.indexLimit) where tree.isAlive(index) && !met.contains(index) {
      // A gap below a directory that was met is met too.
      if gaps[index] != nil, let parent = tree.parent(of: index), met.contains(parent) { continue }
      // One drop takes all that is below; nothing that was met is.
      if tree.isAlive(index) { drop(index) }
    }
  }

  /// Tries again what was refused by the limit, until it is refused again. What is watched now, to be walked.
  func retryGaps(root: OpenDirectory) -> [(RelativePath, WatchTree.Index, OpenDirectory)] {
    var mended: [(RelativePath, WatchTree.Index, OpenDirectory)] = []
    for (index, gap) in gaps where gap == .watchLimit {
      guard let path = tree.path(of: index), let name = path.name, let parent = tree.parent(of: index) else {
        continue
      }
      switch settle(name, under: parent, root: root) {
      case .new(let index, let directory): mended.append((path, index, directory))
      case .gap: return mended
      case .known, .absent, .unknown, .ignored: continue
      }
    }
    return mended
  }

  private func visit(
    _ start: WatchTree.Index, _ opened: OpenDirectory, root: OpenDirectory,
    entersKnown: (WatchTree.Index) -> Bool, pause: (Int) -> Void
  ) {
    let portion = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 8)
    defer { portion.deallocate() }
    // Parents by their watch: an index could be another directory's by the time its turn comes.
    var rest: [(parent: Int32, name: FileName)] = []
    var count = 0
    func list(_ index: WatchTree.Index, _ directory: OpenDirectory) {
      guard let watch = tree.watch(of: index) else { return }
      do throws(SyscallError) {
        rest += try directory.subdirectories(portion).map { (watch, $0) }
      } catch {
        noteGap(error, at: index)
      }
    }
    list(start, opened)
    while let (watch, name) = rest.popLast() {
      guard let parent = node(watching: watch) else { continue }
      switch settle(name, under: parent, root: root) {
      case .new(let index, let directory):
        _ = entersKnown(index)
        list(index, directory)
      case .known(let index, let directory):
        if entersKnown(index) { list(index, directory) }
      case .absent, .unknown, .gap, .ignored: break
      }
      count += 1
      pause(count)
    }
  }
}
