import Glibc
import TierCore

/// Which directory the volume's root was when watching began, and what is mounted inside.
final class RootMark {
  let identity: DirectoryIdentity
  private let resolvedPath: [UInt8]
  private var mountPoints: Set<RelativePath> = []

  init(_ root: OpenDirectory, path: String) {
    identity = root.identity
    let resolved = realpath(path, nil)
    defer { free(resolved) }
    resolvedPath = resolved.map { Array(UnsafeRawBufferPointer(start: $0, count: strlen($0))) } ?? []
    mountPoints = currentMountPoints() ?? []
  }

  /// Those that came or went since the last call.
  func changedMountPoints() -> [RelativePath] {
    guard let current = currentMountPoints() else { return [] }
    defer { mountPoints = current }
    return current.symmetricDifference(mountPoints).sorted()
  }

  /// Nil where the table can't be read just now.
  private func currentMountPoints() -> Set<RelativePath>? {
    guard let table = try? MountTable.current() else { return nil }
    let prefix = resolvedPath == [.slash] ? resolvedPath : resolvedPath + [.slash]
    return Set(
      table.mounts.compactMap { mount in
        guard mount.mountPoint.count > prefix.count, mount.mountPoint.starts(with: prefix) else { return nil }
        return RelativePath(Array(mount.mountPoint[prefix.count...]))
      })
  }
}
