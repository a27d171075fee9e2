import Logging
import TierCore

/// Applies on the target what apps did in the cache: deletions go to the trash, renames follow. Deletions come
/// first, so that a name is free for whoever took it over.
struct TargetChanges {
  let run: WindowRun
  let session: any TargetSession

  private var catalog: any Catalog { run.engine.catalog }
  private var target: String { run.service.target.name }

  // MARK: Deletions

  func applyRemovals() throws(TierError) {
    var attempted: Set<RemovalID> = []
    while true {
      let page = try catalog.removals(on: target, stage: .pending, expiringBefore: .distantFuture, limit: 512)
        .filter { $0.id.map { !attempted.contains($0) } ?? false }
      if page.isEmpty { return }
      try applyRemovals(page)
      attempted.formUnion(page.compactMap(\.id))
    }
  }

  private func applyRemovals(_ page: [Removal]) throws(TierError) {
    let folder = run.newTrashFolder()
    // The place in the trash is written down before anything moves: a crash in between must find it again.
    var planned = page
    for index in planned.indices where planned[index].trashPath == nil {
      planned[index].trashPath = folder.appending(planned[index].copy.path)
    }
    try catalog.apply(planned.map { .putRemoval($0) })
    var records: [VolumeID: [ManifestRecord]] = [:]
    var changes: [CatalogChange] = []
    var emptied: Set<RelativePath> = []
    for removal in planned {
      guard let applied = try apply(removal) else { continue }
      changes.append(applied)
      emptied.insert(removal.copy.path.parent)
      records[removal.volume, default: []].append(
        ManifestRecord(
          operation: .remove, path: removal.path, copy: removal.copy, epoch: Epoch(0),
          at: run.engine.clock.now))
    }
    try write(records)
    try catalog.apply(changes)
    for directory in emptied.sorted().reversed() { try session.pruneEmptyDirectories(from: directory) }
  }

  /// What becomes of the removal; nil where it waits for another window.
  private func apply(_ removal: Removal) throws(TierError) -> CatalogChange? {
    guard let id = removal.id, let trash = removal.trashPath else { return nil }
    let expected = TargetStatus(size: removal.copy.size, modified: removal.copy.modified)
    switch try session.move(removal.copy.path, to: trash, expected: expected) {
    case .done:
      run.count { $0.changesApplied += 1 }
      if removal.expires <= run.engine.clock.now {
        try session.remove(trash)
        return .forgetRemoval(id)
      }
      var kept = removal
      kept.stage = .trashed
      return .putRemoval(kept)
    case .missing:
      return .forgetRemoval(id)
    case .conflict:
      run.log.warning(
        "a deleted file's copy on the target was changed by somebody else; it stays",
        metadata: ["target": "\(target)", "path": "\(removal.copy.path)"])
      return .forgetRemoval(id)
    case .unsupported:
      return nil
    }
  }

  func emptyTrash() throws(TierError) {
    let now = run.engine.clock.now
    for removal in try catalog.removals(on: target, stage: .trashed, expiringBefore: now, limit: 512) {
      guard let id = removal.id, let trash = removal.trashPath else { continue }
      try session.remove(trash)
      try session.pruneEmptyDirectories(from: trash.parent)
      try catalog.apply([.forgetRemoval(id)])
    }
  }

  // MARK: Renames

  func applyMoves() throws(TierError) {
    var attempted: Set<ArchiveID> = []
    while true {
      let page = try catalog.moves(on: target, limit: 512).filter { !attempted.contains($0.archiveID) }
      if page.isEmpty { return }
      for move in page {
        try apply(move)
        attempted.insert(move.archiveID)
      }
    }
  }

  private func apply(_ move: TargetMove) throws(TierError) {
    guard run.service.target.properties.renames, let row = try catalog.file(move.file), let copy = row.copy,
      copy.archiveID == move.archiveID
    else {
      return try catalog.apply([.forgetMove(move.archiveID)])
    }
    guard let volume = run.engine.volume(row.volume), let path = try volume.path(of: row) else { return }
    let place = volume.targetPath(of: path)
    if copy.path == place { return try catalog.apply([.forgetMove(move.archiveID)]) }
    var intent = Intent(
      kind: .rename, epoch: volume.epoch, volume: volume.id, file: row.id, path: path, target: target,
      targetPath: copy.path, newTargetPath: place, archiveID: copy.archiveID, begun: volume.clock.now)
    intent.id = try catalog.begin([intent]).first
    let expected = TargetStatus(size: copy.size, modified: copy.modified)
    let outcome = try session.move(copy.path, to: place, expected: expected)
    if outcome == .done {
      var moved = copy
      moved.path = place
      try write([
        volume.id: [
          ManifestRecord(
            operation: .rename, path: path, copy: moved, epoch: volume.epoch, at: volume.clock.now)
        ]
      ])
    }
    try conclude(move, intent, outcome, place, volume)
    if outcome == .done { try session.pruneEmptyDirectories(from: copy.path.parent) }
  }

  private func conclude(
    _ move: TargetMove, _ intent: Intent, _ outcome: MoveOutcome, _ place: RelativePath, _ volume: Volume
  ) throws(TierError) {
    let finished = intent.id.map { [$0] } ?? []
    try volume.committing { () throws(TierError) in
      var changes: [CatalogChange] = [.forgetMove(move.archiveID)]
      if var row = try catalog.file(move.file), let path = try volume.path(of: row),
        row.copy?.archiveID == move.archiveID
      {
        switch outcome {
        case .done:
          row.copy?.path = place
          run.count { $0.changesApplied += 1 }
          // Renamed once more while we were at it.
          if volume.targetPath(of: path) != place { changes = [] }
        case .missing:
          row.isLost = true
          row.heldReason = "its copy on \(target) is missing at \(intent.targetPath)"
          if row.state == .archived { row.state = .resident }
          volume.judge(&row, at: path)
        case .conflict:
          row.heldReason = "its copy keeps its old name on \(target): \(place) is taken there"
        case .unsupported:
          break
        }
        if row.state == .released, outcome == .done { try rewriteStub(&row, path, intent, volume) }
        changes.append(.put(row))
      }
      try catalog.finish(finished, applying: changes)
    }
    run.touched(volume)
  }

  /// The stub of a renamed file names its copy's place: it is replaced by one that is true again.
  private func rewriteStub(
    _ row: inout CatalogFile, _ path: RelativePath, _ intent: Intent, _ volume: Volume
  ) throws(TierError) {
    guard let copy = row.copy, try volume.isStub(path, of: copy.archiveID, at: "rename.isStub") else {
      return
    }
    let hidden = volume.hiddenPath(intent.archiveID)
    let stub = try run.engine.stubs(for: volume).make(copy, of: row, at: hidden, in: volume)
    let inode = row.version.inode
    let isOurs = try wrapping("while renewing its stub") { () throws(SyscallError) in
      try volume.files.swap(hidden, with: path, at: "rename.exchangeStub")
      let out = try volume.files.status(of: hidden, at: "rename.statusStub")
      if out?.inode != inode {
        try volume.files.swap(hidden, with: path, at: "rename.exchangeBack")
      }
      try volume.files.unlink(hidden, at: "rename.unlinkStub")
      return out?.inode == inode
    }
    if isOurs { row.observeStub(stub) }
  }

  private func write(_ records: [VolumeID: [ManifestRecord]]) throws(TierError) {
    for (id, lines) in records {
      guard let volume = run.engine.volume(id) else { continue }
      try run.writeManifest(lines, of: volume, to: session)
    }
  }
}
