import ArgumentParser
import FoundationEssentials
import Glibc
import TierAPI
import TierConsole
import TierCore

struct PolicyCommands: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "policy", abstract: "See, check and explain policies.",
    discussion: "Example:\n  tierctl policy list",
    subcommands: [PolicyList.self, PolicyCheck.self, PolicyExplain.self])
}

struct PolicyList: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List the policies in force.",
    discussion: "Example:\n  tierctl policy list -o wide")

  @OptionGroup var shared: SharedOptions

  func run() throws {
    let report = try shared.client.policies()
    try shared.print(report)
    for diagnostic in report.diagnostics { Console().note("not in force: \(diagnostic.sentence)") }
  }
}

struct PolicyCheck: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check", abstract: "Check policy files against the running configuration; nothing changes.",
    discussion: """
      Exit code 78 if any is bad. Without a daemon: tierd check-policy.

      Examples:
        tierctl policy check /etc/tierd/policies/photos.yaml
        tierctl policy check - < new.yaml
      """)

  @OptionGroup var shared: SharedOptions
  @Argument(help: "Policy files; - is the standard input.", completion: .file(extensions: ["yaml", "yml"]))
  var files: [String]

  func run() throws {
    var report = PolicyCheckReport(isValid: true)
    for file in files {
      let name = file == "-" ? "/dev/stdin" : "\(try NamedPath.resolve(ArgumentBytes.decode(file)))"
      let one = try shared.client.checkPolicy(
        PolicyTextBody(name: name, text: try text(of: file, named: name)))
      report.isValid = report.isValid && one.isValid
      report.diagnostics += one.diagnostics
    }
    try shared.print(report)
    guard report.isValid else { throw ExitCode(ExitStatus.badConfiguration.rawValue) }
  }

  /// At most 1 MiB, as the daemon has it.
  private func text(of file: String, named name: String) throws -> String {
    var bytes: [UInt8] = []
    let descriptor =
      file == "-"
      ? dup(STDIN_FILENO)
      : (ArgumentBytes.decode(file) + [0]).withUnsafeBytes { buffer in
        open(buffer.bindMemory(to: CChar.self).baseAddress!, O_RDONLY | O_CLOEXEC)
      }
    guard descriptor >= 0 else { throw ValidationError("\(name): \(String(cString: strerror(errno)))") }
    defer { close(descriptor) }
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    while true {
      let count = read(descriptor, &buffer, buffer.count)
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else { throw ValidationError("\(name): \(String(cString: strerror(errno)))") }
      if count == 0 { break }
      bytes += buffer[..<count]
      guard bytes.count <= 1 << 20 else { throw ValidationError("\(name): larger than 1 MiB, so no policy") }
    }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw ValidationError("\(name): not UTF-8, so no policy")
    }
    return text
  }
}

struct PolicyExplain: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "explain", abstract: "Say which policy decides about a path, and by which rule.",
    discussion: "Example:\n  tierctl policy explain /srv/cache/photos/2026/IMG_0001.jpg")

  @OptionGroup var shared: SharedOptions
  @Argument(help: "Files; they need not exist.") var paths: [TypedPath]

  func run() throws { try shared.print(paths) { try shared.client.explain($0) } }
}

struct Verify: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Read the NAS's copies and compare them with what was archived.",
    discussion: """
      Wakes the NAS and reads every copy whole. Copies that are two minutes old and unharmed count as proven: their \
      files may be released.

      Example:
        tierctl verify /srv/cache/photos/2026
      """)

  @OptionGroup var shared: SharedOptions
  @OptionGroup var list: PathList
  @OptionGroup var waiting: WaitOptions

  func run() throws {
    let client = shared.client
    let request = try client.verify(PathsBody(paths: list.resolved()))
    try RequestFollower(client: client, shared: shared).finish(request, wait: waiting.wait)
  }
}

struct Fsck: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Check the catalog against the volumes, and rebuild it.",
    discussion: """
      --rebuild makes the catalog anew from the volumes' stubs and the NAS's manifests.

      Example:
        tierctl fsck
      """)

  @OptionGroup var shared: SharedOptions
  @OptionGroup var waiting: WaitOptions
  @Flag(help: "Make the catalog anew; wakes the NAS.") var rebuild = false

  func run() throws {
    let client = shared.client
    let request = try client.fsck(FsckBody(rebuild: rebuild))
    try RequestFollower(client: client, shared: shared).finish(request, wait: waiting.wait)
  }
}

struct Doctor: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Check what tierd needs: limits, mounts, clocks, permissions.",
    discussion: """
      Each finding comes with what to do. Exit code 1 if there is a problem. The NAS is not woken.

      Example:
        tierctl doctor
      """)

  @OptionGroup var shared: SharedOptions

  func run() throws {
    let report = try shared.client.doctor()
    try shared.print(report)
    if report.checks.contains(where: { $0.result == .problem }) { throw ExitCode(ExitStatus.failed.rawValue) }
  }
}
