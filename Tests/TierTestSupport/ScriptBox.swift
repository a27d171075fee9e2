import Glibc

package struct BoxFailure: Error, CustomStringConvertible {
  package let description: String
}

/// A script that plays something large (a NAS, a cluster) and its socket, which is its stdin and stdout: a line asks, a
/// line `ok …` or `error …` answers. Closing the socket ends the script and all that it started, however this process
/// ends.
final class ScriptBox {
  private let name: String
  private var socket: Int32
  private var process: pid_t = 0
  private var received: [UInt8] = []

  /// `script`: below `Tests`.
  init(_ script: String, _ arguments: [String]) throws {
    name = script
    let folder = String(#filePath.dropLast("TierTestSupport/ScriptBox.swift".count))
    let arguments = ["/bin/bash", folder + script] + arguments
    var ends: [Int32] = [-1, -1]
    // Close-on-exec from the start: a process that another test spawns meanwhile must not keep the box alive.
    guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
      throw BoxFailure(description: "socketpair: \(errno)")
    }
    socket = ends[0]
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    posix_spawn_file_actions_adddup2(&actions, ends[1], 0)
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
    var argv: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
    let code = posix_spawn(&process, arguments[0], &actions, nil, &argv, environ)
    argv.forEach { free($0) }
    posix_spawn_file_actions_destroy(&actions)
    Glibc.close(ends[1])
    guard code == 0 else { throw BoxFailure(description: "cannot start \(arguments): \(code)") }
  }

  deinit { close() }

  @discardableResult
  func command(_ line: String) throws -> String {
    try send(line)
    return try answer()
  }

  private func send(_ line: String) throws {
    let bytes = Array((line + "\n").utf8)
    guard Glibc.send(socket, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count else {
      throw BoxFailure(description: "\(name) is gone (\(line): errno \(errno))")
    }
  }

  /// What follows `ok`. Loaded machines are slow, but not endlessly.
  func answer() throws -> String {
    while true {
      if let end = received.firstIndex(of: UInt8(ascii: "\n")) {
        let line = String(decoding: received[..<end], as: UTF8.self)
        received.removeSubrange(...end)
        guard line.hasPrefix("ok") else { throw BoxFailure(description: line) }
        return String(line.dropFirst(3))
      }
      var waiting = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
      guard poll(&waiting, 1, 60_000) == 1 else {
        throw BoxFailure(description: "\(name) doesn't answer")
      }
      var buffer = [UInt8](repeating: 0, count: 4096)
      let count = read(socket, &buffer, buffer.count)
      guard count > 0 else { throw BoxFailure(description: "\(name) ended by itself") }
      received += buffer[..<count]
    }
  }

  func close() {
    guard socket >= 0 else { return }
    Glibc.close(socket)
    socket = -1
    var status: Int32 = 0
    while waitpid(process, &status, 0) < 0 && errno == EINTR {}
  }
}
