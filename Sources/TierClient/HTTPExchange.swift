import CTierLinux
import Glibc

/// One request and its response over a unix socket, then the connection is closed. No call blocks for longer
/// than the time that is left.
struct HTTPExchange {
  /// The larger answers are pages of 10,000 files.
  static let responseBytesMax = 256 << 20

  private let bytes: [UInt8]

  static func get(_ target: String) -> HTTPExchange { HTTPExchange("GET", target, nil) }
  static func post(_ target: String, json: [UInt8]) -> HTTPExchange { HTTPExchange("POST", target, json) }

  init(_ method: String, _ target: String, _ body: [UInt8]?) {
    var head = "\(method) \(target) HTTP/1.1\r\nHost: tierd\r\nConnection: close\r\n"
    if let body { head += "Content-Type: application/json\r\nContent-Length: \(body.count)\r\n" }
    bytes = Array((head + "\r\n").utf8) + (body ?? [])
  }

  func perform(socket path: String, timeout: Duration) throws(ClientError) -> HTTPResponse {
    let deadline = ContinuousClock.now + timeout
    let descriptor = try connect(to: path)
    defer { _ = tier_close(descriptor) }
    try send(on: descriptor, before: deadline, timeout)
    var parser = HTTPResponseParser(bodyBytesMax: Self.responseBytesMax)
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    while true {
      try wait(for: POLLIN, on: descriptor, before: deadline, timeout)
      let count = Glibc.recv(descriptor, &buffer, buffer.count, 0)
      if count < 0 {
        if errno == EAGAIN || errno == EINTR { continue }
        throw .unexpected("the connection to tierd broke: \(reason(errno))")
      }
      let step = count == 0 ? parser.finish() : parser.consume(buffer[..<count])
      switch step {
      case .more: continue
      case .response(let response): return response
      case .malformed(let what): throw .unexpected("the answer at \(path) is not tierd's: \(what)")
      }
    }
  }

  private func connect(to path: String) throws(ClientError) -> Int32 {
    let descriptor = tier_connect_stream(path)
    if descriptor >= 0 { return descriptor }
    let other = "for another socket use --socket or TIERD_SOCKET"
    switch -descriptor {
    case ENOENT, ENOTDIR:
      throw .unreachable(
        "no control socket at \(path). Is tierd running? See `systemctl status tierd`; \(other)")
    case ECONNREFUSED:
      throw .unreachable(
        "nobody answers at \(path): tierd has stopped. See `systemctl status tierd` and `journalctl -u tierd`"
      )
    case EACCES, EPERM:
      throw .unreachable("no permission for \(path): run this as root (sudo) or as tierd's user; \(other)")
    case EAGAIN:
      throw .unreachable("tierd at \(path) has too many connections: try again")
    case let number:
      throw .unreachable("can't connect to \(path): \(reason(number)); \(other)")
    }
  }

  private func send(on descriptor: Int32, before deadline: ContinuousClock.Instant, _ timeout: Duration)
    throws(ClientError)
  {
    var rest = bytes[...]
    while !rest.isEmpty {
      try wait(for: POLLOUT, on: descriptor, before: deadline, timeout)
      let count = rest.withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      if count >= 0 {
        rest = rest.dropFirst(count)
      } else if errno == EPIPE || errno == ECONNRESET {
        // It may have answered before it closed: "too large", for instance.
        return
      } else if errno != EAGAIN && errno != EINTR {
        throw .unexpected("the connection to tierd broke: \(reason(errno))")
      }
    }
  }

  private func wait(
    for events: Int32, on descriptor: Int32, before deadline: ContinuousClock.Instant, _ timeout: Duration
  ) throws(ClientError) {
    while true {
      let left = ContinuousClock.now.duration(to: deadline)
      guard left > .zero else { throw .timedOut(seconds: timeout.components.seconds) }
      let milliseconds = min(left / .milliseconds(1), 3_600_000).rounded(.up)
      var entry = pollfd(fd: descriptor, events: Int16(events), revents: 0)
      let ready = poll(&entry, 1, Int32(milliseconds))
      if ready > 0 { return }
      if ready < 0 && errno != EINTR { throw .unexpected("poll failed: \(reason(errno))") }
    }
  }

  private func reason(_ number: Int32) -> String { String(cString: strerror(number)) }
}
