import TierCore

extension Volume {
  /// A row that is over, because its name is gone or something else has taken it. Nothing where there is none.
  func forgetting(_ row: CatalogFile?) throws(TierError) -> [CatalogChange] {
    guard let row, let id = row.id else { return [] }
    return try removalChanges(for: row) + [.forget(id)]
  }

  /// What follows when a row no longer stands for its copy on the target. A copy that another stub stands for as
  /// well (an app copied the stub) stays, and goes to that one's place.
  func removalChanges(for file: CatalogFile, lastPath: RelativePath? = nil) throws(TierError)
    -> [CatalogChange]
  {
    let place = try path(of: file)
    guard let copy = file.copy, let path = lastPath ?? place else { return [] }
    if let heir = try catalog.files(withArchiveID: copy.archiveID).first(where: { $0.id != file.id }) {
      return move(for: heir).map { [$0] } ?? []
    }
    return [.putRemoval(removal(of: copy, at: path, stage: .pending)), .forgetMove(copy.archiveID)]
  }

  func removal(of copy: ArchivedCopy, at path: RelativePath, stage: Removal.Stage) -> Removal {
    let keep = policies.current.keepDeleted(volume: name, path: path, size: copy.size)
    let now = clock.now
    return Removal(
      stage: stage, volume: id, path: path, copy: copy, removedAt: now,
      expires: keep.map { now + $0 } ?? now)
  }

  /// The removed file's copy, where it is by now. While a removal is under way that is one of two places: the
  /// next window finds out which, by the journal.
  func copyTakenBack(from removal: Removal) throws(TierError) -> ArchivedCopy {
    var copy = removal.copy
    guard let trash = removal.trashPath, trash != copy.path else { return copy }
    if removal.stage == .trashed {
      copy.path = trash
    } else {
      _ = try catalog.begin([
        Intent(
          kind: .rename, epoch: epoch, volume: id, file: nil, path: removal.path, target: copy.target,
          targetPath: copy.path, newTargetPath: trash, archiveID: copy.archiveID, begun: clock.now)
      ])
    }
    return copy
  }
}
