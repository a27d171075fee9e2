/// What an event tells: where to look. Never believed alone, always checked against the file system.
package enum Hint: Hashable, Sendable {
  /// The name was made, written, moved in, its attributes changed, or it went away: compare it with the catalog.
  case changed(RelativePath)
  /// Somebody is writing to it: it is not quiet.
  case written(RelativePath)
  /// Opened or closed without being written: counts as use.
  case used(RelativePath)
  /// A directory appeared, moved or can't be trusted: scan it and all below it.
  case subtree(RelativePath)
  /// Events were lost or the watch is incomplete: scan the volume. The reason, for the log.
  case everything(String)
  /// The volume was unmounted or something was mounted over its root: stop believing what is seen there.
  case volumeGone
}

/// Watches one volume recursively. Belongs to the volume's thread, but for `wake`.
package protocol Watcher: AnyObject, Sendable {
  /// Adds watches from the root down; throttled, reporting `(directories so far)` now and then. Call before the
  /// first scan. Directories that can't be watched (limits, permissions) end up in `gaps`.
  func start(progress: (Int) -> Void) throws(TierError)
  /// Blocks until events came, `wake` was called or the time is over; keeps its own watches in step with
  /// directories that come, move and go. Hints are in the order of the events.
  func wait(atMost timeout: Duration) throws(TierError) -> [Hint]
  /// From any thread: makes the current or the next `wait` return at once.
  func wake()
  var coverage: WatchCoverage { get }
  /// Leaves no descriptor open.
  func stop()
}

package struct WatchCoverage: Hashable, Sendable {
  package struct Gap: Hashable, Sendable {
    package var directory: RelativePath
    /// In words, with the way out: "limit of 8192 watches reached: sysctl -w fs.inotify.max_user_watches=…".
    package var reason: String
    package init(directory: RelativePath, reason: String) {
      self.directory = directory
      self.reason = reason
    }
  }
  package var watchedDirectories: Int
  /// Subtrees that only scans cover; at most the first 100 are kept, `gapCount` counts all.
  package var gaps: [Gap]
  package var gapCount: Int
  package var overflows: Int

  package init(watchedDirectories: Int = 0, gaps: [Gap] = [], gapCount: Int = 0, overflows: Int = 0) {
    self.watchedDirectories = watchedDirectories
    self.gaps = gaps
    self.gapCount = gapCount
    self.overflows = overflows
  }
}
