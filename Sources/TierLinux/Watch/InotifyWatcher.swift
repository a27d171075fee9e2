import Glibc
import TierCore

/// Watches a volume by one inotify instance. It holds nothing of the volume open between two calls, so that the
/// volume can be unmounted.
///
/// `start`, `wait`, `stop` and `coverage` belong to one thread at a time; `wake` to any. That is the `unchecked`.
package final class InotifyWatcher: Watcher, @unchecked Sendable {
  /// Where the volume is mounted.
  let path: String
  let clock: any TierClock
  let pace: WatchPace
  private let makeSource: (Wakeup) throws(SyscallError) -> any WatchSource
  private let wakeup: Wakeup

  private enum State {
    case stopped
    case watching(WatchSession)
    /// The volume went away; nothing more is to be told.
    case gone
  }
  private var state = State.stopped
  private var overflows = 0

  /// `path` is absolute. A test's own `source` delegates to an `InotifySource`.
  package init(
    path: String, pace: WatchPace = WatchPace(), clock: any TierClock = SystemClock(),
    source: @escaping (Wakeup) throws(SyscallError) -> any WatchSource = { (wakeup) throws(SyscallError) in
      try InotifySource(wakeup: wakeup)
    }
  ) throws(TierError) {
    self.path = path
    self.pace = pace
    self.clock = clock
    makeSource = source
    do throws(SyscallError) { wakeup = try Wakeup() } catch { throw TierError(error) }
  }

  package func start(progress: (Int) -> Void) throws(TierError) {
    stop()
    do throws(SyscallError) {
      let root = try OpenDirectory(root: path)
      let session = WatchSession(
        path: path, root: root, source: try makeSource(wakeup), pace: pace, clock: clock)
      state = .watching(session)
      session.watchEverything(root, progress: progress)
    } catch {
      stop()
      throw TierError(error, code: .volumeUnavailable)
    }
  }

  /// No hints, and not woken: all that had happened when it was called has been told.
  ///
  /// While the caller scans or is otherwise busy, it should come by with no time to wait every 50 ms or thousand
  /// directories: the kernel keeps a limited number of events (16,384 by default), and a directory that is listed
  /// leaves up to two.
  package func wait(atMost timeout: Duration) throws(TierError) -> [Hint] {
    switch state {
    case .watching(let session):
      do throws(SyscallError) {
        let hints = try session.wait(until: clock.monotonic + timeout)
        overflows = session.overflows
        guard session.isVolumeGone else { return hints }
        session.close()
        state = .gone
        return [.volumeGone]
      } catch {
        throw TierError(error)
      }
    case .stopped, .gone:
      _ = wakeup.wait(atMost: timeout)
      return []
    }
  }

  package func wake() { wakeup.signal() }

  package func stop() {
    if case .watching(let session) = state { session.close() }
    state = .stopped
  }

  package var coverage: WatchCoverage {
    guard case .watching(let session) = state else { return WatchCoverage(overflows: overflows) }
    return session.coverage
  }
}
