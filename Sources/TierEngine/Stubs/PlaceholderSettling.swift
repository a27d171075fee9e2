import TierCore
import TierLinux

/// Finds out what a regular file really holds whose identity (or row) says that its content is on the target: after a
/// crash, or when something else filled it: a heal or a backup that wrote the holes as zeros.
struct PlaceholderSettling {
  let volume: Volume
  let path: RelativePath
  let copy: ArchivedCopy

  enum Outcome {
    /// It holds nothing (any more).
    case released(FileStatus)
    /// All of its content is there, to the last byte.
    case archived(FileStatus)
    /// Nobody knows whose content it is: it stays, and is neither read nor archived.
    case unknown(String)
    /// Somebody waits for it, or has it open.
    case busy
  }

  /// Where something that we can't have written ourselves is in it, only what the target surely has is freed. `state`:
  /// what its identity says, with nobody at work on it.
  func look(isCopySure: Bool, _ state: IdentityState) throws(TierError) -> Outcome {
    guard let file = try volume.openForRelease(path, .readWrite) else { return .busy }
    defer { file.close() }
    guard try isAlone(file) else { return .busy }
    // One that was found resident once is asked about no more until the guard is told.
    try volume.stubMode.guardian?.stubbing(file)
    return try wrapping("while looking at what it holds") { () throws(SyscallError) in
      let placeholder = Placeholder(volume: volume, copy: copy, file: file)
      // Nothing was freed yet, and somebody may have been let through before: what is there is what he has.
      if state == .releasing { return .archived(try placeholder.fill()) }
      let status = try file.status(at: "settle.status")
      switch try placeholder.content() {
      case .whole: return .archived(try placeholder.fill())
      case .none:
        return .released(try placeholder.empty(modified: status.modified, accessed: status.accessed))
      case .other:
        let isOld = status.size == copy.size && status.modified == copy.modified
        guard isCopySure, isOld || state == .restoring else { return .unknown(Self.unknown) }
        return .released(try placeholder.empty(modified: copy.modified, accessed: status.accessed))
      }
    }
  }

  /// For one that has the stub's inode and size, but no mark (any more). Nil where it is another file. Whoever opens it
  /// is held before anything is concluded: until now he was let through.
  func lookWithoutMark(as row: CatalogFile) throws(TierError) -> Outcome? {
    guard let file = try volume.openForRelease(path, .readWrite) else { return .busy }
    defer { file.close() }
    guard try isAlone(file) else { return .busy }
    let placeholder = Placeholder(volume: volume, copy: copy, file: file)
    let (status, isFull) = try wrapping("while looking at what it holds") { () throws(SyscallError) in
      let status = try file.status(at: "settle.unmarked")
      return (status, try file.dataRange(from: 0, at: "settle.data") == 0..<status.size)
    }
    let hasOldTime = status.modified == row.version.modified
    // All of it was written since: nothing of the stub is left.
    if isFull, !hasOldTime { return nil }
    try wrapping("while marking it again") { () throws(SyscallError) in
      try placeholder.mark(.released, at: "settle.markAgain")
      try file.sync(at: "settle.syncMark")
    }
    try volume.stubMode.guardian?.stubbing(file)
    return try wrapping("while looking at what it holds") { () throws(SyscallError) in
      switch try placeholder.content() {
      case .whole: return .archived(try placeholder.fill())
      case .none where hasOldTime:
        return .released(try placeholder.empty(modified: status.modified, accessed: status.accessed))
      case .other where isFull:
        try file.removeAttribute(volume.identityAttribute, at: "settle.unmark")
        return nil
      // Cut and made long again, or written to in part, while nobody was asked: an app's, or a new file that was given
      // the stub's number and size. Either way some of it is in no other place.
      case .none, .other: return .unknown(Self.unknown)
      }
    }
  }

  /// True of a row's reason that says so, whoever wrote it down.
  static func isUnknown(_ reason: String?) -> Bool { reason?.contains(unknown) == true }

  /// What a release or restore of ours left that was cut off. The copy on the target is proven, or it had not begun.
  func finish(_ intent: Intent) throws(TierError) -> Outcome {
    let identity = try volume.identity(of: path, at: "settle.identity")
    guard let file = try volume.openForRelease(path, .readWrite) else { return .busy }
    defer { file.close() }
    if identity?.state != .releasing { try volume.stubMode.guardian?.stubbing(file) }
    return try wrapping("while finishing it") { () throws(SyscallError) in
      let placeholder = Placeholder(volume: volume, copy: copy, file: file)
      // Nothing was freed yet, and somebody may have been let through before: what is there is what he has.
      if identity?.state == .releasing { return .archived(try placeholder.fill()) }
      let status = try file.status(at: "settle.status")
      // A copy that is longer than what was archived was written to its end.
      if intent.kind == .restore, let size = intent.version?.size, status.size > size {
        try file.truncate(to: size, at: "settle.cut")
      }
      return .released(
        try placeholder.empty(
          modified: intent.version?.modified ?? copy.modified, accessed: status.accessed))
    }
  }

  /// Nobody else has it open, nor waits for it. Not for longer than the look: the guard asks about our own calls, too,
  /// and opens the file for that.
  private func isAlone(_ file: any OpenFile) throws(TierError) -> Bool {
    guard try volume.isAlone(file, at: "settle.lease") else { return false }
    try wrapping("while looking at what it holds") { () throws(SyscallError) in
      try file.dropLease(at: "settle.dropLease")
    }
    return true
  }

  static let unknown =
    "something was written to the released file while no guard stood before it: it stays as it is, and can't be opened. "
    + "To have what was archived, rm FILE, then tierctl undelete FILE; to keep what is in it now, "
    + "setfattr -x trusted.tierd FILE"
}

extension Placeholder {
  /// The content is there already: says so, durably.
  func fill() throws(SyscallError) -> FileStatus {
    try mark(.archived, at: "placeholder.markArchived")
    try file.sync(at: "placeholder.syncArchived")
    return try file.status(at: "placeholder.filled")
  }
}
