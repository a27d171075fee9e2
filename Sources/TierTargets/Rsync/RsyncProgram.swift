import Glibc
import Synchronization
import TierCore
import TierLinux

/// Runs the rsync program against one server. Knows how to reach it, what it understands and what its complaints
/// mean; knows nothing of files.
final class RsyncProgram: Sendable {
  let settings: Configuration.Rsync
  private let timeout: Duration
  /// For tests: `--protocol=29`.
  private let extraOptions: [String]
  private let missingFeatures = Mutex<Set<Feature>>([])

  /// What only newer servers know. Asked for until a server refuses it.
  enum Feature: String, Sendable {
    /// Since 3.2.4.
    case fsync = "--fsync"
    /// Since 3.1.0; without it the server logs and reports each missing name.
    case ignoreMissing = "--ignore-missing-args"
  }

  /// The least speed that is waited for, in bytes a second, where a server works without sending anything
  /// (reading a large file for its checksum, writing one to its disk).
  private static let slowest: Int64 = 5 << 20

  init(_ settings: Configuration.Rsync, timeout: Duration, extraOptions: [String]) {
    self.settings = settings
    self.timeout = timeout
    self.extraOptions = extraOptions
  }

  struct Outcome {
    /// 0, or 23 to 25: done but for some files.
    var exitCode: Int32
    var stopped = false
    var output: [[UInt8]] = []
    /// What it said on standard error, without that a name is missing; the first thousand lines.
    var complaints: [[UInt8]] = []
    /// The first line that only says that a name is missing.
    var firstMissing: [UInt8]?
  }

  /// Runs rsync: from `source` on this machine to the target's folder, or to `destination` from the folder's
  /// module. (Not from the folder itself: a daemon of rsync 3.5.0 without chroot then looks for listed files in the
  /// wrong place.) `bytes` is how much content the run may move or read: it stretches the
  /// deadlines. `disturbed` is asked often; true ends the run at once.
  func run(
    _ options: [[UInt8]], features: [Feature] = [], from source: [UInt8]? = nil,
    to destination: [UInt8]? = nil,
    intoModule: Bool = false,
    bytes: Int64 = 0, disturbed: () -> Bool = { false }
  ) throws(TierError) -> Outcome {
    let known = missingFeatures.withLock { missing in features.filter { !missing.contains($0) } }
    let end =
      source == nil || intoModule
      ? module : module + (settings.folder.isRoot ? [] : settings.folder.bytes + [.slash])
    let places = source.map { [$0, end] } ?? destination.map { [end, $0] } ?? [end]
    let (outcome, error) = try attempt(
      options + known.map { Array($0.rawValue.utf8) }, places, bytes, disturbed)
    guard let error else { return outcome }
    guard !known.isEmpty, error.code == .unsupported else { throw error }
    let (second, secondError) = try attempt(options, places, bytes, disturbed)
    if let secondError { throw secondError }
    missingFeatures.withLock { $0.formUnion(known) }
    return second
  }

  private func attempt(
    _ options: [[UInt8]], _ places: [[UInt8]], _ bytes: Int64, _ disturbed: () -> Bool
  ) throws(TierError) -> (Outcome, TierError?) {
    let command = ChildCommand(
      "rsync", bytes: (common(bytes) + extraOptions).map { Array($0.utf8) } + options + places,
      environment: ["LC_ALL": "C", "TZ": "UTC0", "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": Self.home])
    var outcome = Outcome(exitCode: 0)
    var isDisturbed = false
    let result: ChildResult
    do throws(SyscallError) {
      let child = try ChildProcess(command)
      result = child.wait(
        deadline: timeout * 4 + .seconds(bytes / (1 << 20)), checkInterval: .milliseconds(20),
        shouldStop: {
          guard disturbed() else { return false }
          // At once: what is on its way must not be given its name.
          child.killNow()
          isDisturbed = true
          return true
        },
        onLine: { stream, line in outcome.take(line, from: stream) })
    } catch { throw RsyncTrouble.cannotStart(error) }
    outcome.stopped = isDisturbed
    if isDisturbed { return (outcome, nil) }
    switch result.ending {
    case .exited(let code):
      outcome.exitCode = code
      return (outcome, trouble(code, outcome))
    case .timedOut, .stopped:
      outcome.exitCode = 30
      return (outcome, trouble(30, outcome))
    case .signalled(let number):
      throw TierError(
        .targetFailed, "rsync was killed by signal \(number): by the OOM killer? See the kernel's log",
        path: address, disposition: .retry)
    }
  }

  private func trouble(_ code: Int32, _ outcome: Outcome) -> TierError? {
    let lines = outcome.complaints + (outcome.firstMissing.map { [$0] } ?? [])
    return RsyncTrouble(code, lines, settings: settings, address: address).error
  }

  // MARK: The command line

  /// For messages.
  var address: String {
    let user = settings.user.map { "\($0)@" } ?? ""
    let folder = settings.folder.isRoot ? "" : "/\(settings.folder)"
    return switch settings.transport {
    case .daemon(let port, let module, _):
      "rsync://\(user)\(settings.host)\(port == 873 ? "" : ":\(port)")/\(module)\(folder)"
    case .ssh(let port, let path, _, _):
      "ssh://\(user)\(settings.host)\(port == 22 ? "" : ":\(port)")\(path)\(folder)"
    }
  }

  private func common(_ bytes: Int64) -> [String] {
    let seconds = max(1, timeout.components.seconds)
    let options = [
      // Arguments travel inside the protocol: no shell and no glob of the server's sees them.
      "-s", "-8", "--no-motd", "--timeout=\(seconds + bytes / Self.slowest)",
    ]
    switch settings.transport {
    case .daemon(let port, _, let secretsFile):
      return options + ["--port=\(port)", "--contimeout=\(seconds)"]
        + (secretsFile.map { ["--password-file=\($0)"] } ?? [])
    case .ssh(let port, _, let identityFile, let knownHostsFile):
      var words = ["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=\(seconds)", "-p", "\(port)"]
      if let identityFile { words += ["-o", "IdentitiesOnly=yes", "-i", identityFile] }
      if let knownHostsFile { words += ["-o", "UserKnownHostsFile=\"\(knownHostsFile)\""] }
      return options + ["-e", words.map(Self.quoted).joined(separator: " ")]
    }
  }

  /// As rsync parts the words of `-e`: in quotes all but a doubled quote is literal.
  private static func quoted(_ word: String) -> String {
    guard word.contains(where: { " '\"".contains($0) }) else { return word }
    let parts = word.split(separator: "'", omittingEmptySubsequences: false)
    return "'" + parts.joined(separator: "''") + "'"
  }

  /// The root of the module or path, with a slash.
  private var module: [UInt8] {
    let host = settings.host.contains(":") ? "[\(settings.host)]" : settings.host
    let user = settings.user.map { "\($0)@" } ?? ""
    return switch settings.transport {
    case .daemon(_, let module, _): Array("\(user)\(host)::\(module)/".utf8)
    case .ssh(_, let path, _, _): Array("\(user)\(host):\(path.hasSuffix("/") ? path : path + "/")".utf8)
    }
  }

  /// Where ssh keeps a person's keys and known hosts, when the configuration names none.
  private static let home = getenv("HOME").map { String(cString: $0) } ?? "/root"
}

extension RsyncProgram.Outcome {
  private static let keptComplaints = 1000

  fileprivate mutating func take(_ line: [UInt8], from stream: ChildStream) {
    guard !line.isEmpty else { return }
    if stream == .output {
      output.append(line)
    } else if RsyncText.isAboutMissing(line) {
      if firstMissing == nil { firstMissing = line }
    } else if complaints.count < Self.keptComplaints {
      complaints.append(line)
    }
  }
}
