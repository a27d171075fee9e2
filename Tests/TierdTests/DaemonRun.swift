import FoundationEssentials
import Glibc
import Synchronization
import TierCore
import TierLinux
import TierTestSupport

/// The real `tierd` on folders of its own, and the real `tierctl` to talk to it.
final class DaemonRun: Sendable {
  let folder: TemporaryDirectory
  private let state: Watched
  private let thread: OwnedThread

  /// Shared with the child's own thread.
  private final class Watched: Sendable {
    let log = Mutex<[String]>([])
    let pid = Mutex<Int32>(0)
    let ending = Mutex<ChildEnding?>(nil)
    let shouldStop = Atomic(false)
  }

  /// Beside the test's own executable.
  static func program(_ name: String) -> String {
    var buffer = [CChar](repeating: 0, count: 4096)
    let length = readlink("/proc/self/exe", &buffer, buffer.count)
    let own = String(decoding: buffer[..<max(0, length)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return own.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/") + "/"
      + name
  }

  /// With a folder as cache and one as target, unless others are named. `more`: lines for `tierd.yaml`.
  static func prepare(
    cache: String? = nil, target: String? = nil, more: String = "",
    policies: [String] = ["name: notes\nvolume: vol\npath: notes\nrelease: { keepBelow: 0 }\n"]
  ) throws -> TemporaryDirectory {
    let folder = try TemporaryDirectory()
    for name in ["cache", "nas", "policies"] { mkdir(folder.path(name), 0o755) }
    mkdir(folder.path("run"), 0o700)
    let files = try folder.fileSystem()
    let target = target ?? "directory: { path: \(folder.path)/nas }"
    try files.put(
      at("tierd.yaml"),
      """
      stateDirectory: \(folder.path)/state
      socket: \(folder.path)/run/tierd.sock
      policies: \(folder.path)/policies
      log: { format: json, level: info }
      volumes: [{ name: vol, path: \(cache ?? folder.path("cache")), settle: 1s }]
      targets: [{ name: nas, \(target) }]
      \(more)
      """)
    for (index, policy) in policies.enumerated() {
      try files.put(at("policies/\(index).yaml"), policy)
    }
    return folder
  }

  /// `clockAhead`: its wall clock goes so much before the machine's (the kernel's own file times don't).
  init(_ folder: TemporaryDirectory, clockAhead: Duration = .zero) throws {
    self.folder = folder
    let state = Watched()
    self.state = state
    let command = ChildCommand(
      Self.program("tierd"), ["run", "--config", folder.path("tierd.yaml")],
      environment: clockAhead == .zero
        ? [:]
        : [
          "LD_PRELOAD": Self.program("libLaterClock.so"),
          "TIERD_TEST_SECONDS_AHEAD": "\(clockAhead.components.seconds)",
        ])
    thread = OwnedThread(name: "tierd") {
      guard let child = try? ChildProcess(command) else { return }
      state.pid.withLock { $0 = child.pid }
      let result = child.wait(deadline: .seconds(900), checkInterval: .milliseconds(20)) {
        state.shouldStop.load(ordering: .relaxed)
      } onLine: { _, line in
        state.log.withLock { $0.append(String(decoding: line, as: UTF8.self)) }
      }
      state.ending.withLock { $0 = result.ending }
    }
  }

  var log: [String] { state.log.withLock { $0 } }

  func waitUntilReady() throws {
    try eventually(within: .seconds(60), "tierd is ready") {
      if let ending = state.ending.withLock({ $0 }) {
        throw NeverHappened(description: "tierd \(ending): \(log.suffix(5))")
      }
      return log.contains { $0.contains("\"ready\"") }
    }
  }

  /// SIGTERM, then its end.
  func stop() {
    state.shouldStop.store(true, ordering: .relaxed)
    thread.join()
  }

  /// SIGSTOP, SIGCONT and the like.
  func signal(_ number: Int32) {
    let pid = state.pid.withLock { $0 }
    if pid > 1, state.ending.withLock({ $0 == nil }) { kill(pid, number) }
  }

  /// As by a crash: nothing is finished.
  func killNow() {
    signal(SIGKILL)
    thread.join()
  }

  func tierctl(_ arguments: String...) throws -> (status: Int32, output: String, errors: String) {
    try tierctl(arguments.map { Array($0.utf8) })
  }

  /// File names need not be UTF-8.
  func tierctl(_ arguments: [[UInt8]]) throws -> (status: Int32, output: String, errors: String) {
    let result = try ChildProcess.run(
      ChildCommand(
        Self.program("tierctl"), bytes: arguments,
        environment: ["TIERD_SOCKET": folder.path("run/tierd.sock"), "LANG": "C.UTF-8"]),
      deadline: .seconds(300), keptBytes: 64 << 20)
    guard case .exited(let status) = result.ending else {
      throw NeverHappened(description: "\(result.ending)")
    }
    return (
      status, String(decoding: result.output, as: UTF8.self), String(decoding: result.errors, as: UTF8.self)
    )
  }

  /// What `tierctl … -o json` prints.
  func report<Report: Decodable>(_ arguments: String...) throws -> Report {
    let answer = try tierctl((arguments + ["-o", "json"]).map { Array($0.utf8) })
    guard answer.status == 0 else { throw NeverHappened(description: "\(arguments): \(answer)") }
    return try JSONDecoder().decode(Report.self, from: Data(answer.output.utf8))
  }
}
