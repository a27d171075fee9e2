import Logging
import TierCore
import TierLinux

/// Turns placeholders into symbolic links, where no guard can stand before them (any more): a link that leads nowhere
/// is an error to whoever opens it, a placeholder without a guard would be zeros. Needs no target.
struct PlaceholderConversion {
  let volume: Volume
  let links: SymlinkStub

  /// All that the catalog knows of, at once; what was renamed unseen, the scan comes to. Does nothing where the volume
  /// never had any.
  func run(_ log: Logger) throws(TierError) {
    guard try volume.hasPlaceholders() else { return }
    var after: FileID?
    var converted = 0
    while true {
      let page = try volume.catalog.files(below: volume.rootDirectory, after: after, limit: 512)
      for row in page where row.state == .released {
        do throws(TierError) {
          if try volume.committing({ () throws(TierError) in try convert(row) }) { converted += 1 }
        } catch {
          guard error.isOfOnePlace, volume.isStillThere() else { throw error }
          log.error("a placeholder stays without a guard", metadata: ["error": "\(error)"])
        }
      }
      guard let last = page.last else { break }
      after = last.id
    }
    if converted > 0 {
      log.warning(
        "placeholders became links: no guard stands before them",
        metadata: [
          "volume": "\(volume.name)", "files": "\(converted)", "reason": "\(volume.missingGuard ?? "")",
        ])
    }
  }

  /// For a caller that is committing. False where no placeholder of the row's stands, or it stays one: then its row
  /// says why.
  func convert(_ known: CatalogFile) throws(TierError) -> Bool {
    guard let id = known.id, var row = try volume.catalog.file(id), let copy = row.copy,
      let path = try volume.path(of: row),
      try volume.isPlaceholder(path, of: copy.archiveID, at: "convert.isPlaceholder")
    else { return false }
    if try volume.obstacleToHiding(copy.archiveID) != nil { return false }
    // Without a guard somebody may have written to it, which moves its time; the row may have seen that. Not opened: a
    // guard that lives on, but has no client, would hold tierd itself.
    let empty = try look(path, at: "convert.look")
    guard let empty, empty.size == copy.size, empty.modified == copy.modified,
      empty.version.hasSameContent(as: row.version), copy.proof == .proven, !row.isLost
    else {
      if !PlaceholderSettling.isUnknown(row.heldReason) {
        volume.noteWhileCommitting(id, reason: PlaceholderSettling.unknown)
      }
      return false
    }
    let hidden = volume.renewalPath(copy.archiveID)
    let stub = try links.make(copy, of: row, at: hidden, in: volume)
    try exchange(hidden, path, at: "convert.exchange")
    let out = try look(hidden, at: "convert.status")
    guard out?.version.hasSameContent(as: empty.version) == true,
      try volume.isPlaceholder(hidden, of: copy.archiveID, at: "convert.isOurs")
    else {
      try exchange(hidden, path, at: "convert.exchangeBack")
      try unlink(hidden, at: "convert.unlinkLink")
      return false
    }
    try unlink(hidden, at: "convert.unlink")
    try converting { () throws(SyscallError) in
      try volume.files.syncDirectory(path.parent, at: "convert.syncParent")
    }
    row.observeStub(stub)
    row.heldReason = nil
    volume.judge(&row, at: path)
    try volume.catalog.apply([.put(row)])
    return true
  }

  private func look(_ path: RelativePath, at site: CallSite) throws(TierError) -> FileStatus? {
    try converting { () throws(SyscallError) in try volume.files.status(of: path, at: site) }
  }

  private func exchange(_ hidden: RelativePath, _ path: RelativePath, at site: CallSite) throws(TierError) {
    try converting { () throws(SyscallError) in try volume.files.swap(hidden, with: path, at: site) }
  }

  private func unlink(_ path: RelativePath, at site: CallSite) throws(TierError) {
    try converting { () throws(SyscallError) in try volume.files.unlink(path, at: site) }
  }

  private func converting<Result>(_ body: () throws(SyscallError) -> Result) throws(TierError) -> Result {
    try wrapping("while making a link of a placeholder", body)
  }
}
