import Logging
import TierCore

/// Compares a regular file with the row of a released one that had its inode: the placeholder, perhaps changed; or
/// something new that was given the inode's number.
struct PlaceholderLook {
  let volume: Volume
  let path: RelativePath

  /// Nil where it is another file.
  func changes(to row: CatalogFile, _ status: FileStatus) throws(TierError) -> [CatalogChange]? {
    guard let copy = row.copy else { return nil }
    var seen = row
    if row.version != status.version || holdsMore(row, status) {
      guard try look(&seen, copy, status) else { return nil }
    }
    volume.judge(&seen, at: path)
    return seen == row ? [] : [.put(seen)]
  }

  /// False where it is another file.
  private func look(_ seen: inout CatalogFile, _ copy: ArchivedCopy, _ status: FileStatus) throws(TierError)
    -> Bool
  {
    let identity = try volume.identity(of: path, at: "placeholder.identity")
    if let identity {
      guard identity.archiveID == copy.archiveID else { return false }
      guard identity.state.withholdsContent else {
        // Its content is back, and the row was not written.
        seen.state = .resident
        seen.observe(status)
        return true
      }
      guard holdsMore(seen, status), try !isUnderWay(seen) else {
        seen.observe(status)
        return true
      }
    } else {
      // A stub that lost its mark has its size and holds nothing; a new file of the same number doesn't.
      guard volume.isPrivileged, status.size == copy.size else { return false }
    }
    let isCopySure = identity != nil && copy.proof == .proven && !seen.isLost
    volume.noteOwnUse(of: path)
    switch try PlaceholderSettling(volume: volume, path: path, copy: copy).look(isCopySure: isCopySure) {
    case .released(let now):
      seen.heldReason = nil
      seen.observe(now)
    case .archived(let now):
      seen.state =
        now.size == copy.size && now.modified == copy.modified && now.links == 1 ? .archived : .resident
      seen.observe(now)
    case .unknown(let reason):
      if identity == nil { return false }
      seen.heldReason = reason
      seen.observe(status)
    case .busy: break
    }
    return true
  }

  /// Something, or all that it should: it was cut to nothing where the guard isn't asked.
  private func holdsMore(_ row: CatalogFile, _ status: FileStatus) -> Bool {
    isInflated(row, status) || (status.size == 0 && row.copy?.size != 0)
  }

  /// More blocks than the emptied file had. Attributes may need some.
  private func isInflated(_ row: CatalogFile, _ status: FileStatus) -> Bool {
    status.allocated > row.allocated + Self.blocksOfAttributes
  }

  private static let blocksOfAttributes: Int64 = 16 << 10

  /// True until a release or restore of it has ended.
  private func isUnderWay(_ row: CatalogFile) throws(TierError) -> Bool {
    guard let id = row.id else { return false }
    return try volume.catalog.openIntents(for: id).contains { $0.kind == .release || $0.kind == .restore }
  }
}
