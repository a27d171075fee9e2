import CTierLinux
import Glibc
import TierCore
import TierLinux

/// The place of the control socket: whoever can reach it may do everything that tierd may do.
struct ControlSocket: Sendable {
  let path: String

  /// Makes the directory where it is missing, and takes away what an earlier daemon left. Refuses a directory
  /// that others can enter, a file that isn't a socket, and a socket that somebody answers at.
  func prepare() throws(TierError) {
    guard path.hasPrefix("/") else { throw refusal("the control socket's path must be absolute") }
    guard path.utf8.count < 108 else {
      throw refusal(
        "the control socket's path is longer than the kernel's 107 bytes: set a shorter \"socket\"")
    }
    try prepareDirectory()
    guard let status = Self.status(of: path, follow: false) else { return }
    guard status.st_mode & S_IFMT == S_IFSOCK else {
      throw refusal(
        "is there and isn't a socket, so tierd leaves it alone: remove it or set another \"socket\"")
    }
    let connection = tier_connect_stream(path)
    if connection >= 0 { _ = tier_close(connection) }
    switch connection {
    case 0..., -EAGAIN:
      throw refusal("another tierd is running and answers there: stop it or set another \"socket\"")
    case -ECONNREFUSED: break
    default: throw refusal("can't tell whether a tierd answers there", errno: -connection)
    }
    guard unlink(path) == 0 || errno == ENOENT else { throw refusal("can't be removed", errno: errno) }
  }

  /// After the bind, which follows the umask.
  func restrict() throws(TierError) {
    guard chmod(path, 0o600) == 0 else { throw refusal("can't be given mode 0600", errno: errno) }
  }

  var identity: SocketIdentity? { Self.status(of: path, follow: false).map { SocketIdentity($0) } }

  /// Removes the socket unless it is another daemon's by now.
  func remove(_ identity: SocketIdentity?) {
    if let identity, identity == self.identity { unlink(path) }
  }

  private func prepareDirectory() throws(TierError) {
    let cut = path.lastIndex(of: "/")!
    let directory = cut == path.startIndex ? "/" : String(path[..<cut])
    if mkdir(directory, 0o700) == 0 { return }
    guard errno == EEXIST else {
      throw TierError(
        .badConfiguration, "the control socket's directory can't be made", path: directory,
        cause: errnoText(errno))
    }
    guard let status = Self.status(of: directory, follow: true) else {
      throw TierError(.badConfiguration, "can't be looked at", path: directory, cause: errnoText(errno))
    }
    guard status.st_uid == geteuid(), status.st_mode & 0o077 == 0 else {
      throw TierError(
        .badConfiguration,
        "others can reach this directory (owner \(status.st_uid), mode 0\(String(status.st_mode & 0o7777, radix: 8)))"
          + ", and whoever reaches the control socket commands tierd: give the socket a directory of its own"
          + " with mode 0700",
        path: directory)
    }
  }

  private func refusal(_ message: String, errno number: Int32? = nil) -> TierError {
    TierError(.badConfiguration, message, path: path, cause: number.map(errnoText))
  }

  private static func status(of path: String, follow: Bool) -> stat? {
    var status = stat()
    return (follow ? stat(path, &status) : lstat(path, &status)) == 0 ? status : nil
  }
}

struct SocketIdentity: Hashable, Sendable {
  private let device: UInt64
  private let inode: UInt64

  init(_ status: stat) {
    device = UInt64(status.st_dev)
    inode = UInt64(status.st_ino)
  }
}
