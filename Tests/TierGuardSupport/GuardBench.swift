import CTierLinux
import Glibc
import TierCore
import TierGuard
import TierLinux
import TierTestSupport

/// A file system of its own, and a socket for the real `tier-guard`. At its end every holder of the group is gone, so
/// nobody is left waiting.
package final class GuardBench {
  package enum Kind: String, Sendable, CaseIterable {
    case ext4, xfs, btrfs
    /// bindfs, over a directory.
    case fuse

    /// What kernels and file systems without `FAN_PRE_ACCESS` aren't asked about is known here.
    package var isLocal: Bool { self != .fuse }

    package var isAvailable: Bool {
      switch self {
      case .ext4: LoopFileSystem.Kind.ext4.isAvailable
      case .xfs: LoopFileSystem.Kind.xfs.isAvailable
      case .btrfs: LoopFileSystem.Kind.btrfs.isAvailable
      case .fuse: Machine.hasLoopDevices && Machine.has("bindfs") && access("/dev/fuse", R_OK | W_OK) == 0
      }
    }

    /// Those that can free a file's blocks and keep its size, so that stubs can be placeholders. bindfs can't.
    package static let holdingPlaceholders = here.filter(\.isLocal)

    /// Those that this machine can make. What it can't is said once, loudly.
    package static let here: [Kind] = allCases.filter { kind in
      if !kind.isAvailable {
        print("SKIPPED guard tests on \(kind.rawValue): not available (root, loop devices, mkfs or bindfs)")
      }
      return kind.isAvailable
    }
  }

  package let kind: Kind
  /// Of the guarded file system's root.
  package let path: String
  package let directory: TemporaryDirectory
  private var loop: LoopFileSystem?
  private var connections: [GuardConnection] = []
  private var recallers: [Recaller] = []

  package init(_ kind: Kind, mebibytes: Int = 64) throws {
    self.kind = kind
    directory = try TemporaryDirectory()
    switch kind {
    case .ext4, .fuse: loop = try LoopFileSystem(.ext4, mebibytes: mebibytes)
    case .xfs: loop = try LoopFileSystem(.xfs, mebibytes: mebibytes)
    case .btrfs: loop = try LoopFileSystem(.btrfs, mebibytes: mebibytes)
    }
    let mounted = loop!.path
    guard kind == .fuse else {
      path = mounted
      return
    }
    path = directory.path("fuse")
    mkdir(path, 0o755)
    try Self.run("bindfs", ["--xattr-rw", mounted, path])
  }

  /// Beside the test's own executable.
  package static func program(_ name: String) -> String {
    var buffer = [UInt8](repeating: 0, count: 4096)
    let length = readlink("/proc/self/exe", &buffer, buffer.count)
    let own = String(decoding: buffer[..<max(0, length)], as: UTF8.self)
    return own.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/") + "/"
      + name
  }

  package var socket: String { directory.path("guard/guard.sock") }

  package func path(_ name: String) -> String { "\(path)/\(name)" }

  package func connect(
    bounds: GuardBounds = GuardBounds(), root: String? = nil, program: String? = nil
  ) throws -> GuardConnection {
    let connection = try GuardConnection(
      socket: socket, program: program ?? Self.program("tier-guard"), root: root ?? path,
      terms: GuardTerms(isShared: !kind.isLocal, bounds: bounds))
    connections.append(connection)
    return connection
  }

  /// A guard with a client in this process.
  package func protect(
    _ conduct: Recaller.Conduct, bounds: GuardBounds = GuardBounds(), program: String? = nil
  ) throws -> (GuardConnection, Recaller) {
    let connection = try connect(bounds: bounds, program: program)
    _ = try connection.protect()
    let recaller = Recaller(connection, conduct, root: path)
    recallers.append(recaller)
    return (connection, recaller)
  }

  /// A program that starts the guard after `line` of the shell's, and can be made unstartable.
  package func wrapper(_ line: String) throws -> String {
    let path = directory.path("start-guard")
    let text = Array("#!/bin/sh\n\(line)\nexec \(Self.program("tier-guard")) \"$@\"\n".utf8)
    let file = try Placeholder.open(path, O_WRONLY | O_CREAT | O_TRUNC)
    guard write(file.raw, text, text.count) == text.count else {
      throw SyscallError(call: "write", path: path, errno: errno)
    }
    return path
  }

  /// Of the guard that listens now; 0: none.
  package var guardPID: Int32 {
    let number = tier_connect_packets(socket)
    guard number >= 0 else { return 0 }
    defer { _ = tier_close(number) }
    var (pid, user) = (Int32(0), UInt32(0))
    return tier_peer(number, &pid, &user) == 0 ? pid : 0
  }

  package func killGuard() throws {
    let pid = guardPID
    guard pid > 1 else { return }
    kill(pid, SIGKILL)
    try eventually("the guard's end") { Self.hasEnded(pid) }
  }

  /// Also where init has yet to hear of it.
  package static func hasEnded(_ pid: Int32) -> Bool {
    guard let text = try? SmallFile.read("/proc/\(pid)/stat", limit: 4096) else { return true }
    return String(decoding: text, as: UTF8.self).split(separator: ")").last?.hasPrefix(" Z") ?? true
  }

  package static func run(_ program: String, _ arguments: [String]) throws {
    let environment = ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"]
    let result = try ChildProcess.run(
      ChildCommand("/usr/bin/env", [program] + arguments, environment: environment), deadline: .seconds(60))
    guard result.succeeded else {
      throw TierError(.internalFault, "\(program) failed: \(result.ending)", cause: result.errorText)
    }
  }

  deinit {
    for recaller in recallers { recaller.end() }
    // A client that starts a guard again must be gone first.
    for connection in connections { connection.close() }
    try? killGuard()
    if kind == .fuse { try? Self.run("umount", ["-l", path]) }
  }
}
