import Glibc
import Synchronization
import TierCore
import TierGuard
import TierLinux

/// Answers a connection's requests on a thread of its own, as tierd will.
package final class Recaller: Sendable {
  package enum Conduct: Sendable {
    /// Brings the content and lets everybody through who waits for it.
    case restore
    case deny(GuardErrno)
    /// Lets through without content: the guard must not believe it.
    case lie
    /// Says nothing, or only that it works.
    case wait, work
  }

  private struct State {
    var conduct: Conduct
    var waiting: [WaitingOpener] = []
    var requests: [GuardRequest] = []
    var restores = 0
    var failures: [String] = []
    var isEnding = false
  }

  private let connection: GuardConnection
  private let root: String?
  private let state: Mutex<State>
  private let thread = Mutex<OwnedThread?>(nil)

  package init(_ connection: GuardConnection, _ conduct: Conduct, root: String? = nil) {
    self.connection = connection
    self.root = root
    state = Mutex(State(conduct: conduct))
    thread.withLock { $0 = OwnedThread(name: "recaller") { [self] in run() } }
  }

  /// All that have come, in their order.
  package var requests: [GuardRequest] { state.withLock(\.requests) }
  package var restores: Int { state.withLock(\.restores) }
  package var failures: [String] { state.withLock(\.failures) }

  /// Also for those who wait already.
  package func behave(_ conduct: Conduct) { state.withLock { $0.conduct = conduct } }

  /// Ends the thread; who waits goes on waiting.
  package func end() {
    state.withLock { $0.isEnding = true }
    let running = thread.withLock { thread in
      defer { thread = nil }
      return thread
    }
    running?.join()
  }

  private func run() {
    while !state.withLock(\.isEnding) {
      if let opener = connection.next(atMost: .milliseconds(10)) {
        state.withLock { state in
          state.waiting.append(opener)
          state.requests.append(opener.request)
        }
      }
      let (conduct, waiting) = state.withLock { ($0.conduct, $0.waiting) }
      for opener in waiting { treat(opener, conduct) }
    }
  }

  private func treat(_ opener: WaitingOpener, _ conduct: Conduct) {
    let token = opener.request.token
    switch conduct {
    case .wait: return
    case .work: return connection.stillWorking(token)
    case .deny(let errno): connection.answer(token, .deny(errno))
    case .lie: connection.answer(token, .allow)
    case .restore:
      do {
        if try !isRestored(opener.file) {
          try restore(opener.file)
          state.withLock { $0.restores += 1 }
        }
        connection.answer(token, .allow)
      } catch {
        state.withLock { $0.failures.append("\(error)") }
        connection.answer(token, .deny(.inputOutput))
      }
    }
    state.withLock { state in state.waiting.removeAll { $0.request.token == token } }
  }

  /// tierd's own accesses are events too, and a guard that dies with one of them in its hands fails it.
  private func restore(_ file: Descriptor, attempts: Int = 5) throws {
    do {
      try Placeholder.restore(file, root: root)
    } catch let error as SyscallError where attempts > 1 && [EAGAIN, EPERM].contains(error.errno) {
      try restore(file, attempts: attempts - 1)
    }
  }

  private func isRestored(_ file: Descriptor) throws -> Bool {
    let value = try Placeholder.identity(of: file)
    return value.withUnsafeBytes { IdentityState.peek($0)?.withholdsContent == false }
  }
}
