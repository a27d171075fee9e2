import CTierLinux
import Glibc
import TierCore

/// Ends another thread's wait: an eventfd that stays signalled until it is cleared.
package final class Wakeup: Sendable {
  private let event: Descriptor

  /// `lowest`: for whoever must keep the numbers below free.
  package init(lowest: Int32 = 0) throws(SyscallError) {
    let number = tier_eventfd()
    guard number >= 0 else { throw SyscallError(call: "eventfd", path: "", errno: -number) }
    let event = Descriptor(owning: number)
    self.event = lowest == 0 ? event : try event.raised(to: lowest)
  }

  /// For `poll` and `epoll`: readable while signalled.
  package var descriptor: Int32 { event.raw }

  package func signal() {
    var one: UInt64 = 1
    // Full means signalled already.
    _ = tier_write(event.raw, &one, 8)
  }

  package func clear() {
    var count: UInt64 = 0
    _ = tier_read(event.raw, &count, 8)
  }

  /// Waits for a signal and takes it; false when the time is over. Nil waits for ever.
  package func wait(atMost timeout: Duration?) -> Bool {
    let clock = SystemClock()
    let end = timeout.map { clock.monotonic + $0 }
    while true {
      let left = end.map { max(.zero, $0 - clock.monotonic) }
      var poll = pollfd(fd: event.raw, events: Int16(POLLIN), revents: 0)
      if tier_poll(&poll, 1, left?.nanoseconds ?? -1) > 0 {
        clear()
        return true
      }
      if left == .zero { return false }
    }
  }
}
