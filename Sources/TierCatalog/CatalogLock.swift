import Glibc
import Synchronization
import TierCore

/// Held for as long as a catalog is open. The kernel lets go of it when the process ends, however it ends.
final class CatalogLock: Sendable {
  private let descriptor: Mutex<Int32?>

  init(directory: String) throws(TierError) {
    let path = directory + "/catalog.lock"
    let opened = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard opened >= 0 else {
      throw TierError(
        .catalog,
        "the catalog's lock can't be opened: check that the directory exists, is mounted read-write and belongs "
          + "to tierd's user", path: path, cause: String(cString: strerror(errno)), disposition: .fatal)
    }
    guard flock(opened, LOCK_EX | LOCK_NB) == 0 else {
      let holder = Self.holder(opened).map { "process \($0)" } ?? "another process"
      Glibc.close(opened)
      throw TierError(
        .catalog,
        "\(holder) has this catalog open: end it, or give this tierd a stateDirectory of its own", path: path,
        disposition: .fatal)
    }
    let text = Array("\(getpid())\n".utf8)
    // Only for the message above: a full disk must not keep the daemon from starting.
    if ftruncate(opened, 0) == 0 { _ = pwrite(opened, text, text.count, 0) }
    descriptor = Mutex(opened)
  }

  /// A second call does nothing. The file stays: removing it would let two processes lock two files.
  func release() {
    descriptor.withLock { descriptor in
      guard let open = descriptor else { return }
      // A child between its fork and its exec still shares the lock: closing alone would leave it held.
      flock(open, LOCK_UN)
      Glibc.close(open)
      descriptor = nil
    }
  }

  deinit { release() }

  private static func holder(_ descriptor: Int32) -> Int32? {
    var text = [UInt8](repeating: 0, count: 16)
    let count = pread(descriptor, &text, text.count, 0)
    guard count > 0 else { return nil }
    return Int32(String(decoding: text[..<count].prefix { $0 != 0x0A }, as: UTF8.self))
  }
}
