import CTierLinux
import Glibc
import Synchronization
import TierCore

/// Owns one file descriptor: closed by `close` or with its last reference, never twice.
package final class Descriptor: Sendable {
  private let number: Atomic<Int32>

  package init(owning number: Int32) { self.number = Atomic(number) }

  /// Another descriptor of the same open file; the caller keeps his.
  package convenience init(duplicating number: Int32) throws(SyscallError) {
    let copy = tier_duplicate(number, 0)
    guard copy >= 0 else { throw SyscallError(call: "fcntl", path: "", errno: -copy) }
    self.init(owning: copy)
  }

  /// -1 once closed: the kernel then answers EBADF.
  package var raw: Int32 { number.load(ordering: .relaxed) }

  /// What `/proc/self/fd` shows of it: a file's absolute path as this process sees it, raw. Empty where it isn't open.
  package static func name(of number: Int32) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: Int(PATH_MAX)) { text, count in
      count = max(0, tier_read_link(AT_FDCWD, "/proc/self/fd/\(number)", text.baseAddress, text.count))
    }
  }

  package var name: [UInt8] { Self.name(of: raw) }

  /// Another descriptor of the same open file, with the lowest free number that is not below `lowest`.
  package func raised(to lowest: Int32) throws(SyscallError) -> Descriptor {
    let copy = tier_duplicate(raw, lowest)
    guard copy >= 0 else { throw SyscallError(call: "fcntl", path: "", errno: -copy) }
    return Descriptor(owning: copy)
  }

  /// Gives the number away: its new owner closes it.
  package func take() -> Int32 { number.exchange(-1, ordering: .relaxed) }

  package func close() {
    let owned = number.exchange(-1, ordering: .relaxed)
    if owned >= 0 { _ = tier_close(owned) }
  }

  deinit { close() }
}
