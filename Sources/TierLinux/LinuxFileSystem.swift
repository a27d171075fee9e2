import CTierLinux
import Glibc
import TierCore

/// A directory tree seen through its root's descriptor. Every path is walked by `openat2` from there, and what
/// concerns a name is done in its parent's descriptor: nothing that is swapped meanwhile leads out of the tree.
///
/// The descriptor keeps the file system mounted: unmounting it says "busy" until this is gone.
package final class LinuxFileSystem: FileSystem {
  package let rootPath: [UInt8]
  private let root: Descriptor
  private let knowsRenameFlags: Bool
  package let isShared: Bool
  private let gluster: GlusterMount?

  /// `path` is the administrator's: symbolic links in it are followed, once, here. `renameFlags: false` is for
  /// tests of what can be done where the file system lacks them.
  package init(root path: String, renameFlags: Bool = true) throws(TierError) {
    knowsRenameFlags = renameFlags
    let bytes = Array(path.utf8)
    guard bytes.first == .slash, !bytes.contains(0) else {
      throw TierError(
        .badConfiguration, "the folder's path must be absolute", path: EscapedText.encode(bytes))
    }
    rootPath = bytes.count > 1 && bytes.last == .slash ? bytes.dropLast() : bytes
    let descriptor = tier_open(path, tier_O_PATH | tier_O_DIRECTORY, 0)
    guard descriptor >= 0 else {
      throw TierError(
        SyscallError(call: "open", path: EscapedText.encode(bytes), errno: -descriptor),
        code: .volumeUnavailable)
    }
    root = Descriptor(owning: descriptor)
    let mount = try? MountTable.mount(of: root.raw)
    isShared = mount?.isRemote ?? false
    gluster = mount.flatMap(GlusterMount.init)
    let probe = tier_open_beneath(root.raw, ".", tier_O_PATH | tier_O_DIRECTORY, 0)
    guard probe >= 0 else {
      throw TierError(
        .unsupported, "tierd needs openat2: Linux 5.6 or newer, and a container runtime that permits it",
        path: EscapedText.encode(bytes), cause: errnoText(-probe), disposition: .fatal)
    }
    _ = tier_close(probe)
  }

  // MARK: Reading

  package func rootIsInPlace(at site: CallSite) throws(SyscallError) -> Bool {
    let path = rootPath.isEmpty ? [.slash] : rootPath
    let found = withCString(path) { tier_open($0, tier_O_PATH | tier_O_DIRECTORY, 0) }
    if found == -ENOENT || found == -ENOTDIR { return false }
    try check(found, "open", .root)
    defer { _ = tier_close(found) }
    var (ours, there) = (tier_status(), tier_status())
    try check(tier_statx(root.raw, "", &ours), "statx", .root)
    try check(tier_statx(found, "", &there), "statx", .root)
    return (ours.device, ours.inode, ours.mount_id) == (there.device, there.inode, there.mount_id)
  }

  package func status(of path: RelativePath, at site: CallSite) throws(SyscallError) -> FileStatus? {
    do throws(SyscallError) {
      return try inParent(of: path) { directory, name throws(SyscallError) in
        var raw = tier_status()
        try check(tier_statx(directory, name, &raw), "statx", path)
        return FileStatus(raw)
      }
    } catch  where isAbsent(error) {
      return nil
    }
  }

  package func list(_ directory: RelativePath, at site: CallSite) throws(SyscallError) -> [DirectoryEntry] {
    let descriptor = try openDirectory(directory)
    defer { _ = tier_close(descriptor) }
    return try DirectoryReader.entries(of: descriptor) { call, name, errno in
      failure(call, name.map(directory.appending) ?? directory, errno)
    }
  }

  package func open(_ path: RelativePath, _ access: OpenAccess, at site: CallSite) throws(SyscallError)
    -> any OpenFile
  {
    let descriptor: Int32 =
      switch access {
      case .create(let mode):
        try inParent(of: path) { directory, name throws(SyscallError) in
          let flags = O_RDWR | O_CREAT | O_EXCL | tier_O_NOFOLLOW
          return try check(tier_open_beneath(directory, name, flags, UInt32(mode)), "openat2", path)
        }
      case .read: try reopen(path, O_RDONLY)
      case .readWrite: try reopen(path, O_RDWR)
      }
    return LinuxOpenFile(owning: descriptor, path: printable(path))
  }

  package func readLink(_ path: RelativePath, at site: CallSite) throws(SyscallError) -> [UInt8] {
    try inParent(of: path) { directory, name throws(SyscallError) in
      // Linux limits the text to PATH_MAX; other file systems' longer ones fail here rather than being cut.
      var text = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
      let length = try check(tier_read_link(directory, name, &text, text.count), "readlinkat", path)
      guard length < text.count else { throw failure("readlinkat", path, ENAMETOOLONG) }
      return text[..<length].map { UInt8(bitPattern: $0) }
    }
  }

  package func space(at site: CallSite) throws(SyscallError) -> FileSystemSpace {
    var raw = tier_space()
    try check(tier_statfs(root.raw, &raw), "fstatfs", .root)
    return FileSystemSpace(
      total: Int64(clamping: raw.total_bytes), available: Int64(clamping: raw.available_bytes))
  }

  package func sight(at site: CallSite) throws(SyscallError) -> Sight { try gluster?.sight() ?? .whole }

  package func isHeldOpen(_ path: RelativePath, at site: CallSite) throws(SyscallError) -> Bool {
    guard gluster != nil else { return false }
    let count = try attribute(GlusterMount.openCount, of: path, at: site)
    return GlusterMount.isOpen(count)
  }

  // MARK: Names

  package func makeSymlink(_ path: RelativePath, to text: [UInt8], at site: CallSite) throws(SyscallError) {
    guard !text.contains(0) else { throw failure("symlinkat", path, EINVAL) }
    try inParent(of: path) { directory, name throws(SyscallError) in
      try check(
        withCString(text) { tier_make_symlink($0, directory, name) }, "symlinkat", path)
    }
  }

  package func makeDirectory(_ path: RelativePath, mode: UInt16, at site: CallSite) throws(SyscallError) {
    try inParent(of: path) { directory, name throws(SyscallError) in
      try check(tier_make_directory(directory, name, UInt32(mode)), "mkdirat", path)
    }
  }

  package func removeDirectory(_ path: RelativePath, at site: CallSite) throws(SyscallError) {
    try inParent(of: path) { directory, name throws(SyscallError) in
      try check(tier_unlink(directory, name, tier_AT_REMOVEDIR), "unlinkat", path)
    }
  }

  package func unlink(_ path: RelativePath, at site: CallSite) throws(SyscallError) {
    try inParent(of: path) { directory, name throws(SyscallError) in
      try check(tier_unlink(directory, name, 0), "unlinkat", path)
    }
  }

  package func rename(_ from: RelativePath, to: RelativePath, _ mode: RenameMode, at site: CallSite)
    throws(SyscallError)
  {
    let flags: UInt32 =
      switch mode {
      case .replace: 0
      case .keepExisting: tier_RENAME_NOREPLACE
      case .exchange: tier_RENAME_EXCHANGE
      }
    try inParent(of: from) { fromDirectory, fromName throws(SyscallError) in
      try inParent(of: to) { toDirectory, toName throws(SyscallError) in
        let result =
          flags == 0 || knowsRenameFlags
          ? tier_rename(fromDirectory, fromName, toDirectory, toName, flags) : -EINVAL
        if result == -EINVAL, mode == .keepExisting {
          // GlusterFS knows no flags. A link is as careful; for a moment both names are there.
          try check(tier_link(fromDirectory, fromName, toDirectory, toName), "linkat", to)
          try check(tier_unlink(fromDirectory, fromName, 0), "unlinkat", from)
        } else {
          try check(result, "renameat2", to)
        }
      }
    }
  }

  package func syncDirectory(_ path: RelativePath, at site: CallSite) throws(SyscallError) {
    let descriptor = try openDirectory(path)
    defer { _ = tier_close(descriptor) }
    try check(tier_sync(descriptor), "fsync", path)
  }

  // MARK: Metadata

  package func attribute(_ name: String, of path: RelativePath, at site: CallSite) throws(SyscallError)
    -> [UInt8]?
  {
    do throws(SyscallError) {
      return try inParent(of: path) { directory, file throws(SyscallError) in
        let length = { (buffer: UnsafeMutableRawPointer?, size: Int) in
          tier_get_attribute_at(directory, file, name, buffer, size)
        }
        switch readGrowing(length) {
        case .success(let value): return value
        case .failure(let number): throw failure("lgetxattr", path, number.errno)
        }
      }
    } catch  where error.errno == ENODATA || isAbsent(error) {
      return nil
    }
  }

  package func setAttribute(_ name: String, to value: [UInt8], of path: RelativePath, at site: CallSite)
    throws(SyscallError)
  {
    try inParent(of: path) { directory, file throws(SyscallError) in
      try check(tier_set_attribute_at(directory, file, name, value, value.count), "lsetxattr", path)
    }
  }

  package func setTimes(of path: RelativePath, modified: FileTime, accessed: FileTime, at site: CallSite)
    throws(SyscallError)
  {
    try inParent(of: path) { directory, name throws(SyscallError) in
      try check(
        tier_set_times(
          directory, name, accessed.seconds, Int(accessed.nanoseconds), modified.seconds,
          Int(modified.nanoseconds)), "utimensat", path)
    }
  }

  package func setOwner(of path: RelativePath, owner: UInt32, group: UInt32, at site: CallSite)
    throws(SyscallError)
  {
    try inParent(of: path) { directory, name throws(SyscallError) in
      try check(tier_chown(directory, name, owner, group), "fchownat", path)
    }
  }
}

// MARK: - Walking

extension LinuxFileSystem {
  /// Calls `body` with the parent's descriptor and the last component; for the root with itself and `.`.
  @discardableResult
  private func inParent<Result>(
    of path: RelativePath,
    _ body: (Int32, UnsafePointer<CChar>) throws(SyscallError) -> Result
  ) throws(SyscallError) -> Result {
    // One copy of the path, cut at its last slash.
    var bytes = path.bytes
    let slash = bytes.lastIndex(of: .slash)
    if let slash { bytes[slash] = 0 }
    if bytes.isEmpty { bytes.append(.dot) }
    bytes.append(0)
    return try bytes.withUnsafeBufferPointer { buffer throws(SyscallError) in
      try buffer.withMemoryRebound(to: CChar.self) { text throws(SyscallError) in
        let start = text.baseAddress!
        guard let slash else { return try body(root.raw, start) }
        let parent = try check(
          tier_open_beneath(root.raw, start, tier_O_PATH | tier_O_DIRECTORY, 0), "openat2", path)
        defer { _ = tier_close(parent) }
        return try body(parent, start + slash + 1)
      }
    }
  }

  private func openDirectory(_ path: RelativePath) throws(SyscallError) -> Int32 {
    try check(
      withCString(path.isRoot ? [.dot] : path.bytes) {
        tier_open_beneath(root.raw, $0, O_RDONLY | tier_O_DIRECTORY, 0)
      }, "openat2", path)
  }

  /// Opens an existing regular file. What the name stands for is looked at first, through an O_PATH
  /// descriptor: opening a FIFO would wake its writer, and opening a device can do anything.
  private func reopen(_ path: RelativePath, _ access: Int32) throws(SyscallError) -> Int32 {
    let place = try check(
      withCString(path.isRoot ? [.dot] : path.bytes) {
        tier_open_beneath(root.raw, $0, tier_O_PATH | tier_O_NOFOLLOW, 0)
      }, "openat2", path)
    defer { _ = tier_close(place) }
    var raw = tier_status()
    try check(tier_statx(place, "", &raw), "statx", path)
    switch FileStatus(raw).kind {
    case .regular: break
    case .symlink: throw failure("open", path, ELOOP)
    case .directory: throw failure("open", path, EISDIR)
    case .fifo, .socket, .device: throw failure("open", path, ENXIO)
    }
    let name = "/proc/self/fd/\(place)"
    // Reading for an archive is no use of the file: its atime stays, where we may say so.
    let flags = access | O_NONBLOCK | O_NOCTTY
    let quiet = tier_open(name, flags | tier_O_NOATIME, 0)
    return quiet == -EPERM
      ? try check(tier_open(name, flags, 0), "open", path) : try check(quiet, "open", path)
  }

  /// What lies beyond a symbolic link isn't in the tree.
  private func isAbsent(_ error: SyscallError) -> Bool {
    error.errno == ENOENT || error.errno == ENOTDIR || error.errno == ELOOP
  }

  private func printable(_ path: RelativePath) -> String {
    EscapedText.encode(
      path.isRoot ? rootPath : (rootPath == [.slash] ? [] : rootPath) + [.slash] + path.bytes)
  }

  private func failure(_ call: String, _ path: RelativePath, _ errno: Int32) -> SyscallError {
    SyscallError(call: call, path: printable(path), errno: errno)
  }

  @discardableResult
  private func check<Number: SignedInteger>(_ result: Number, _ call: String, _ path: RelativePath)
    throws(SyscallError) -> Number
  {
    guard result >= 0 else { throw failure(call, path, Int32(-result)) }
    return result
  }
}

func withCString<Result>(_ bytes: [UInt8], _ body: (UnsafePointer<CChar>) -> Result) -> Result {
  var terminated = bytes
  terminated.append(0)
  return terminated.withUnsafeBufferPointer { buffer in
    buffer.withMemoryRebound(to: CChar.self) { body($0.baseAddress!) }
  }
}
