import TierCore
import TierLinux

/// A regular file that keeps its size, its times and its inode while its content is only on the target. Its identity
/// says so before a block is freed, and until the content is back: nobody reads it but through the guard.
struct Placeholder {
  let volume: Volume
  let copy: ArchivedCopy
  /// Opened to read and write.
  let file: any OpenFile

  /// What a regular file holds that should hold nothing.
  enum Content {
    case none
    /// All of it, to the last byte.
    case whole
    /// Parts, or somebody's own.
    case other
  }

  func mark(_ state: IdentityState, at site: CallSite) throws(SyscallError) {
    let record = IdentityRecord(state: state, epoch: volume.epoch, copy: copy)
    try file.setAttribute(volume.identityAttribute, to: record.encoded, at: site)
  }

  /// Says that the content is gone, durably, then frees it, and gives the file its times. So a file that says
  /// `releasing` has lost nothing yet. Repeated after a crash it comes to the same.
  func empty(modified: FileTime, accessed: FileTime) throws(SyscallError) -> FileStatus {
    try mark(.released, at: "placeholder.markReleased")
    try file.sync(at: "placeholder.syncMark")
    try file.freeContent(at: "placeholder.free")
    try file.setTimes(modified: modified, accessed: accessed, at: "placeholder.times")
    try file.sync(at: "placeholder.sync")
    return try file.status(at: "placeholder.status")
  }

  /// Reads all of what isn't a hole.
  func content() throws(SyscallError) -> Content {
    let size = try file.status(at: "placeholder.size").size
    guard try file.dataRange(from: 0, at: "placeholder.data") != nil else {
      return size == 0 ? .whole : .none
    }
    if size == copy.size, try file.contentHash(at: "placeholder.hash") == copy.hash { return .whole }
    return try isZero() ? .none : .other
  }

  private func isZero() throws(SyscallError) -> Bool {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
    defer { buffer.deallocate() }
    var offset: Int64 = 0
    while let data = try file.dataRange(from: offset, at: "placeholder.data") {
      offset = data.lowerBound
      while offset < data.upperBound {
        let room = UnsafeMutableRawBufferPointer(
          rebasing: buffer[..<Int(min(data.upperBound - offset, 1 << 20))])
        let length = try file.read(into: room, offset: offset, at: "placeholder.read")
        if length == 0 { return true }
        guard room[..<length].allSatisfy({ $0 == 0 }) else { return false }
        offset += Int64(length)
      }
    }
    return true
  }
}

extension Volume {
  var isPrivileged: Bool { identityAttribute == AttributeNames.identity }

  /// What an inode says of itself; nil where it says nothing that we can read.
  func identity(of path: RelativePath, at site: CallSite) throws(TierError) -> IdentityRecord? {
    let value = try wrapping("while reading its identity") { () throws(SyscallError) in
      try files.attribute(identityAttribute, of: path, at: site)
    }
    return value.flatMap { try? IdentityRecord.parse($0) }
  }

  enum StandingStub { case link, placeholder }

  /// The stub of just this copy that has the name; nil where something else has it.
  func stub(at path: RelativePath, of id: ArchiveID, at site: CallSite) throws(TierError) -> StandingStub? {
    try wrapping("while looking at its stub") { () throws(SyscallError) in
      guard let status = try files.status(of: path, at: site) else { return nil }
      guard status.kind == .symlink || (isPrivileged && status.kind == .regular) else { return nil }
      if isPrivileged, let value = try files.attribute(identityAttribute, of: path, at: site),
        let record = try? IdentityRecord.parse(value)
      {
        guard record.archiveID == id else { return nil }
        if status.kind == .symlink { return .link }
        return record.state.withholdsContent ? .placeholder : nil
      }
      guard status.kind == .symlink else { return nil }
      return StubLink.parse(try files.readLink(path, at: site))?.archiveID == id ? .link : nil
    }
  }

  func isStub(_ path: RelativePath, of id: ArchiveID, at site: CallSite) throws(TierError) -> Bool {
    try stub(at: path, of: id, at: site) != nil
  }

  func isPlaceholder(_ path: RelativePath, of id: ArchiveID, at site: CallSite) throws(TierError) -> Bool {
    try stub(at: path, of: id, at: site) == .placeholder
  }

  /// Whoever opens it from the return on is asked about, also where it was found resident once.
  func guardPlaceholder(at path: RelativePath) throws(TierError) {
    guard let guardian = stubMode.guardian, let file = try openForRelease(path, .read) else { return }
    defer { file.close() }
    try guardian.stubbing(file)
  }
}
