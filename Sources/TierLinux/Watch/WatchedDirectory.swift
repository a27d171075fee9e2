import CTierLinux
import Glibc
import TierCore

/// Which directory a descriptor stands for.
struct DirectoryIdentity: Hashable, Sendable {
  var device: UInt64
  var inode: UInt64
  var mount: UInt64

  init(_ directory: Int32, name: String = "") throws(SyscallError) {
    var raw = tier_status()
    let result = tier_statx(directory, name, &raw)
    guard result >= 0 else { throw SyscallError(call: "statx", path: name, errno: -result) }
    (device, inode, mount) = (raw.device, raw.inode, raw.mount_id)
  }

  /// Whatever mount it is seen through.
  func isSameDirectory(as other: DirectoryIdentity) -> Bool {
    device == other.device && inode == other.inode
  }
}

/// A directory that is open for a moment, to be watched and then listed.
final class OpenDirectory {
  let descriptor: Descriptor
  let identity: DirectoryIdentity
  private var isListed = false

  /// The volume's root, by its absolute path: the administrator's, symbolic links in it are followed.
  init(root path: String) throws(SyscallError) {
    let number = tier_open(path, O_RDONLY | tier_O_DIRECTORY, 0)
    guard number >= 0 else {
      throw SyscallError(call: "open", path: EscapedText.encode(Array(path.utf8)), errno: -number)
    }
    descriptor = Descriptor(owning: number)
    identity = try DirectoryIdentity(number)
  }

  /// A directory below `root`; no symbolic link is followed in any component.
  init(_ path: RelativePath, below root: OpenDirectory) throws(SyscallError) {
    let bytes = (path.isRoot ? [.dot] : path.bytes) + [0]
    let number = bytes.withUnsafeBufferPointer { buffer in
      buffer.withMemoryRebound(to: CChar.self) {
        tier_open_beneath(
          root.descriptor.raw, $0.baseAddress, O_RDONLY | tier_O_DIRECTORY | tier_O_NOFOLLOW, 0)
      }
    }
    guard number >= 0 else { throw SyscallError(call: "openat2", path: path.escaped, errno: -number) }
    descriptor = Descriptor(owning: number)
    identity = try DirectoryIdentity(number)
  }

  /// False beyond a mount point (bind mounts of the same file system too) and in a btrfs subvolume.
  func isOnSameMount(as other: OpenDirectory) -> Bool {
    identity.device == other.identity.device && identity.mount == other.identity.mount
  }

  /// The directory that it lies in now.
  func parentIdentity() throws(SyscallError) -> DirectoryIdentity {
    try DirectoryIdentity(descriptor.raw, name: "..")
  }

  /// The names of the directories in it.
  func subdirectories(_ buffer: UnsafeMutableRawBufferPointer) throws(SyscallError) -> [FileName] {
    var names: [FileName] = []
    if isListed { lseek(descriptor.raw, 0, SEEK_SET) }
    isListed = true
    while true {
      let filled = tier_read_directory(descriptor.raw, buffer.baseAddress, buffer.count)
      guard filled >= 0 else { throw SyscallError(call: "getdents64", path: "", errno: Int32(-filled)) }
      if filled == 0 { return names }
      DirectoryReader.forEachRecord(buffer, filled) { name, type in
        guard isDirectory(name, type) else { return }
        names.append(FileName(trusted: Array(UnsafeRawBufferPointer(start: name, count: strlen(name)))))
      }
    }
  }

  /// Some file systems leave the type to be asked for.
  private func isDirectory(_ name: UnsafePointer<CChar>, _ type: UInt8) -> Bool {
    guard type == DirectoryReader.unknownType else { return type == DirectoryReader.directoryType }
    var raw = tier_status()
    return tier_statx(descriptor.raw, name, &raw) == 0 && FileStatus(raw).kind == .directory
  }
}
