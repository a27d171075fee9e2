import Synchronization

/// One piece of work on a thread of its own, beside the caller's.
package final class Background<Value: Sendable>: Sendable {
  private let outcome: Outcome
  private let thread: OwnedThread

  package init(name: String, _ work: @escaping @Sendable () -> Value) {
    let outcome = Outcome()
    self.outcome = outcome
    thread = OwnedThread(name: name) {
      let value = work()
      outcome.value.withLock { $0 = value }
    }
  }

  /// Waits for it.
  package func value() -> Value {
    thread.join()
    return outcome.value.withLock { $0! }
  }

  private final class Outcome: Sendable {
    let value = Mutex<Value?>(nil)
  }
}
