import Logging
import TierCore
import TierLinux

/// Finishes or undoes, at the start of a volume, the releases and restores that a crash cut off. Needs no
/// target. Archives, removals and renames are taken up again in the next window (`TargetRecovery`).
struct LocalRecovery {
  let volume: Volume
  let log: Logger

  func run() throws(TierError) {
    let intents = try volume.catalog.openIntents(limit: 100_000).filter { $0.volume == volume.id }
    for intent in intents where intent.kind != .archive {
      try wrapping("while recovering") { () throws(SyscallError) in
        try volume.files.settleSwap(of: volume.hiddenPath(intent.archiveID), with: intent.path)
      }
      switch intent.kind {
      case .release: try release(intent)
      case .restore: try restore(intent)
      case .rename: try renewedStub(intent)
      case .archive, .remove: break
      }
    }
    try reportLeftovers()
  }

  private func release(_ intent: Intent) throws(TierError) {
    let hidden = volume.hiddenPath(intent.archiveID)
    guard let old = try status(of: hidden), old.kind == .regular else {
      return try PutBack(volume: volume, log: log).run(intent)
    }
    let unchanged = intent.version.map { old.version.hasSameContent(as: $0) } ?? false
    guard unchanged, try !isBeingWritten(hidden) else {
      return try PutBack(volume: volume, log: log).run(intent)
    }
    // Its copy is proven, or there would be no intent: whether the stub still stands, moved on or was deleted,
    // nothing needs the old inode any more.
    var changes: [CatalogChange] = []
    if try volume.isStub(intent.path, of: intent.archiveID, at: "recovery.isStub"), let id = intent.file,
      var row = try volume.catalog.file(id), let stub = try status(of: intent.path)
    {
      row.state = .released
      row.observeStub(stub)
      volume.judge(&row, at: intent.path)
      changes = [.put(row)]
    }
    try unlink(hidden)
    if let id = intent.id { try volume.catalog.finish([id], applying: changes) }
  }

  private func restore(_ intent: Intent) throws(TierError) {
    let hidden = volume.hiddenPath(intent.archiveID)
    if try status(of: hidden) != nil { try unlink(hidden) }
    var changes: [CatalogChange] = []
    if let id = intent.file, var row = try volume.catalog.file(id), row.state == .released,
      let copy = row.copy, let status = try status(of: intent.path), status.kind == .regular,
      status.size == copy.size, status.modified == copy.modified,
      try identity(of: intent.path)?.archiveID == copy.archiveID
    {
      row.state = .archived
      row.observe(status)
      row.lastUsed = volume.clock.now
      volume.judge(&row, at: intent.path)
      changes = [.put(row)]
    }
    if let id = intent.id { try volume.catalog.finish([id], applying: changes) }
  }

  /// Either the new stub or the old one; the rename itself is the target's recovery to settle.
  private func renewedStub(_ intent: Intent) throws(TierError) {
    let hidden = volume.hiddenPath(intent.archiveID)
    if try status(of: hidden)?.kind == .symlink { try unlink(hidden) }
  }

  /// Only a lost catalog leaves these: perhaps the last copy of something, so they stay.
  private func reportLeftovers() throws(TierError) {
    let left = try wrapping("while looking for leftovers") { () throws(SyscallError) in
      try volume.files.list(Volume.hiddenFolder, at: "recovery.leftovers")
    }
    let intents = Set(
      try volume.catalog.openIntents(limit: 100_000).map(\.archiveID.fileName))
    for entry in left where !intents.contains(entry.name) {
      log.warning(
        "unknown file in tierd's folder; it stays. Compare it with the original and delete it by hand",
        metadata: ["path": "\(volume.absolute(Volume.hiddenFolder.appending(entry.name)))"])
    }
  }

  private func isBeingWritten(_ path: RelativePath) throws(TierError) -> Bool {
    try wrapping("while looking for writers") { () throws(SyscallError) in
      let file = try volume.files.open(path, .read, at: "recovery.open")
      defer { file.close() }
      do throws(SyscallError) {
        try file.takeLease(.againstWriters, at: "recovery.lease")
        return false
      } catch {
        guard error.isBusy else { throw error }
        return true
      }
    }
  }

  private func identity(of path: RelativePath) throws(TierError) -> IdentityRecord? {
    let value = try wrapping("while reading its identity") { () throws(SyscallError) in
      try volume.files.attribute(volume.identityAttribute, of: path, at: "recovery.identity")
    }
    return value.flatMap { try? IdentityRecord.parse($0) }
  }

  private func status(of path: RelativePath) throws(TierError) -> FileStatus? {
    try wrapping("while recovering") { () throws(SyscallError) in
      try volume.files.status(of: path, at: "recovery.status")
    }
  }

  private func unlink(_ path: RelativePath) throws(TierError) {
    try wrapping("while recovering") { () throws(SyscallError) in
      try volume.files.unlink(path, at: "recovery.unlink")
    }
  }
}
