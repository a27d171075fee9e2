import Glibc
import TierCore

/// Who is talked to, and what a failure in doing so means to a person.
struct NFSServer: Sendable {
  /// As configured.
  let host: String
  let numericAddress: String

  init(host: String, numericAddress: String) {
    self.host = host
    self.numericAddress = numericAddress
  }

  /// Asks the system's resolver; blocks as long as that does.
  static func resolve(_ host: String) throws(TierError) -> NFSServer {
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    let code = getaddrinfo(host, nil, &hints, &list)
    guard code == 0, let first = list else {
      throw TierError(
        .targetUnreachable,
        "the host name can't be resolved: check `host`, or name the address instead", path: host,
        cause: String(cString: gai_strerror(code)), disposition: .retry)
    }
    defer { freeaddrinfo(list) }
    var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
    getnameinfo(
      first.pointee.ai_addr, first.pointee.ai_addrlen, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST)
    return NFSServer(
      host: host, numericAddress: text.withUnsafeBufferPointer { String(cString: $0.baseAddress!) })
  }

  func timeoutFault(after timeout: Duration) -> TierError {
    TierError(
      .targetTimeout,
      "the server accepts the connection but doesn't answer within \(timeout): is it starting, overloaded or "
        + "hanging? (its disks may need longer to spin up: raise `timeout`)",
      path: host, disposition: .retry)
  }

  /// What ended an established connection, or kept one from being established. libnfs tells only by its text that
  /// the server refused the credentials.
  func brokenFault(_ cause: String, _ hasPrivilegedPort: Bool) -> TierError {
    if cause.contains("not accepted") || cause.contains("AUTH") {
      let privileged = hasPrivilegedPort ? "" : Self.privilegedPort + "; or "
      return TierError(
        .targetDenied,
        "the server refuses the client's identity: \(privileged)allow AUTH_SYS (\"sys\") in the export's settings",
        path: host, cause: cause)
    }
    return TierError(
      .targetUnreachable, "the connection to the server broke: is it restarting? tierd tries again",
      path: host,
      cause: cause, disposition: .retry)
  }

  func connectFault(
    _ error: TierError, _ socketError: Int32, _ program: NFSConnection.Program, port: UInt16,
    within timeout: Duration
  ) -> TierError {
    guard error.code != .targetDenied else { return error }
    let text = error.cause ?? ""
    let service = program == .nfs ? "NFS" : "mount"
    let place = port == 0 ? "\(host) (\(service) service)" : "\(host):\(port)"
    let message =
      if socketError == ECONNREFUSED {
        "nothing listens there: is the \(service) service switched on, and the port right?"
      } else if [EHOSTUNREACH, ENETUNREACH, EHOSTDOWN, ENETDOWN].contains(socketError) {
        "there is no way to the host: is it switched on, and in this network?"
      } else if text.contains("not available") || text.contains("not registered") || text.contains("PROGRAM")
      {
        "the server's portmapper knows no \(service) version 3: switch NFSv3 on"
      } else if error.code == .targetTimeout {
        "no answer within \(timeout): is the host switched on, and does a firewall let the \(service) port through?"
      } else {
        "the server can't be reached"
      }
    return TierError(
      error.code == .targetTimeout ? .targetTimeout : .targetUnreachable, message, path: place,
      cause: text.isEmpty ? nil : text, disposition: .retry)
  }

  static let privilegedPort =
    "the export wants a port below 1024, which only root or CAP_NET_BIND_SERVICE may use: grant it to tierd "
    + "(AmbientCapabilities=), or let the export accept any port (\"insecure\", \"non-privileged ports\")"
}
