import Synchronization
import TierCore
import TierLinux

/// Lets whoever opens a file that lingers under its lease go on to the guard, which holds him until the release is
/// called off. Until the lease is gone, a reader of the guard's hangs in the kernel with him; and the volume's own
/// thread may be at work elsewhere for longer than the few readers that there are can hang.
final class LingerWatch: Sendable {
  private struct State {
    var files: [ObjectIdentifier: any OpenFile] = [:]
    var isEnding = false
  }

  /// Who opens such a file waits so long.
  private static let interval = Duration.milliseconds(50)

  private let wake: @Sendable () -> Void
  private let state = Mutex(State())
  private let news: Wakeup
  private let thread = Mutex<OwnedThread?>(nil)

  /// `wake` is called where a lease was given up.
  init(_ wake: @escaping @Sendable () -> Void) throws(TierError) {
    self.wake = wake
    news = try wrapping("while preparing a thread") { () throws(SyscallError) in try Wakeup() }
  }

  func add(_ file: any OpenFile) {
    let isFirst = state.withLock { state in
      state.files[ObjectIdentifier(file)] = file
      return state.files.count == 1
    }
    if isFirst { news.signal() }
  }

  /// From the return on its lease is the caller's.
  func remove(_ file: any OpenFile) { state.withLock { $0.files[ObjectIdentifier(file)] = nil } }

  /// Begins to watch; until `end`.
  func start() {
    thread.withLock { $0 = OwnedThread(name: "linger", stackBytes: 128 << 10) { [self] in run() } }
  }

  func end() {
    state.withLock { $0 = State(isEnding: true) }
    news.signal()
    thread.withLock { $0?.join() }
  }

  private func run() {
    while true {
      let (isIdle, isEnding) = state.withLock { ($0.files.isEmpty, $0.isEnding) }
      if isEnding { return }
      _ = news.wait(atMost: isIdle ? nil : Self.interval)
      if state.withLock({ Self.giveUpBroken(&$0.files) }) { wake() }
    }
  }

  /// The volume's thread finds the lease gone, and gives the file back.
  private static func giveUpBroken(_ files: inout [ObjectIdentifier: any OpenFile]) -> Bool {
    let before = files.count
    for (key, file) in files where (try? file.leaseIsUndisturbed(at: "linger.undisturbed")) == false {
      try? file.dropLease(at: "linger.dropLease")
      files[key] = nil
    }
    return files.count < before
  }
}
