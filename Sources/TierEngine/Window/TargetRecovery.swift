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
      switch intent.kind {
      case .archive: try archive(intent)
      case .rename: try rename(intent)
      case .release, .restore, .remove: break
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
    var changes: [CatalogChange] = []
    if let copy = try published(intent) {
      if let id = intent.file, var row = try window.engine.catalog.file(id) {
        changes += try replaced(intent, older: row.copy, by: copy)
        row.copy = copy
        if row.state == .archived { row.state = .resident }
        row.retryAt = nil
        if let volume = window.engine.volume(row.volume), let path = try volume.path(of: row) {
          volume.judge(&row, at: path)
          if path != intent.path, let move = volume.move(for: row) { changes.append(move) }
        }
        changes.append(.put(row))
      } else {
        let now = window.engine.clock.now
        changes.append(
          .putRemoval(
            Removal(
              stage: .pending, volume: intent.volume, path: intent.path, copy: copy, removedAt: now,
              expires: now + .seconds(30 * 24 * 3600))))
      }
    }
    try session.remove(TargetLayout.temporary.appending(intent.archiveID.fileName))
    if let id = intent.id { try window.engine.catalog.finish([id], applying: changes) }
  }

  /// The copy, if this intent's is what stands at the final name.
  private func published(_ intent: Intent) throws(TierError) -> ArchivedCopy? {
    guard intent.step >= 1, let version = intent.version, let hash = intent.hash else { return nil }
    let wanted = TargetStatus(size: version.size, modified: version.modified)
    guard let found = try session.status(of: [intent.targetPath]).first ?? nil, found.matches(wanted) else {
      return nil
    }
    let row = try intent.file.flatMap { (id) throws(TierError) in try window.engine.catalog.file(id) }
    if row?.copy?.archiveID == intent.archiveID { return row?.copy }
    return ArchivedCopy(
      archiveID: intent.archiveID, target: intent.target, path: intent.targetPath, size: version.size,
      modified: version.modified, hash: hash, archivedAt: intent.begun, proof: .awaiting(instance: nil),
      metadata: FileMetadata(
        mode: row?.mode ?? 0o600, owner: row?.owner ?? 0, group: 0, modified: version.modified,
        accessed: version.modified))
  }

  /// What the publication that a crash hid moved to the trash.
  private func replaced(_ intent: Intent, older: ArchivedCopy?, by copy: ArchivedCopy) throws(TierError)
    -> [CatalogChange]
  {
    guard let older, let trash = intent.newTargetPath, older.archiveID != copy.archiveID,
      older.path == intent.targetPath, let volume = window.engine.volume(intent.volume)
    else { return [] }
    return try volume.replacementChanges(of: older, at: intent.path, in: trash, file: intent.file)
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
