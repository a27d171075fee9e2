import CTierLinux
import Glibc
import TierCore

/// A program to run, with everything it sees: nothing of tierd's environment is inherited.
package struct ChildCommand: Sendable {
  /// A path, or a name that is looked up in tierd's own PATH.
  package var program: String
  /// Without the program's name. Bytes: file names among them need not be UTF-8.
  package var arguments: [[UInt8]]
  package var environment: [String: String]
  /// Nil: tierd's.
  package var directory: String?

  package init(
    _ program: String, _ arguments: [String] = [], environment: [String: String] = [:],
    directory: String? = nil
  ) {
    self.init(
      program, bytes: arguments.map { Array($0.utf8) }, environment: environment, directory: directory)
  }

  package init(
    _ program: String, bytes arguments: [[UInt8]], environment: [String: String] = [:],
    directory: String? = nil
  ) {
    self.program = program
    self.arguments = arguments
    self.environment = environment
    self.directory = directory
  }
}

package enum ChildEnding: Hashable, Sendable {
  case exited(Int32)
  case signalled(Int32)
  /// The deadline came: the whole group was ended.
  case timedOut
  /// The caller's `shouldStop` said so: the whole group was ended.
  case stopped
}

package struct ChildResult: Sendable {
  package var ending: ChildEnding
  /// The last `keptBytes` of each stream.
  package var output: [UInt8]
  package var errors: [UInt8]

  package var succeeded: Bool { ending == .exited(0) }
  /// What the program said on standard error, for messages: printable, trimmed.
  package var errorText: String {
    let lines = errors.split(separator: UInt8(ascii: "\n")).map { EscapedText.encode(Array($0)) }
    return lines.joined(separator: "; ")
  }
}

package enum ChildStream: Sendable { case output, errors }

/// A running program in a session of its own: no terminal, standard input empty, no descriptor of tierd's.
/// Belongs to the thread that started it; the kernel kills it when that thread or the daemon ends.
package final class ChildProcess {
  /// Also its process group.
  package let pid: Int32
  private let ended: Descriptor
  private var output: ChildPipe
  private var errors: ChildPipe
  /// Or given up.
  private var isReaped = false

  /// Between TERM and KILL.
  private static let grace = Duration.seconds(2)
  /// After KILL: a process in an uninterruptible call on a dead disk must not hold tierd up for ever.
  private static let patience = Duration.seconds(10)

  package init(_ command: ChildCommand, keptBytes: Int = 64 << 10) throws(SyscallError) {
    let outputEnds = try Self.pipe()
    let errorEnds = try Self.pipe()
    output = ChildPipe(reading: outputEnds.read, keptBytes: keptBytes)
    errors = ChildPipe(reading: errorEnds.read, keptBytes: keptBytes)
    let result = Self.spawn(command, output: outputEnds.write.raw, errors: errorEnds.write.raw)
    guard result > 0 else {
      throw SyscallError(call: "exec", path: EscapedText.encode(Array(command.program.utf8)), errno: -result)
    }
    pid = result
    let number = tier_pidfd(result)
    ended = Descriptor(owning: number)
    guard number >= 0 else {
      kill(-result, SIGKILL)
      _ = tier_reap(result)
      isReaped = true
      throw SyscallError(call: "pidfd_open", path: "", errno: -number)
    }
  }

  /// Runs a program to its end.
  package static func run(
    _ command: ChildCommand, deadline: Duration, keptBytes: Int = 64 << 10,
    onLine: ((ChildStream, [UInt8]) -> Void)? = nil
  ) throws(SyscallError) -> ChildResult {
    try ChildProcess(command, keptBytes: keptBytes).wait(deadline: deadline, onLine: onLine)
  }

  /// Waits for the program's end. `shouldStop` is asked at least every `checkInterval`. `onLine` gets complete
  /// lines without their newline, on this thread; one longer than `keptBytes` comes in pieces. At the end
  /// nothing of its process group is left, whatever the ending (but for what even KILL can't end).
  package func wait(
    deadline: Duration, checkInterval: Duration = .milliseconds(100), shouldStop: () -> Bool = { false },
    onLine: ((ChildStream, [UInt8]) -> Void)? = nil
  ) -> ChildResult {
    precondition(!isReaped, "a child's end comes once")
    let clock = SystemClock()
    var limit = clock.monotonic + deadline
    var forced: ChildEnding?
    while true {
      let now = clock.monotonic
      if forced == nil, shouldStop() || now >= limit {
        forced = now >= limit ? .timedOut : .stopped
        kill(-pid, SIGTERM)
        limit = now + Self.grace
      } else if forced != nil, now >= limit {
        kill(-pid, SIGKILL)
        if now >= limit + Self.patience { return abandon(forced) }
      }
      if pump(atMost: min(checkInterval, max(.milliseconds(1), limit - now)), onLine) { break }
    }
    return finish(forced, onLine)
  }

  /// Ends the whole group at once; `wait` then tells.
  package func killNow() { if !isReaped { kill(-pid, SIGKILL) } }

  deinit {
    guard !isReaped else { return }
    kill(-pid, SIGKILL)
    _ = tier_reap(pid)
  }

  /// Moves output along; true once the program itself has ended.
  private func pump(atMost timeout: Duration, _ onLine: ((ChildStream, [UInt8]) -> Void)?) -> Bool {
    let readable = Int16(POLLIN)
    var polls = [
      pollfd(fd: ended.raw, events: readable, revents: 0),
      pollfd(fd: output.descriptor, events: readable, revents: 0),
      pollfd(fd: errors.descriptor, events: readable, revents: 0),
    ]
    guard tier_poll(&polls, 3, timeout.nanoseconds) > 0 else { return false }
    if polls[1].revents != 0 { output.drain { onLine?(.output, $0) } }
    if polls[2].revents != 0 { errors.drain { onLine?(.errors, $0) } }
    return polls[0].revents != 0
  }

  /// The program is a zombie still, so its group's number is taken: nobody else can be hit by the kill.
  private func finish(_ forced: ChildEnding?, _ onLine: ((ChildStream, [UInt8]) -> Void)?) -> ChildResult {
    kill(-pid, SIGKILL)
    let status = tier_reap(pid)
    isReaped = true
    output.drain { onLine?(.output, $0) }
    errors.drain { onLine?(.errors, $0) }
    output.flush { onLine?(.output, $0) }
    errors.flush { onLine?(.errors, $0) }
    let ending: ChildEnding = status >= 256 ? .signalled(status - 256) : .exited(status)
    return ChildResult(ending: forced ?? ending, output: output.kept, errors: errors.kept)
  }

  private func abandon(_ ending: ChildEnding?) -> ChildResult {
    isReaped = true
    return ChildResult(ending: ending ?? .timedOut, output: output.kept, errors: errors.kept)
  }

  private static func pipe() throws(SyscallError) -> (read: Descriptor, write: Descriptor) {
    var ends: (Int32, Int32) = (-1, -1)
    let result = withUnsafeMutableBytes(of: &ends) {
      tier_pipe($0.baseAddress!.assumingMemoryBound(to: Int32.self))
    }
    guard result >= 0 else { throw SyscallError(call: "pipe2", path: "", errno: -result) }
    _ = tier_set_nonblocking(ends.0)
    return (Descriptor(owning: ends.0), Descriptor(owning: ends.1))
  }

  private static func spawn(_ command: ChildCommand, output: Int32, errors: Int32) -> Int32 {
    let program = Array(command.program.utf8)
    let words = [program] + command.arguments
    let variables = command.environment.map { Array("\($0.key)=\($0.value)".utf8) }
    let strings = words + variables + (command.directory.map { [Array($0.utf8)] } ?? [])
    guard !program.isEmpty, !strings.contains(where: { $0.contains(0) }) else { return -EINVAL }
    var arguments = copies(words)
    var environment = copies(variables)
    defer { for string in arguments + environment { free(string) } }
    let directory = command.directory.map { strdup($0)! }
    defer { free(directory) }
    return arguments.withUnsafeMutableBufferPointer { arguments in
      environment.withUnsafeMutableBufferPointer { environment in
        var raw = tier_command(
          program: arguments[0], arguments: arguments.baseAddress, environment: environment.baseAddress,
          directory: directory, output: output, errors: errors)
        return tier_spawn(&raw)
      }
    }
  }

  private static func copies(_ strings: [[UInt8]]) -> [UnsafeMutablePointer<CChar>?] {
    strings.map { string in withCString(string) { strdup($0) } } + [nil]
  }
}

/// The reading end of a child's stream: cuts lines, keeps the tail.
private struct ChildPipe {
  private let end: Descriptor
  private let keptBytes: Int
  private var line: [UInt8] = []
  private var tail: [UInt8] = []

  init(reading end: Descriptor, keptBytes: Int) {
    self.end = end
    self.keptBytes = keptBytes
  }

  /// -1 once the stream has ended: poll then passes over it.
  var descriptor: Int32 { end.raw }
  var kept: [UInt8] { tail.suffix(keptBytes) }

  /// Takes what is there without waiting.
  mutating func drain(_ onLine: ([UInt8]) -> Void) {
    while end.raw >= 0 {
      var count = 0
      let portion = [UInt8](unsafeUninitializedCapacity: 32 << 10) { buffer, filled in
        count = tier_read(end.raw, buffer.baseAddress, buffer.count)
        filled = max(0, count)
      }
      if count == -Int(EAGAIN) { return }
      guard count > 0 else { return end.close() }
      tail += portion
      if tail.count > 2 * keptBytes { tail.removeFirst(tail.count - keptBytes) }
      cut(portion, onLine)
    }
  }

  /// Hands out a last line without a newline.
  mutating func flush(_ onLine: ([UInt8]) -> Void) {
    if !line.isEmpty { onLine(line) }
    line = []
  }

  private mutating func cut(_ portion: [UInt8], _ onLine: ([UInt8]) -> Void) {
    var rest = portion[...]
    while let newline = rest.firstIndex(of: UInt8(ascii: "\n")) {
      onLine(line + rest[..<newline])
      line.removeAll(keepingCapacity: true)
      rest = rest[(newline + 1)...]
    }
    line += rest
    if line.count > keptBytes { flush(onLine) }
  }
}
