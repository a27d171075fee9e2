import Glibc
import TierCore
import TierLinux

/// Programs that others would use, to compare with.
enum Programs {
  static let environment = [
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C",
    "HOME": "/nonexistent",
    "RCLONE_CONFIG": "/dev/null",
  ]

  static func run(_ program: String, _ arguments: [String]) throws {
    let command = ChildCommand("/usr/bin/env", [program] + arguments, environment: environment)
    let result = try ChildProcess.run(command, deadline: .seconds(1800))
    guard result.succeeded else {
      throw SyscallFailure(
        description: "\(program) \(arguments.last ?? ""): \(result.ending): \(result.errorText)")
    }
  }

  static func shell(_ script: String) throws { try run("/bin/sh", ["-ec", script]) }

  /// This one, for probes in processes of their own.
  static let own: String = {
    var path = [UInt8](repeating: 0, count: Int(PATH_MAX))
    let length = readlink("/proc/self/exe", &path, path.count)
    return String(decoding: path[..<max(0, length)], as: UTF8.self)
  }()

  /// Runs until its output has had a line with each of the marks, one after the other, then hands out its pid and
  /// ends it. Gives the times from the start to each mark.
  static func run(
    _ program: String, _ arguments: [String], untilLines marks: [String],
    then body: @escaping (Int32) throws -> Void
  ) throws -> [Duration] {
    let clock = SystemClock()
    let begun = clock.monotonic
    var reached: [Duration] = []
    var failure: (any Error)?
    let child = try ChildProcess(
      ChildCommand("/usr/bin/env", [program] + arguments, environment: environment))
    let pid = child.pid
    let result = child.wait(deadline: .seconds(1800), checkInterval: .milliseconds(5)) {
      reached.count == marks.count
    } onLine: { _, line in
      guard reached.count < marks.count,
        String(decoding: line, as: UTF8.self).contains(marks[reached.count])
      else { return }
      reached.append(clock.monotonic - begun)
      guard reached.count == marks.count else { return }
      do { try body(pid) } catch { failure = error }
    }
    if let failure { throw failure }
    guard reached.count == marks.count else {
      let mark = marks[reached.count]
      throw SyscallFailure(
        description: "\(program) never said \"\(mark)\": \(result.ending): \(result.errorText)")
    }
    return reached
  }

  static func output(_ program: String, _ arguments: [String]) throws -> String {
    let command = ChildCommand("/usr/bin/env", [program] + arguments, environment: environment)
    let result = try ChildProcess.run(command, deadline: .seconds(60))
    guard result.succeeded else {
      throw SyscallFailure(description: "\(program): \(result.ending): \(result.errorText)")
    }
    return String(decoding: result.output, as: UTF8.self)
  }

  static func version(of program: String) -> String {
    let command = ChildCommand("/usr/bin/env", [program, "--version"], environment: environment)
    let result = try? ChildProcess.run(command, deadline: .seconds(10))
    let line = result?.output.split(separator: UInt8(ascii: "\n")).first ?? []
    return String(decoding: line, as: UTF8.self)
  }

  /// What must be there, as Debian packages it.
  static func require(_ programs: [String]) throws {
    let missing = programs.filter { program in
      !(environment["PATH"] ?? "").split(separator: ":").contains { access("\($0)/\(program)", X_OK) == 0 }
    }
    guard missing.isEmpty else {
      throw Obstacle(
        description: "lacks \(missing.joined(separator: ", ")): scripts/install-packages.sh test bench")
    }
  }
}
