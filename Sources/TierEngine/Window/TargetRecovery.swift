import TierCore

/// At the start of a window: takes up what a crash or a failed window left half done on the target. What was
/// published becomes the file's copy (which the archiver then checks against the file); what wasn't is removed.
struct TargetRecovery {
  let window: WindowRun
  let session: any TargetSession

  func run() throws(TierError) {
    let target = window.service.target.name
    let open = try window.engine.catalog.openIntents(limit: 100_000).filter { $0.target == target }
    for intent in open {
      do throws(TierError) {
        switch intent.kind {
        case .archive: try archive(intent)
        case .rename: try rename(intent)
        case .release, .restore: break
        }
      } catch {
        // What the target refuses of one file must not keep the others from it.
        guard error.code == .targetDenied, error.disposition == .permanent else { throw error }
        window.log.warning(
          "what was cut off can't be finished; it is tried again in the next window",
          metadata: ["target": "\(target)", "path": "\(intent.targetPath)", "error": "\(error)"])
      }
    }
    if window.service.isFirstWindow { try sweep() }
  }

  /// What an earlier life of the daemon left half written and no intent tells of: manifests on their way.
  private func sweep() throws(TierError) {
    for entry in try session.list(TargetLayout.temporary) where !entry.isDirectory {
      guard ArchiveID(entry.name.description) != nil else { continue }
      try session.remove(TargetLayout.temporary.appending(entry.name))
    }
  }

  private func archive(_ intent: Intent) throws(TierError) {
    // Whose volume isn't there, waits for it.
    guard let volume = window.engine.volume(intent.volume) else { return }
    var changes: [CatalogChange] = []
    let row = try intent.file.flatMap { (id) throws(TierError) in try window.engine.catalog.file(id) }
    let older = try olderInTrash(intent, row)
    if let copy = try published(intent, row) {
      if let older { changes += try volume.replacementChanges(of: older, at: intent.path, file: row?.id) }
      if var row {
        changes += try volume.successionChanges(of: row, by: copy)
        row.copy = copy
        if row.state == .archived { row.state = .resident }
        row.retryAt = nil
        if let path = try volume.path(of: row) {
          volume.judge(&row, at: path)
          if path != intent.path, let move = volume.move(for: row) { changes.append(move) }
        }
        changes.append(.put(row))
      } else {
        changes.append(.putRemoval(volume.removal(of: copy, at: intent.path, stage: .pending)))
      }
    } else if let older {
      // It made way for one that never came.
      var owners = try CopyOwners(of: older.archiveID, in: window.engine.catalog)
      owners.relocate(to: older.path)
      changes += owners.changes
      if let (file, volume, path) = try owners.file(in: window.engine) {
        if let move = volume.move(for: file) { changes.append(move) }
        let record = ManifestRecord(
          operation: .rename, path: path, copy: older, epoch: volume.epoch, at: volume.clock.now)
        try window.writeManifest([record], of: volume, to: session)
      }
    }
    try session.remove(TargetLayout.temporary.appending(intent.archiveID.fileName))
    if let id = intent.id { try window.engine.catalog.finish([id], applying: changes) }
  }

  /// What the publication moved to the trash, at its place there; nil where it didn't come so far.
  private func olderInTrash(_ intent: Intent, _ row: CatalogFile?) throws(TierError) -> ArchivedCopy? {
    guard let trash = intent.newTargetPath else { return nil }
    let strays = try window.engine.catalog.copiesAstray(at: [intent.targetPath], on: intent.target)
    guard var older = row?.copy(at: intent.targetPath, on: intent.target) ?? strays.first else { return nil }
    let status = TargetStatus(size: older.size, modified: older.modified)
    guard let found = try session.status(of: [trash])[0], found.matches(status) else { return nil }
    older.path = trash
    return older
  }

  /// The copy, if this intent's is what stands at the final name.
  private func published(_ intent: Intent, _ row: CatalogFile?) throws(TierError) -> ArchivedCopy? {
    guard intent.step >= 1, let version = intent.version, let hash = intent.hash else { return nil }
    let wanted = TargetStatus(size: version.size, modified: version.modified)
    let staged = TargetLayout.temporary.appending(intent.archiveID.fileName)
    let found = try session.status(of: [intent.targetPath, staged])
    guard found[1] == nil, let standing = found[0], standing.matches(wanted) else { return nil }
    if row?.copy?.archiveID == intent.archiveID { return row?.copy }
    return ArchivedCopy(
      archiveID: intent.archiveID, target: intent.target, path: intent.targetPath, size: version.size,
      modified: version.modified, hash: hash, archivedAt: intent.begun, proof: .awaiting(instance: nil),
      metadata: FileMetadata(
        mode: row?.mode ?? 0o600, owner: row?.owner ?? 0, group: 0, modified: version.modified,
        accessed: version.modified))
  }

  /// Of a copy that was taken back while its removal was under way.
  func settleRenames(of id: ArchiveID) throws(TierError) {
    for intent in try window.engine.catalog.openIntents(withArchiveID: id) where intent.kind == .rename {
      try rename(intent)
    }
  }

  /// The copy is at one of two places: the one where it stands is the catalog's from now on.
  private func rename(_ intent: Intent) throws(TierError) {
    let catalog = window.engine.catalog
    var changes: [CatalogChange] = []
    var owners = try CopyOwners(of: intent.archiveID, in: catalog)
    if let place = intent.newTargetPath, let copy = owners.copy {
      let status = TargetStatus(size: copy.size, modified: copy.modified)
      let found = try session.status(of: [intent.targetPath, place])
      let isMoved = found[1]?.matches(status) ?? false
      if isMoved, found[0]?.matches(status) ?? false {
        // Two files that look alike, one of them not ours.
        owners.relocate(to: try holds(copy, at: intent.targetPath) ? intent.targetPath : place)
        changes = owners.changes
      } else if isMoved {
        owners.relocate(to: place)
        changes = owners.changes
      }
    }
    if let id = intent.id { try catalog.finish([id], applying: changes) }
  }

  private func holds(_ copy: ArchivedCopy, at path: RelativePath) throws(TierError) -> Bool {
    var holds = false
    try session.hash([path]) { _, outcome in
      if case .hashed(copy.hash, size: copy.size) = outcome { holds = true }
    }
    return holds
  }
}
