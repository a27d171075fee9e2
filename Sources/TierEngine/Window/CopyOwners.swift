import TierCore

/// Everything in the catalog that says where one copy is: the file's row, those of its stub's copies, a removal
/// that waits.
struct CopyOwners {
  var files: [CatalogFile]
  private(set) var removals: [Removal]

  init(of id: ArchiveID, in catalog: any Catalog) throws(TierError) {
    files = try catalog.files(withArchiveID: id)
    removals = try catalog.removals(withArchiveID: id).filter { $0.stage == .pending }
  }

  var copy: ArchivedCopy? { files.first?.copy ?? removals.first?.copy }

  /// One of the files whose volume is there, and its path; any of them may give the copy its name.
  func file(in engine: EngineContext) throws(TierError) -> (CatalogFile, Volume, RelativePath)? {
    for file in files {
      if let volume = engine.volume(file.volume), let path = try volume.path(of: file) {
        return (file, volume, path)
      }
    }
    return nil
  }

  /// True where a place is that of a file; of several files (an app copied the stub), of one.
  func belongs(at place: RelativePath, in engine: EngineContext) throws(TierError) -> Bool {
    for file in files {
      if let volume = engine.volume(file.volume), let path = try volume.path(of: file),
        volume.targetPath(of: path) == place
      {
        return true
      }
    }
    return false
  }

  mutating func relocate(to place: RelativePath) {
    for index in files.indices { files[index].copy?.path = place }
    for index in removals.indices {
      removals[index].copy.path = place
      removals[index].trashPath = nil
    }
  }

  /// That writes them all down as they are here.
  var changes: [CatalogChange] { files.map { .put($0) } + removals.map { .putRemoval($0) } }
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
