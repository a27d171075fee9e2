import TierCore

/// Everything in the catalog that says where one copy is: the file's row, those of its stub's copies, a removal
/// that waits.
struct CopyOwners {
  let files: [CatalogFile]
  let removals: [Removal]

  init(of id: ArchiveID, in catalog: any Catalog) throws(TierError) {
    files = try catalog.files(withArchiveID: id)
    removals = try catalog.removals(withArchiveID: id).filter { $0.stage == .pending }
  }

  var copy: ArchivedCopy? { files.first?.copy ?? removals.first?.copy }

  func relocated(to place: RelativePath) -> [CatalogChange] {
    files.map { file in
      var file = file
      file.copy?.path = place
      return .put(file)
    }
      + removals.map { removal in
        var removal = removal
        removal.copy.path = place
        removal.trashPath = nil
        return .putRemoval(removal)
      }
  }
}

extension Volume {
  /// What follows when a newer version took an older copy's name on the target and that one went to the trash.
  /// Where other rows need the older copy (an app copied its stub, or its renamed file was not seen yet) it stays
  /// theirs.
  func replacementChanges(
    of older: ArchivedCopy, at path: RelativePath, in trash: RelativePath, file: FileID?
  )
    throws(TierError) -> [CatalogChange]
  {
    let heirs = try catalog.files(withArchiveID: older.archiveID).filter { $0.id != file }
    guard heirs.isEmpty else {
      return heirs.map { heir in
        var heir = heir
        heir.copy?.path = trash
        return .put(heir)
      } + (heirs.first.flatMap { move(for: $0) }.map { [$0] } ?? [])
    }
    var removal = removal(of: older, at: path, stage: .trashed)
    removal.trashPath = trash
    return [.putRemoval(removal), .forgetMove(older.archiveID)]
  }
}
