import Glibc
import Synchronization
import TierLinux

/// Lines on standard error, written by a thread of its own: standard error may be a file on a guarded file system,
/// and a thread that answers for that must not wait for itself.
final class GuardLog: Sendable {
  private struct State {
    var lines: [String] = []
    var dropped = 0
  }

  private static let linesMax = 1000
  private let state = Mutex(State())
  private let wakeup: Wakeup

  init(_ wakeup: Wakeup) {
    self.wakeup = wakeup
  }

  func start() -> OwnedThread {
    OwnedThread(name: "guard log", stackBytes: 256 << 10) { [self] in
      while true {
        _ = wakeup.wait(atMost: nil)
        flush()
      }
    }
  }

  func write(_ line: String) {
    state.withLock { state in
      if state.lines.count < Self.linesMax { state.lines.append(line) } else { state.dropped += 1 }
    }
    wakeup.signal()
  }

  /// Also for the last words before an exit.
  func flush() {
    let (lines, dropped) = state.withLock { state in
      defer { state = State() }
      return (state.lines, state.dropped)
    }
    for line in lines { Self.put(line) }
    if dropped > 0 { Self.put("\(dropped) more lines were dropped") }
  }

  private static func put(_ line: String) {
    let bytes = Array("tier-guard: \(line)\n".utf8)
    _ = Glibc.write(2, bytes, bytes.count)
  }
}
