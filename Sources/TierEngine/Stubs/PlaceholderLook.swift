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
    guard let identity = try volume.identity(of: path, at: "placeholder.identity") else {
      // A stub that lost its mark still has its size; a new file of the same number seldom does.
      guard volume.isPrivileged, status.size == copy.size, try !isUnderWay(seen) else { return false }
      // A person took the mark away, to keep what is in it.
      if PlaceholderSettling.isUnknown(seen.heldReason) { return false }
      let settling = PlaceholderSettling(volume: volume, path: path, copy: copy)
      volume.noteOwnUse(of: path)
      guard let outcome = try settling.lookWithoutMark(as: seen) else { return false }
      take(outcome, &seen, copy, status)
      return true
    }
    guard identity.archiveID == copy.archiveID else { return false }
    guard identity.state.withholdsContent else {
      // Its content is back, and the row was not written.
      seen.state = .resident
      seen.observe(status)
      return true
    }
    // One that says more than `released` without anybody at work on it: a crash, and then a rename, left it so.
    guard holdsMore(seen, status) || identity.state != .released, try !isUnderWay(seen) else {
      seen.observe(status)
      return true
    }
    volume.noteOwnUse(of: path)
    let settling = PlaceholderSettling(volume: volume, path: path, copy: copy)
    let isCopySure = copy.proof == .proven && !seen.isLost
    take(try settling.look(isCopySure: isCopySure, identity.state), &seen, copy, status)
    return true
  }

  private func take(
    _ outcome: PlaceholderSettling.Outcome, _ seen: inout CatalogFile, _ copy: ArchivedCopy,
    _ status: FileStatus
  ) {
    switch outcome {
    case .released(let now):
      seen.heldReason = nil
      seen.observe(now)
    case .archived(let now):
      seen.state =
        now.size == copy.size && now.modified == copy.modified && now.links == 1 ? .archived : .resident
      seen.observe(now)
    case .unknown(let reason):
      seen.heldReason = reason
      seen.observe(status)
    case .busy: break
    }
  }

  /// Something, or all that it should: it was cut to nothing where the guard isn't asked.
  private func holdsMore(_ row: CatalogFile, _ status: FileStatus) -> Bool {
    isInflated(row, status) || (status.size == 0 && row.copy?.size != 0)
  }

  /// More blocks than the emptied file had. Attributes may need some.
  private func isInflated(_ row: CatalogFile, _ status: FileStatus) -> Bool {
    row.allocated == CatalogFile.unseen || status.allocated > row.allocated + Self.blocksOfAttributes
  }

  private static let blocksOfAttributes: Int64 = 16 << 10

  /// True until a release or restore of it has ended.
  private func isUnderWay(_ row: CatalogFile) throws(TierError) -> Bool {
    guard let id = row.id else { return false }
    return try volume.catalog.openIntents(for: id).contains { $0.kind == .release || $0.kind == .restore }
  }
}
