import CTierLinux
import Glibc
import Synchronization

/// Owns one file descriptor: closed by `close` or with its last reference, never twice.
package final class Descriptor: Sendable {
  private let number: Atomic<Int32>

  package init(owning number: Int32) { self.number = Atomic(number) }

  /// -1 once closed: the kernel then answers EBADF.
  package var raw: Int32 { number.load(ordering: .relaxed) }

  package func close() {
    let owned = number.exchange(-1, ordering: .relaxed)
    if owned >= 0 { _ = tier_close(owned) }
  }

  deinit { close() }
}
