import Glibc
import TierCore

/// The errno that `body` fails with; 0 where it doesn't.
func errno(_ body: () throws -> Void) -> Int32 {
  do {
    try body()
    return 0
  } catch let error as SyscallError {
    return error.errno
  } catch {
    return -1
  }
}

/// A bound datagram socket: a name of kind `socket`, and a place to receive notifications.
struct UnixSocket {
  let descriptor: Int32

  init(boundTo path: String) throws {
    descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let fits = withUnsafeMutableBytes(of: &address.sun_path) { place in
      place.copyBytes(from: path.utf8.prefix(place.count - 1))
      return path.utf8.count < place.count
    }
    let result = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    guard fits, result == 0 else { throw SyscallError(call: "bind", path: path, errno: Glibc.errno) }
  }

  func receive() -> String {
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = recv(descriptor, &buffer, buffer.count, 0)
    return String(decoding: buffer[..<max(0, count)], as: UTF8.self)
  }

  func close() { Glibc.close(descriptor) }
}
