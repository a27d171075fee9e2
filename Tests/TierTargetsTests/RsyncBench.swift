import Glibc
import Synchronization
import TierCore
import TierLinux
import TierTestSupport

@testable import TierTargets

extension TargetKind {
  static let rsyncDaemon = rsync("rsync daemon")
  /// What a NAS of 2011 to 2018 speaks (rsync 3.0 and 3.1), and refuses.
  static let rsyncOldDaemon = rsync(
    "rsync daemon with protocol 30", daemon: ["refuse options = fsync ignore-missing-args"],
    options: ["--protocol=30"], keepsNanoseconds: false)
  static let rsyncSSH = rsync("rsync over ssh", ssh: true)

  static let rsyncKinds: [TargetKind] =
    Machine.has("rsync")
    ? [rsyncDaemon, rsyncOldDaemon] + (RsyncServer.sshObstacle == nil ? [rsyncSSH] : [])
    : []

  private static func rsync(
    _ description: String, ssh: Bool = false, daemon lines: [String] = [], options: [String] = [],
    keepsNanoseconds: Bool = true
  ) -> TargetKind {
    TargetKind(
      testDescription: description,
      make: {
        let server = try ssh ? RsyncServer.ssh() : RsyncServer.daemon(lines)
        return try TargetBench(folder: server.folder, keeping: [server]) { memory, volume in
          server.target(memory: memory, scratch: volume, options: options)
        }
      }, keepsNanoseconds: keepsNanoseconds, stages: false, setsAsideAnything: false,
      setsAsideLongNames: false)
  }
}

/// A real rsync daemon, or a real sshd, on a loopback port of its own.
final class RsyncServer: Sendable {
  let root: TemporaryDirectory
  let port: UInt16
  let settings: Configuration.Rsync
  /// Where the target's files lie.
  let folder: String
  private let command: ChildCommand
  private let process: Mutex<BackgroundProcess?>

  private init(
    root: TemporaryDirectory, port: UInt16, settings: Configuration.Rsync, folder: String,
    _ command: ChildCommand
  ) throws {
    self.root = root
    self.port = port
    self.settings = settings
    self.folder = folder
    self.command = command
    process = Mutex(nil)
    try restart()
  }

  /// After it was killed.
  func restart() throws {
    try process.withLock { process in
      process = nil
      process = try BackgroundProcess(command)
    }
    try eventually("a server on port \(port)") { Loopback.answers(port) }
  }

  /// With a password, as user `tierd`, the target in the folder `of tierd` of the module.
  /// `module` is an existing directory.
  static func daemon(
    _ lines: [String] = [], folder: RelativePath = "of tierd", module: String? = nil
  ) throws -> RsyncServer {
    let root = try TemporaryDirectory()
    let port = try Loopback.freePort()
    let files = try root.fileSystem()
    try files.makeDirectories("module")
    let module = module ?? root.path("module")
    try LinuxFileSystem(root: module).makeDirectories(folder)
    let identity = Machine.isRoot ? ["uid = 0", "gid = 0"] : []
    let configuration =
      ["address = 127.0.0.1", "port = \(port)", "use chroot = no", "log file = \(root.path("log"))", "[nas]"]
      + ["path = \(module)", "read only = no", "auth users = tierd"]
      + ["secrets file = \(root.path("secrets"))"] + identity + lines
    try files.write(Array((configuration.joined(separator: "\n") + "\n").utf8), to: "rsyncd.conf")
    try files.write(Array("tierd:s3cret\n".utf8), to: "secrets", mode: 0o600)
    try files.write(Array("s3cret\n".utf8), to: "password", mode: 0o600)
    let settings = Configuration.Rsync(
      host: "127.0.0.1", user: "tierd",
      transport: .daemon(port: port, module: "nas", secretsFile: root.path("password")), folder: folder)
    let command = ChildCommand(
      "rsync", ["--daemon", "--no-detach", "--config=\(root.path("rsyncd.conf"))"],
      environment: ["PATH": "/usr/bin:/bin"])
    return try RsyncServer(
      root: root, port: port, settings: settings, folder: "\(module)/\(folder)", command)
  }

  static var sshObstacle: String? {
    guard Machine.isRoot else { return "sshd needs root" }
    guard Machine.has("sshd"), Machine.has("ssh-keygen") else { return "needs openssh-server" }
    return nil
  }

  /// Root's login by key.
  static func ssh() throws -> RsyncServer {
    let root = try TemporaryDirectory()
    let port = try Loopback.freePort()
    let files = try root.fileSystem()
    for name in ["host key", "identity"] {
      let make = ChildCommand(
        "ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", root.path(name)],
        environment: ["PATH": "/usr/bin:/bin"])
      guard try ChildProcess.run(make, deadline: .seconds(60)).succeeded else { throw Unexpected("no key") }
    }
    let hostKey = try files.text("host key.pub").split(separator: " ").prefix(2).joined(separator: " ")
    try files.write(Array("[127.0.0.1]:\(port) \(hostKey)\n".utf8), to: "known hosts")
    try files.write(try files.read("identity.pub"), to: "authorized", mode: 0o600)
    try files.makeDirectories("a nas/tier")
    mkdir("/run/sshd", 0o755)
    let configuration = [
      "ListenAddress 127.0.0.1:\(port)", "HostKey \"\(root.path("host key"))\"", "UsePAM no",
      "AuthorizedKeysFile \(root.path("authorized"))", "StrictModes no", "PidFile none",
      // Else bash, started by sshd, reads ~/.bashrc, and the test waits for whatever this machine's user has there.
      "SetEnv SHLVL=1",
    ]
    try files.write(Array((configuration.joined(separator: "\n") + "\n").utf8), to: "sshd_config")
    let settings = Configuration.Rsync(
      host: "127.0.0.1", user: "root",
      transport: .ssh(
        port: port, path: root.path("a nas"), identityFile: root.path("identity"),
        knownHostsFile: root.path("known hosts")), folder: "tier")
    let command = ChildCommand(
      "/usr/sbin/sshd", ["-D", "-e", "-f", root.path("sshd_config")], environment: ["PATH": "/usr/bin:/bin"])
    return try RsyncServer(
      root: root, port: port, settings: settings, folder: root.path("a nas/tier"), command)
  }

  func target(
    memory: TargetMemory = .none, scratch: TemporaryDirectory, timeout: Duration = .seconds(20),
    options: [String] = [], settings: Configuration.Rsync? = nil
  ) -> RsyncTarget {
    RsyncTarget(
      name: "test", settings: settings ?? self.settings, timeout: timeout,
      scratchDirectory: scratch.path("scratch"), memory: memory, extraOptions: options)
  }

  func signal(_ number: Int32) { process.withLock { $0?.signal(number) } }
  var log: String { (try? root.fileSystem().text("log")) ?? "" }
}

/// A server's process: killed with its group, and gone, when the last reference goes. Owned by a thread, since a
/// child of ours ends with the thread that began it.
final class BackgroundProcess: Sendable {
  private let state = State()
  private let thread: OwnedThread

  private final class State: Sendable {
    let pid = Atomic<Int32>(0)
    let isStopping = Atomic(false)
  }

  init(_ command: ChildCommand) throws {
    let started = try Wakeup()
    let state = state
    thread = OwnedThread(name: "test-server") {
      let child = try? ChildProcess(command)
      state.pid.store(child?.pid ?? 0, ordering: .sequentiallyConsistent)
      started.signal()
      _ = child?.wait(
        deadline: .seconds(3600), checkInterval: .milliseconds(20),
        shouldStop: { state.isStopping.load(ordering: .relaxed) })
    }
    _ = started.wait(atMost: nil)
    guard state.pid.load(ordering: .sequentiallyConsistent) > 0 else {
      throw Unexpected("\(command.program) doesn't start")
    }
  }

  func signal(_ number: Int32) { kill(-state.pid.load(ordering: .sequentiallyConsistent), number) }

  deinit {
    signal(SIGCONT)
    state.isStopping.store(true, ordering: .relaxed)
    thread.join()
  }
}

enum Loopback {
  static func freePort() throws -> UInt16 {
    let number = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(number) }
    var address = Self.address(0)
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isBound = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
        bind(number, generic, length) == 0 && getsockname(number, generic, &length) == 0
      }
    }
    guard isBound else { throw Unexpected("no free port") }
    return UInt16(bigEndian: address.sin_port)
  }

  static func answers(_ port: UInt16) -> Bool {
    let number = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(number) }
    var address = Self.address(port)
    return withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(number, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
      }
    }
  }

  private static func address(_ port: UInt16) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    return address
  }
}
