import CLibNFS
import TierCore

/// A file or directory as the server names it: up to 64 bytes that only the server understands.
struct NFSHandle: Hashable {
  static let limit = 64
  let bytes: [UInt8]

  /// Nil for what can't be a handle.
  init?(_ bytes: [UInt8]) {
    guard !bytes.isEmpty, bytes.count <= Self.limit else { return nil }
    self.bytes = bytes
  }

  init?(_ handle: nfs_fh3) {
    self.init(Array(UnsafeRawBufferPointer(start: handle.data.data_val, count: Int(handle.data.data_len))))
  }

  init?(_ handle: post_op_fh3) {
    guard handle.handle_follows != 0 else { return nil }
    self.init(handle.post_op_fh3_u.handle)
  }

  /// For the arguments of a call, which libnfs encodes before the call returns.
  func withHandle<Value>(_ body: (nfs_fh3) -> Value) -> Value {
    bytes.withUnsafeBytes { raw in
      var handle = nfs_fh3()
      handle.data.data_len = UInt32(raw.count)
      handle.data.data_val = UnsafeMutablePointer(
        mutating: raw.baseAddress!.assumingMemoryBound(to: CChar.self))
      return body(handle)
    }
  }

  func with<Value>(_ name: FileName, _ body: (diropargs3) -> Value) -> Value {
    withHandle { handle in
      (name.bytes + [0]).withUnsafeBytes { raw in
        body(
          diropargs3(
            dir: handle,
            name: UnsafeMutablePointer(mutating: raw.baseAddress!.assumingMemoryBound(to: CChar.self))))
      }
    }
  }
}

/// What the server says of a file.
struct NFSAttributes: Hashable {
  var isRegular: Bool
  var isDirectory: Bool
  var size: Int64
  var modified: FileTime
  var owner: UInt32
  var group: UInt32

  init(_ attributes: fattr3) {
    isRegular = attributes.type == NF3REG
    isDirectory = attributes.type == NF3DIR
    size = Int64(clamping: attributes.size)
    modified = FileTime(seconds: Int64(attributes.mtime.seconds), nanoseconds: attributes.mtime.nseconds)
    owner = attributes.uid
    group = attributes.gid
  }

  init?(_ attributes: post_op_attr) {
    guard attributes.attributes_follow != 0 else { return nil }
    self.init(attributes.post_op_attr_u.attributes)
  }

  var status: TargetStatus { TargetStatus(size: size, modified: modified, isRegular: isRegular) }
}

/// What one call may set; nil leaves it alone.
struct NFSChanges {
  var mode: UInt16?
  var owner: (user: UInt32, group: UInt32)?
  var size: Int64?
  var times: (modified: FileTime, accessed: FileTime)?

  var sattr: sattr3 {
    var changes = sattr3()
    if let mode {
      changes.mode.set_it = 1
      changes.mode.set_mode3_u.mode = UInt32(mode)
    }
    if let owner {
      changes.uid.set_it = 1
      changes.uid.set_uid3_u.uid = owner.user
      changes.gid.set_it = 1
      changes.gid.set_gid3_u.gid = owner.group
    }
    if let size {
      changes.size.set_it = 1
      changes.size.set_size3_u.size = UInt64(size)
    }
    if let times {
      changes.mtime.set_it = SET_TO_CLIENT_TIME
      changes.mtime.set_mtime_u.mtime = nfstime3(times.modified)
      changes.atime.set_it = SET_TO_CLIENT_TIME
      changes.atime.set_atime_u.atime = nfstime3(times.accessed)
    }
    return changes
  }
}

extension FileTime {
  /// The nearest time that NFSv3 can carry (1970 to 2106); the manifest keeps the real one.
  var clampedForNFS: FileTime {
    if seconds < 0 { return FileTime(seconds: 0, nanoseconds: 0) }
    if seconds > Int64(UInt32.max) { return FileTime(seconds: Int64(UInt32.max), nanoseconds: 0) }
    return self
  }
}

extension TargetStatus {
  var clampedForNFS: TargetStatus {
    TargetStatus(size: size, modified: modified.clampedForNFS, isRegular: isRegular)
  }
}

extension nfstime3 {
  init(_ time: FileTime) {
    let time = time.clampedForNFS
    self.init(seconds: UInt32(time.seconds), nseconds: time.nanoseconds)
  }
}

/// The write verifier: the server keeps it until it may have lost what it hadn't yet written.
func verifier(_ bytes: writeverf3) -> UInt64 {
  withUnsafeBytes(of: bytes) { $0.loadUnaligned(as: UInt64.self) }
}
