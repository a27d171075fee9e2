import Glibc
import TierCore
import TierLinux

/// A small file system of a chosen kind, made afresh on a loop device (or in memory), mounted below a
/// temporary directory and gone with the last reference. Needs `Machine.hasLoopDevices`.
package final class LoopFileSystem {
  package enum Kind: String, Sendable, CaseIterable {
    case ext4, xfs, btrfs, tmpfs

    /// False where the Debian package that makes it is missing.
    package var isAvailable: Bool {
      switch self {
      case .tmpfs: Machine.isRoot
      case .ext4, .xfs, .btrfs: Machine.hasLoopDevices && Machine.has("mkfs.\(rawValue)")
      }
    }

    fileprivate var makeOptions: [String] {
      // Small ones get 1 KiB blocks by default, which no production volume has: attributes must fit in one.
      self == .ext4 ? ["-q", "-b", "4096"] : ["-q"]
    }

    /// Below these, mkfs refuses.
    fileprivate var leastMebibytes: Int {
      switch self {
      case .tmpfs: 1
      case .ext4: 8
      case .btrfs: 128
      case .xfs: 320
      }
    }
  }

  /// Its mount point.
  package let path: String
  private let directory: TemporaryDirectory

  package init(_ kind: Kind, mebibytes: Int = 64, options: String = "noatime") throws {
    let size = max(mebibytes, kind.leastMebibytes)
    directory = try TemporaryDirectory()
    path = directory.path("mount")
    mkdir(path, 0o755)
    if kind == .tmpfs {
      try Self.run("mount", ["-t", "tmpfs", "-o", "\(options),size=\(size)m", "tierd-test", path])
      return
    }
    let image = directory.path("image")
    try Self.run("truncate", ["-s", "\(size)M", image])
    try Self.run("mkfs.\(kind.rawValue)", kind.makeOptions + [image])
    try Self.run("mount", ["-t", kind.rawValue, "-o", "loop,\(options)", image, path])
    // The loop device keeps the image: should this process die, no file is left behind.
    Glibc.unlink(image)
  }

  package func fileSystem() throws -> LinuxFileSystem { try LinuxFileSystem(root: path) }

  /// As an administrator does it: fails while something is open below it.
  package func unmount() throws { try Self.run("umount", [path]) }

  package func remountReadOnly() throws { try Self.run("mount", ["-o", "remount,ro", path]) }

  deinit { _ = try? Self.run("umount", ["-l", path]) }

  private static func run(_ program: String, _ arguments: [String]) throws {
    let environment = ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"]
    // Looked up in our own PATH, which may lack sbin.
    let command = ChildCommand("/usr/bin/env", [program] + arguments, environment: environment)
    let result = try ChildProcess.run(command, deadline: .seconds(60))
    guard result.succeeded else {
      throw TierError(.internalFault, "\(program) failed: \(result.ending)", cause: result.errorText)
    }
  }
}
