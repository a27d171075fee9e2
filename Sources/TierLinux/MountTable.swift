import CTierLinux
import Glibc
import TierCore

/// What is mounted where, for this process: one reading of `/proc/self/mountinfo`.
package struct MountTable: Sendable {
  package struct Mount: Hashable, Sendable {
    package var id: UInt64
    /// As `FileStatus.device`.
    package var device: UInt64
    /// The part of the file system that is mounted; `/` but for bind mounts.
    package var root: [UInt8]
    /// Absolute.
    package var mountPoint: [UInt8]
    /// `ext4`, `fuse.glusterfs`, `nfs4`, …
    package var fileSystem: String
    /// `/dev/sda1`, `nas:/volume1/tier`, …
    package var source: [UInt8]
    package var isReadOnly: Bool

    /// True where the content is on another machine, or behind a program that may keep it there.
    package var isRemote: Bool {
      let remote = ["nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "afs", "ncpfs", "lustre", "glusterfs"]
      return remote.contains(fileSystem) || fileSystem == "fuse" || fileSystem.hasPrefix("fuse.")
    }
  }

  /// In the kernel's order: later ones cover earlier ones.
  package let mounts: [Mount]

  package init(parsing text: [UInt8]) {
    mounts = text.split(separator: UInt8(ascii: "\n")).compactMap(Mount.init(line:))
  }

  package static func current() throws(SyscallError) -> MountTable {
    MountTable(parsing: try SmallFile.read("/proc/self/mountinfo", limit: 16 << 20))
  }

  /// The mount that `path` is seen through. Nil where the kernel doesn't list it (another mount namespace's).
  package static func mount(holding path: String) throws(SyscallError) -> Mount? {
    let printable = EscapedText.encode(Array(path.utf8))
    let descriptor = tier_open(path, tier_O_PATH, 0)
    guard descriptor >= 0 else { throw SyscallError(call: "open", path: printable, errno: -descriptor) }
    defer { _ = tier_close(descriptor) }
    return try mount(of: descriptor)
  }

  static func mount(of descriptor: Int32) throws(SyscallError) -> Mount? {
    var raw = tier_status()
    let result = tier_statx(descriptor, "", &raw)
    guard result >= 0 else { throw SyscallError(call: "statx", path: "", errno: -result) }
    return try current().mounts.last { $0.id == raw.mount_id }
  }
}

extension MountTable.Mount {
  /// `36 35 98:0 /mnt1 /mnt/parent rw,noatime master:1 - ext3 /dev/root rw,errors=continue`
  fileprivate init?(line: Array<UInt8>.SubSequence) {
    let fields = line.split(separator: UInt8(ascii: " "))
    guard let dash = fields.firstIndex(of: [UInt8(ascii: "-")]), dash >= 6, fields.count >= dash + 3,
      let id = UInt64(String(decoding: fields[0], as: UTF8.self))
    else { return nil }
    let numbers = fields[2].split(separator: UInt8(ascii: ":"))
      .compactMap { UInt32(String(decoding: $0, as: UTF8.self)) }
    guard numbers.count == 2 else { return nil }
    self.init(
      id: id, device: tier_device(numbers[0], numbers[1]), root: Self.unescape(fields[3]),
      mountPoint: Self.unescape(fields[4]), fileSystem: String(decoding: fields[dash + 1], as: UTF8.self),
      source: Self.unescape(fields[dash + 2]),
      isReadOnly: fields[5].split(separator: UInt8(ascii: ",")).contains(Array("ro".utf8)[...]))
  }

  /// Space, tab, newline and backslash stand as three octal digits.
  private static func unescape(_ field: Array<UInt8>.SubSequence) -> [UInt8] {
    var bytes: [UInt8] = []
    var rest = field
    while let byte = rest.popFirst() {
      let digits = String(decoding: rest.prefix(3), as: UTF8.self)
      if byte == .backslash, digits.utf8.count == 3, let value = UInt8(digits, radix: 8) {
        bytes.append(value)
        rest = rest.dropFirst(3)
      } else {
        bytes.append(byte)
      }
    }
    return bytes
  }
}

/// Whole small files outside of volumes: /proc, secrets, records of the daemon's own.
package enum SmallFile {
  /// `EFBIG` where it is longer than `limit`.
  package static func read(_ path: String, limit: Int) throws(SyscallError) -> [UInt8] {
    let printable = EscapedText.encode(Array(path.utf8))
    let number = tier_open(path, O_RDONLY | O_NONBLOCK, 0)
    guard number >= 0 else { throw SyscallError(call: "open", path: printable, errno: -number) }
    defer { _ = tier_close(number) }
    var bytes: [UInt8] = []
    while true {
      var count = 0
      let portion = [UInt8](unsafeUninitializedCapacity: 64 << 10) { buffer, filled in
        count = tier_read(number, buffer.baseAddress, buffer.count)
        filled = max(0, count)
      }
      guard count >= 0 else { throw SyscallError(call: "read", path: printable, errno: Int32(-count)) }
      if count == 0 { return bytes }
      bytes += portion
      guard bytes.count <= limit else { throw SyscallError(call: "read", path: printable, errno: EFBIG) }
    }
  }
}
