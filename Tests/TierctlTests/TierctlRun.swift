import Glibc
import TierControlSupport
import TierLinux
import TierTestSupport

/// The real binary against a server that records.
struct TierctlRun: Sendable {
  var status: Int32
  var output: String
  var errors: String

  static let program: String = {
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = buffer.withUnsafeMutableBytes { raw in
      readlink("/proc/self/exe", raw.bindMemory(to: CChar.self).baseAddress!, raw.count)
    }
    let own = String(decoding: buffer[..<max(0, count)], as: UTF8.self)
    return own.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
      + "/tierctl"
  }()

  /// Without a daemon, unless the environment names its socket.
  static func alone(_ arguments: [[UInt8]], environment: [String: String] = [:], directory: String? = nil)
    async throws -> TierctlRun
  {
    try await run(
      ChildCommand(
        program, bytes: arguments, environment: ["LANG": "C.UTF-8"].merging(environment) { $1 },
        directory: directory))
  }

  static func shell(_ line: String) async throws -> TierctlRun {
    try await run(
      ChildCommand("/bin/sh", ["-c", line], environment: ["LANG": "C.UTF-8", "PATH": "/usr/bin:/bin"]))
  }

  private static func run(_ command: ChildCommand) async throws -> TierctlRun {
    try await blocking {
      let result = try ChildProcess.run(command, deadline: .seconds(60), keptBytes: 4 << 20)
      guard case .exited(let status) = result.ending else { throw Ended(description: "\(result.ending)") }
      return TierctlRun(
        status: status, output: String(decoding: result.output, as: UTF8.self),
        errors: String(decoding: result.errors, as: UTF8.self))
    }
  }

  static func alone(_ arguments: [String], environment: [String: String] = [:]) async throws -> TierctlRun {
    try await alone(arguments.map { Array($0.utf8) }, environment: environment)
  }

  /// With a daemon; runs in `directory`.
  static func with(
    _ control: RecordingControl, _ arguments: [[UInt8]], environment: [String: String] = [:],
    in directory: String? = nil
  ) async throws -> TierctlRun {
    let place = try TemporaryDirectory()
    return try await withControlServer(control, socket: place.path("s")) {
      try await alone(
        arguments, environment: environment.merging(["TIERD_SOCKET": place.path("s")]) { $1 },
        directory: directory)
    }
  }

  static func with(_ control: RecordingControl, _ arguments: [String], environment: [String: String] = [:])
    async throws -> TierctlRun
  {
    try await with(control, arguments.map { Array($0.utf8) }, environment: environment)
  }
}

struct Ended: Error, CustomStringConvertible {
  let description: String
}
