import Synchronization
import TierCore
import TierLinux

/// A target that is a directory of this machine: a second disk, or a NAS that something else keeps mounted.
package final class DirectoryTarget: Target {
  package let name: String
  private let path: String
  private let memory: TargetMemory
  private let openRoot: @Sendable (String) throws(TierError) -> any FileSystem

  /// Under this key the memory says that the directory was prepared once.
  private static let preparedKey = "directory.prepared"

  /// `openRoot` is called once a window; nothing of the directory is open in between.
  package init(
    name: String, path: String, memory: TargetMemory,
    openRoot: @escaping @Sendable (String) throws(TierError) -> any FileSystem = {
      path throws(TierError) in try LinuxFileSystem(root: path)
    }
  ) {
    self.name = name
    self.path = path
    self.memory = memory
    self.openRoot = openRoot
  }

  /// Publishes durably but on file systems of other machines, which may answer an fsync before their disks do.
  package var properties: TargetProperties {
    TargetProperties(kind: "directory", address: path, renames: true, publishesDurably: !isRemote)
  }

  package func connect() throws(TierError) -> any TargetSession {
    let root: any FileSystem
    do throws(TierError) {
      root = try openRoot(path)
    } catch {
      throw TierError(
        .targetUnreachable,
        "the target's directory can't be opened: mount it or create it, or mend `path` of target \(name)",
        path: path, cause: error.cause ?? error.message, disposition: .retry)
    }
    let session = DirectorySession(root: root, address: path)
    try prepare(session)
    return session
  }

  /// Looks before it writes: a newer target stays untouched, and a directory that was a target and now is
  /// empty is a NAS that isn't mounted.
  private func prepare(_ session: DirectorySession) throws(TierError) {
    if let text = try session.readRecord(TargetLayout.format, limit: TargetLayout.formatLimit) {
      try TargetLayout.checkFormat(text, at: path)
      try session.makeDirectory(TargetLayout.temporary)
    } else {
      guard memory.load(Self.preparedKey) == nil else {
        throw TierError(
          .targetUnreachable,
          "this directory was target \(name), but its .tierd/format is gone: most likely the NAS is not mounted "
            + "here. Mount it; if it was emptied on purpose, write \"tierd target format "
            + "\(TargetLayout.formatVersion)\" into .tierd/format",
          path: path, disposition: .retry)
      }
      try session.makeDirectory(TargetLayout.temporary)
      try session.writeRecord(TargetLayout.formatText, to: TargetLayout.format)
    }
    memory.store(Self.preparedKey, [1])
  }

  /// By the mount table's text alone: looking at the path itself could wake the target.
  private var isRemote: Bool {
    guard let table = try? MountTable.current() else { return true }
    let bytes = Array(path.utf8)
    let holding = table.mounts.filter { mount in
      guard mount.mountPoint != [.slash] else { return true }
      return bytes.starts(with: mount.mountPoint)
        && (bytes.count == mount.mountPoint.count || bytes[mount.mountPoint.count] == .slash)
    }
    // The kernel's order: of mounts on one place the later covers the earlier.
    let longest = holding.map(\.mountPoint.count).max()
    return holding.last { $0.mountPoint.count == longest }?.isRemote ?? true
  }
}
