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

  /// True where the copy hasn't the name of its file; of several files (an app copied the stub), of any.
  func isAstray(in engine: EngineContext) throws(TierError) -> Bool {
    for file in files {
      if let volume = engine.volume(file.volume), let path = try volume.path(of: file),
        volume.targetPath(of: path) == file.copy?.path
      {
        return false
      }
    }
    return !files.isEmpty
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

extension CatalogFile {
  /// Its copy, if that is what stands at a place on the target.
  func copy(at place: RelativePath, on target: String) -> ArchivedCopy? {
    copy.flatMap { $0.path == place && $0.target == target ? $0 : nil }
  }
}

extension Volume {
  /// What follows when a newer version took an older copy's name on the target and that one went to the trash, where
  /// `older` says. Where other rows need it (an app copied the stub, or the renamed file still had its old name) it
  /// stays theirs.
  func replacementChanges(of older: ArchivedCopy, at path: RelativePath, file: FileID?) throws(TierError)
    -> [CatalogChange]
  {
    let pending = try catalog.removals(withArchiveID: older.archiveID).first { $0.stage == .pending }
    let heirs = try catalog.files(withArchiveID: older.archiveID).filter { $0.id != file }
    if pending == nil, !heirs.isEmpty {
      return heirs.map { heir in
        var heir = heir
        heir.copy?.path = older.path
        return .put(heir)
      } + (heirs.first.flatMap { move(for: $0) }.map { [$0] } ?? [])
    }
    var removal = pending ?? removal(of: older, at: path, stage: .trashed)
    removal.stage = .trashed
    removal.trashPath = older.path
    return [.putRemoval(removal), .forgetMove(older.archiveID)]
  }

  /// What follows for the copy that a row had until now, where it stands elsewhere: the policy names another target
  /// now, the target can't rename, or the file was renamed just now.
  func successionChanges(of row: CatalogFile, by copy: ArchivedCopy) throws(TierError) -> [CatalogChange] {
    guard let former = row.copy, former.archiveID != copy.archiveID,
      former.path != copy.path || former.target != copy.target
    else { return [] }
    return try removalChanges(for: row)
  }
}
