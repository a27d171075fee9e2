import CTierLinux
import Glibc
import TierCore

/// Tells systemd (or whoever set `NOTIFY_SOCKET`) how the service stands: sd_notify's protocol, one datagram a
/// message. Without a listener every call does nothing.
package struct ServiceNotification: Sendable {
  private let socket: String?
  /// A `watchdog()` is due more often than this; nil where none is asked for.
  package let watchdogInterval: Duration?

  package init(environment: (String) -> String? = { getenv($0).map { String(cString: $0) } }) {
    socket = environment("NOTIFY_SOCKET")
    let isOurs = environment("WATCHDOG_PID").map { Int32($0) == getpid() } ?? true
    watchdogInterval =
      isOurs ? environment("WATCHDOG_USEC").flatMap { Int64($0) }.map { .microseconds($0) } : nil
  }

  package func ready(status: String) { send(["READY=1", "STATUS=\(status)"]) }
  package func status(_ text: String) { send(["STATUS=\(text)"]) }
  package func watchdog() { send(["WATCHDOG=1"]) }
  package func stopping() { send(["STOPPING=1"]) }
  /// Followed by `ready` when done.
  package func reloading() {
    let (seconds, attoseconds) = SystemClock().monotonic.components
    send(["RELOADING=1", "MONOTONIC_USEC=\(seconds * 1_000_000 + attoseconds / 1_000_000_000_000)"])
  }

  private func send(_ lines: [String]) {
    guard let socket else { return }
    // Lines end messages: a status text with a newline in it would forge another field.
    let text = lines.map { $0.replacing("\n", with: " ") }.joined(separator: "\n")
    let bytes = Array(text.utf8)
    // A supervisor that doesn't listen is no reason to fail.
    _ = tier_send_datagram(socket, bytes, bytes.count)
  }
}
