import CTierLinux
import Glibc
import TierCore

extension FileStatus {
  package init(_ raw: tier_status) {
    let kind: FileKind =
      switch raw.mode & UInt32(S_IFMT) {
      case UInt32(S_IFREG): .regular
      case UInt32(S_IFDIR): .directory
      case UInt32(S_IFLNK): .symlink
      case UInt32(S_IFIFO): .fifo
      case UInt32(S_IFSOCK): .socket
      default: .device
      }
    self.init(
      kind: kind, device: raw.device, mount: raw.mount_id, inode: raw.inode, links: raw.links,
      mode: UInt16(raw.mode & 0o7777), owner: raw.owner, group: raw.group, size: raw.size,
      modified: FileTime(seconds: raw.modified_seconds, nanoseconds: raw.modified_nanoseconds),
      changed: FileTime(seconds: raw.changed_seconds, nanoseconds: raw.changed_nanoseconds),
      accessed: FileTime(seconds: raw.accessed_seconds, nanoseconds: raw.accessed_nanoseconds),
      allocated: raw.allocated_bytes)
  }
}

/// Reads directories with `getdents64` in large portions: a scan's inner loop.
enum DirectoryReader {
  private static let portionBytes = 256 << 10
  /// `linux_dirent64`: inode, offset, record length, type, name.
  private static let nameOffset = 19
  static let unknownType: UInt8 = 0
  static let directoryType: UInt8 = 4

  /// `fail` turns a call, an entry's name (nil: the directory's own) and an errno into an error.
  static func entries(
    of directory: Int32, fail: (String, FileName?, Int32) -> SyscallError
  ) throws(SyscallError) -> [DirectoryEntry] {
    let portion = UnsafeMutableRawBufferPointer.allocate(byteCount: portionBytes, alignment: 8)
    defer { portion.deallocate() }
    var entries: [DirectoryEntry] = []
    while true {
      let filled = tier_read_directory(directory, portion.baseAddress, portion.count)
      guard filled >= 0 else { throw fail("getdents64", nil, Int32(-filled)) }
      if filled == 0 { return entries }
      try forEachRecord(portion, filled) { name, _ throws(SyscallError) in
        var raw = tier_status()
        let result = tier_statx(directory, name, &raw)
        if result == -ENOENT { return }
        let fileName = FileName(trusted: Array(UnsafeRawBufferPointer(start: name, count: strlen(name))))
        guard result >= 0 else { throw fail("statx", fileName, -result) }
        entries.append(DirectoryEntry(name: fileName, status: FileStatus(raw)))
      }
    }
  }

  /// Every record but `.` and `..` of what `getdents64` filled in: the name, NUL-terminated, and the type, which
  /// some file systems leave unknown.
  static func forEachRecord<Failure>(
    _ portion: UnsafeMutableRawBufferPointer, _ filled: Int,
    _ body: (UnsafePointer<CChar>, UInt8) throws(Failure) -> Void
  ) throws(Failure) {
    var record = 0
    while record < filled {
      let length = Int(portion.loadUnaligned(fromByteOffset: record + 16, as: UInt16.self))
      let name = UnsafePointer(
        (portion.baseAddress! + record + nameOffset).assumingMemoryBound(to: CChar.self))
      if !isSelfOrParent(name) { try body(name, portion[record + nameOffset - 1]) }
      record += length
    }
  }

  private static func isSelfOrParent(_ name: UnsafePointer<CChar>) -> Bool {
    name[0] == 0x2E && (name[1] == 0 || (name[1] == 0x2E && name[2] == 0))
  }
}
