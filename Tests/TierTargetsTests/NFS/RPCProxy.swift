import Glibc
import Synchronization
import TierLinux

/// Stands between a client and a stand-in's NFS port, on 127.0.0.1, and passes everything on: counts the calls by
/// procedure, and lets a test change replies. There is no portmapper and no mount service at its address.
final class RPCProxy: Sendable {
  /// NFSv3's procedures.
  enum Procedure: UInt32 {
    case null, getattr, setattr, lookup, access, readlink, read, write, create, mkdir, symlink, mknod, remove,
      rmdir,
      rename, link, readdir, readdirplus, fsstat, fsinfo, pathconf, commit
  }

  let port: UInt16
  private let listener: Descriptor
  private let state = Mutex(State())
  private let upstream: String
  private let isPrivileged: Bool
  /// May change the reply's bytes (after the record mark), given its procedure and its number among those.
  private let tamper: @Sendable (Procedure, Int, inout [UInt8]) -> Void

  private struct State {
    var calls: [Procedure: Int] = [:]
    var replies: [Procedure: Int] = [:]
  }

  /// `isPrivileged`: from a port below 1024, as a client with the right to do so.
  init(
    to upstream: String, isPrivileged: Bool = true,
    tamper: @escaping @Sendable (Procedure, Int, inout [UInt8]) -> Void = { _, _, _ in }
  )
    throws
  {
    self.upstream = upstream
    self.isPrivileged = isPrivileged
    self.tamper = tamper
    let socket = Self.makeSocket()
    var address = Self.address("127.0.0.1", 0)
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let bound = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(socket, $0, length) == 0 && listen(socket, 8) == 0 && getsockname(socket, $0, &length) == 0
      }
    }
    guard bound else { throw SyscallFailure(errno: errno) }
    port = address.sin_port.bigEndian
    listener = Descriptor(owning: socket)
    _ = OwnedThread(name: "rpc-proxy") { [self] in accept() }
  }

  struct SyscallFailure: Error { var errno: Int32 }

  var calls: [Procedure: Int] { state.withLock(\.calls) }
  func forgetCalls() { state.withLock { $0 = State() } }

  func close() {
    shutdown(listener.raw, Int32(SHUT_RDWR))
    listener.close()
  }

  private func accept() {
    while true {
      let client = Glibc.accept(listener.raw, nil, nil)
      guard client >= 0 else { return }
      let server = Self.makeSocket()
      if isPrivileged { bindresvport(server, nil) }
      var address = Self.address(upstream, 2049)
      let connected = withUnsafeMutablePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          connect(server, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
        }
      }
      if connected { relay(client, server) }
      Glibc.close(client)
      Glibc.close(server)
    }
  }

  /// One connection at a time is enough for one session.
  private func relay(_ client: Int32, _ server: Int32) {
    var calls: [UInt8] = []
    var replies: [UInt8] = []
    var pending: [UInt32: Procedure] = [:]
    while true {
      var events = [
        pollfd(fd: client, events: Int16(POLLIN), revents: 0),
        pollfd(fd: server, events: Int16(POLLIN), revents: 0),
      ]
      guard poll(&events, 2, -1) > 0 else { return }
      if events[0].revents != 0 {
        guard receive(client, into: &calls) else { return }
        while let record = Self.record(&calls) {
          note(record, &pending)
          guard send(record, to: server) else { return }
        }
      }
      if events[1].revents != 0 {
        guard receive(server, into: &replies) else { return }
        while var record = Self.record(&replies) {
          change(&record, &pending)
          guard send(record, to: client) else { return }
        }
      }
    }
  }

  private func note(_ record: [UInt8], _ pending: inout [UInt32: Procedure]) {
    guard Self.word(record, 12) == 100_003, let procedure = Procedure(rawValue: Self.word(record, 20)) else {
      return
    }
    pending[Self.word(record, 0)] = procedure
    state.withLock { $0.calls[procedure, default: 0] += 1 }
  }

  private func change(_ record: inout [UInt8], _ pending: inout [UInt32: Procedure]) {
    guard let procedure = pending.removeValue(forKey: Self.word(record, 0)) else { return }
    let number = state.withLock { state in
      state.replies[procedure, default: 0] += 1
      return state.replies[procedure]!
    }
    tamper(procedure, number, &record)
  }

  private func receive(_ socket: Int32, into buffer: inout [UInt8]) -> Bool {
    let room = 256 << 10
    let before = buffer.count
    buffer.reserveCapacity(before + room)
    var piece = [UInt8](repeating: 0, count: room)
    let count = read(socket, &piece, room)
    guard count > 0 else { return false }
    buffer += piece[..<count]
    return true
  }

  private func send(_ record: [UInt8], to socket: Int32) -> Bool {
    var mark = UInt32(record.count | 1 << 31).bigEndian
    let bytes = withUnsafeBytes(of: &mark) { Array($0) } + record
    var sent = 0
    while sent < bytes.count {
      let count = bytes.withUnsafeBytes {
        Glibc.send(socket, $0.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { return false }
      sent += count
    }
    return true
  }

  /// The next whole record, without its mark. Both sides send records in one fragment.
  private static func record(_ buffer: inout [UInt8]) -> [UInt8]? {
    guard buffer.count >= 4 else { return nil }
    let length = Int(word(buffer, 0) & 0x7FFF_FFFF)
    guard buffer.count >= 4 + length else { return nil }
    let record = Array(buffer[4..<4 + length])
    buffer.removeFirst(4 + length)
    return record
  }

  private static func word(_ bytes: [UInt8], _ offset: Int) -> UInt32 {
    guard bytes.count >= offset + 4 else { return .max }
    return bytes[offset..<offset + 4].reduce(0) { $0 << 8 | UInt32($1) }
  }

  private static func makeSocket() -> Int32 {
    socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
  }

  private static func address(_ text: String, _ port: UInt16) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    inet_pton(AF_INET, text, &address.sin_addr)
    return address
  }
}
