import CTierLinux
import Glibc
import Synchronization
import TierCore

/// A regular file of a `LinuxFileSystem`, by its descriptor: it stays this file whatever happens to its name.
package final class LinuxOpenFile: OpenFile {
  private let descriptor: Descriptor
  /// Absolute and escaped, as it was opened; for messages.
  private let path: String
  private let lease = Mutex<Lease?>(nil)

  init(owning descriptor: Int32, path: String) {
    self.descriptor = Descriptor(owning: descriptor)
    self.path = path
  }

  /// For calls that take a descriptor (`copy_file_range`, `posix_fadvise`). Valid until `close`.
  package var rawDescriptor: Int32 { descriptor.raw }

  package func close() {
    // A lease ends with the last duplicate of the descriptor, and a child that was just forked has one.
    try? dropLease(at: "close")
    descriptor.close()
  }

  // MARK: Content

  package func read(into buffer: UnsafeMutableRawBufferPointer, offset: Int64, at site: CallSite)
    throws(SyscallError) -> Int
  {
    try check(tier_pread(descriptor.raw, buffer.baseAddress, buffer.count, offset), "pread")
  }

  package func write(_ buffer: UnsafeRawBufferPointer, offset: Int64, at site: CallSite) throws(SyscallError)
  {
    var done = 0
    while done < buffer.count {
      let rest = UnsafeRawBufferPointer(rebasing: buffer[done...])
      let written = try check(
        tier_pwrite(descriptor.raw, rest.baseAddress, rest.count, offset + Int64(done)), "pwrite")
      // POSIX permits it, no Linux file system does it; never loop on it.
      guard written > 0 else { throw failure("pwrite", EIO) }
      done += written
    }
  }

  package func dataRange(from offset: Int64, at site: CallSite) throws(SyscallError) -> Range<Int64>? {
    let start = tier_seek_data(descriptor.raw, offset)
    if start == -Int64(ENXIO) { return nil }
    if start == -Int64(EINVAL) || start == -Int64(EOPNOTSUPP) {
      // A file system that doesn't know its holes: all is data.
      let size = try status(at: site).size
      return offset < size ? offset..<size : nil
    }
    try check(start, "lseek SEEK_DATA")
    let end = tier_seek_hole(descriptor.raw, start)
    // Cut off by somebody between the two calls.
    if end == -Int64(ENXIO) { return nil }
    try check(end, "lseek SEEK_HOLE")
    return end > start ? start..<end : nil
  }

  package func truncate(to size: Int64, at site: CallSite) throws(SyscallError) {
    try check(tier_truncate(descriptor.raw, size), "ftruncate")
  }

  package func freeContent(at site: CallSite) throws(SyscallError) {
    let size = try status(at: site).size
    // Whole blocks: ext4 zeroes a block that is only partly in the range. Beyond the end: xfs keeps blocks there.
    let end = (size + Self.freedBeyondEnd) & ~(Self.blockMultiple - 1)
    try check(tier_punch(descriptor.raw, 0, end), "fallocate")
  }

  private static let freedBeyondEnd: Int64 = 64 << 20
  private static let blockMultiple: Int64 = 1 << 20

  package func sync(at site: CallSite) throws(SyscallError) { try check(tier_sync(descriptor.raw), "fsync") }

  // MARK: Metadata

  package func status(at site: CallSite) throws(SyscallError) -> FileStatus {
    var raw = tier_status()
    try check(tier_statx(descriptor.raw, "", &raw), "statx")
    return FileStatus(raw)
  }

  package func attributes(at site: CallSite) throws(SyscallError) -> [ExtendedAttribute] {
    let fd = descriptor.raw
    let names: [UInt8]
    switch readGrowing({ tier_list_attributes(fd, $0?.assumingMemoryBound(to: CChar.self), $1) }) {
    case .success(let bytes): names = bytes
    case .failure(let number) where number.errno == EOPNOTSUPP: return []
    case .failure(let number): throw failure("flistxattr", number.errno)
    }
    return names.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
      .filter(AttributeNames.belongsToFile).sorted()
      .compactMap { name in
        // What vanished meanwhile or this process may not read is left out: the rest is still worth keeping.
        guard case .success(let value) = readGrowing({ tier_get_attribute(fd, name, $0, $1) }) else {
          return nil
        }
        return ExtendedAttribute(name: name, value: value)
      }
  }

  package func attribute(_ name: String, at site: CallSite) throws(SyscallError) -> [UInt8]? {
    let fd = descriptor.raw
    switch readGrowing({ tier_get_attribute(fd, name, $0, $1) }) {
    case .success(let value): return value
    case .failure(let number) where [ENODATA, EOPNOTSUPP].contains(number.errno): return nil
    case .failure(let number): throw failure("fgetxattr", number.errno)
    }
  }

  package func setAttribute(_ name: String, to value: [UInt8], at site: CallSite) throws(SyscallError) {
    try check(tier_set_attribute(descriptor.raw, name, value, value.count), "fsetxattr")
  }

  package func removeAttribute(_ name: String, at site: CallSite) throws(SyscallError) {
    try check(tier_remove_attribute(descriptor.raw, name), "fremovexattr")
  }

  package func setMode(_ mode: UInt16, at site: CallSite) throws(SyscallError) {
    try check(tier_chmod(descriptor.raw, UInt32(mode)), "fchmod")
  }

  package func setOwner(_ owner: UInt32, group: UInt32, at site: CallSite) throws(SyscallError) {
    try check(tier_chown(descriptor.raw, "", owner, group), "fchown")
  }

  package func setTimes(modified: FileTime, accessed: FileTime, at site: CallSite) throws(SyscallError) {
    try check(
      tier_set_times(
        descriptor.raw, nil, accessed.seconds, Int(accessed.nanoseconds), modified.seconds,
        Int(modified.nanoseconds)), "futimens")
  }

  // MARK: Leases

  package func takeLease(_ lease: Lease, at site: CallSite) throws(SyscallError) {
    try check(tier_set_lease(descriptor.raw, lease.kernelType), "fcntl F_SETLEASE")
    self.lease.withLock { $0 = lease }
  }

  package func leaseIsUndisturbed(at site: CallSite) throws(SyscallError) -> Bool {
    // While somebody waits, the kernel answers what the lease has to become; after its break time, none.
    let current = try check(tier_get_lease(descriptor.raw), "fcntl F_GETLEASE")
    return lease.withLock { $0.map { $0.kernelType == current } ?? false }
  }

  package func dropLease(at site: CallSite) throws(SyscallError) {
    let held = lease.withLock { lease in
      defer { lease = nil }
      return lease != nil
    }
    if held { try check(tier_set_lease(descriptor.raw, Int32(F_UNLCK)), "fcntl F_SETLEASE") }
  }

  private func failure(_ call: String, _ errno: Int32) -> SyscallError {
    SyscallError(call: call, path: path, errno: errno)
  }

  @discardableResult
  private func check<Number: SignedInteger>(_ result: Number, _ call: String) throws(SyscallError) -> Number {
    guard result >= 0 else { throw failure(call, Int32(-result)) }
    return result
  }
}

extension Lease {
  fileprivate var kernelType: Int32 {
    switch self {
    case .againstWriters: Int32(F_RDLCK)
    case .againstAll: Int32(F_WRLCK)
    }
  }
}

/// Which extended attributes are the file's own, to be kept and brought back.
package enum AttributeNames {
  /// tierd's identity record on a file, as root and without it.
  package static let identity = "trusted.tierd"
  package static let unprivilegedIdentity = "user.tierd"

  /// What overlay file systems and cluster bricks keep for themselves would do harm on another inode.
  private static let foreignPrefixes = [
    "trusted.tierd.", "user.tierd.", "trusted.glusterfs.", "trusted.gfid", "trusted.afr.", "trusted.ec.",
    "trusted.overlay.", "user.overlay.",
  ]

  static func belongsToFile(_ name: String) -> Bool {
    if name == identity || name == unprivilegedIdentity { return false }
    if foreignPrefixes.contains(where: name.hasPrefix) { return false }
    return name.hasPrefix("user.") || name.hasPrefix("trusted.") || name == "system.posix_acl_access"
      || name == "security.capability"
  }
}

struct ErrorNumber: Error { var errno: Int32 }

/// For calls that answer the length needed when given no room. Starts with room for what is usual, and asks
/// again as long as somebody makes the value longer meanwhile.
func readGrowing(_ call: (UnsafeMutableRawPointer?, Int) -> Int) -> Result<[UInt8], ErrorNumber> {
  var room = 1024
  while true {
    var result = 0
    let value = [UInt8](unsafeUninitializedCapacity: room) { buffer, count in
      result = call(buffer.baseAddress, buffer.count)
      count = max(0, result)
    }
    if result >= 0 { return .success(value) }
    guard result == -Int(ERANGE) else { return .failure(ErrorNumber(errno: Int32(-result))) }
    let needed = call(nil, 0)
    guard needed >= 0 else { return .failure(ErrorNumber(errno: Int32(-needed))) }
    room = max(needed, room + 1)
  }
}
