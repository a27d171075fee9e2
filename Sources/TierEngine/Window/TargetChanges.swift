import Logging
import TierCore

/// Applies on the target what apps did in the cache: deletions go to the trash, renames follow. Deletions come
/// first, so that a name is free for whoever took it over.
struct TargetChanges {
  let run: WindowRun
  let session: any TargetSession

  private var catalog: any Catalog { run.engine.catalog }
  private var target: String { run.service.target.name }

  /// Whether `apply` may find something to do.
  func areWaiting() throws(TierError) -> Bool {
    let removals = try catalog.removals(
      on: target, stage: .pending, expiringBefore: .distantFuture, limit: 1)
    if !removals.isEmpty { return true }
    return try !catalog.moves(on: target, limit: 1).isEmpty
  }

  func apply() throws(TierError) {
    try applyRemovals()
    try applyMoves()
  }

  // MARK: Deletions

  func applyRemovals() throws(TierError) {
    var attempted: Set<RemovalID> = []
    while true {
      let page = try catalog.removals(
        on: target, stage: .pending, expiringBefore: .distantFuture, limit: 512 + attempted.count
      ).filter { $0.id.map { !attempted.contains($0) } ?? false }
      if page.isEmpty { return }
      try applyRemovals(page)
      attempted.formUnion(page.compactMap(\.id))
    }
  }

  private func applyRemovals(_ page: [Removal]) throws(TierError) {
    var records: [VolumeID: [ManifestRecord]] = [:]
    var changes: [(Removal, CatalogChange)] = []
    var emptied: Set<RelativePath> = []
    for removal in try planned(page) {
      guard let applied = try apply(removal) else { continue }
      changes.append((removal, applied))
      emptied.insert(removal.copy.path.parent)
      records[removal.volume, default: []].append(
        ManifestRecord(
          operation: .remove, path: removal.path, copy: removal.copy, epoch: Epoch(0),
          at: run.engine.clock.now))
    }
    try write(records)
    try catalog.together { () throws(TierError) in
      // One that was taken back meanwhile left an intent, which tells where its copy is.
      for (removal, change) in changes where try stands(removal) { try catalog.apply([change]) }
    }
    for directory in emptied.sorted().reversed() { try session.pruneEmptyDirectories(from: directory) }
  }

  /// The place in the trash is written down before anything moves: a crash in between must find it again, and who
  /// takes the removal back.
  private func planned(_ page: [Removal]) throws(TierError) -> [Removal] {
    let folder = run.newTrashFolder()
    return try catalog.together { () throws(TierError) in
      var planned: [Removal] = []
      for var removal in page where try stands(removal) {
        let place = removal.copy.path
        // A copy that made way for a newer one lies there already.
        let trash = place.isWithin(TargetLayout.trash) ? place : folder.appending(place)
        removal.trashPath = removal.trashPath ?? trash
        planned.append(removal)
      }
      try catalog.apply(planned.map { .putRemoval($0) })
      return planned
    }
  }

  /// What becomes of the removal; nil where it waits for another window.
  private func apply(_ removal: Removal) throws(TierError) -> CatalogChange? {
    guard let id = removal.id, let trash = removal.trashPath else { return nil }
    let expected = TargetStatus(size: removal.copy.size, modified: removal.copy.modified)
    let isThere = removal.copy.path == trash
    switch isThere ? .done : try moving(removal.copy.path, to: trash, expected: expected) {
    case .done:
      run.count { $0.changesApplied += 1 }
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

  /// A name that can't be made (a file stands where a folder is needed) is a conflict, not the window's end.
  private func moving(_ from: RelativePath, to: RelativePath, expected: TargetStatus) throws(TierError)
    -> MoveOutcome
  {
    do throws(TierError) {
      return try session.move(from, to: to, expected: expected)
    } catch {
      guard error.code == .targetDenied, error.disposition == .permanent else { throw error }
      return .conflict
    }
  }

  /// Nothing is destroyed before the volume was scanned as a whole after the removal: until then the file may
  /// stand where nobody looked yet, and be nothing but a stub.
  func emptyTrash() throws(TierError) {
    try run.engine.retention.look()
    try condemnExpired()
    try destroyCondemned()
  }

  /// Written down before anything is destroyed, so that nobody takes it back any more, and a window that is cut off
  /// leaves the rest to the next.
  private func condemnExpired() throws(TierError) {
    let now = run.engine.clock.now
    var keptBack: Set<RemovalID> = []
    while true {
      let page = try catalog.removals(
        on: target, stage: .trashed, expiringBefore: now, limit: 512 + keptBack.count
      ).filter { $0.id.map { !keptBack.contains($0) } ?? false }
      if page.isEmpty { return }
      keptBack.formUnion(page.filter { !isSurelyGone($0) }.compactMap(\.id))
      try catalog.together { () throws(TierError) in
        for var removal in page where isSurelyGone(removal) {
          // Not what was taken back just now.
          guard try stands(removal) else { continue }
          removal.stage = .condemned
          try catalog.apply([.putRemoval(removal)])
        }
      }
    }
  }

  private func isSurelyGone(_ removal: Removal) -> Bool {
    guard let volume = run.engine.volume(removal.volume),
      let scanned = run.engine.volumeService(volume.name)?.condition.lastScan
    else { return false }
    return scanned > removal.removedAt
  }

  private func destroyCondemned() throws(TierError) {
    var refused: Set<RemovalID> = []
    while true {
      let page = try catalog.removals(
        on: target, stage: .condemned, expiringBefore: .distantFuture, limit: 512 + refused.count
      ).filter { $0.id.map { !refused.contains($0) } ?? false }
      if page.isEmpty { return }
      var destroyed: [Removal] = []
      for removal in page where try destroy(removal) { destroyed.append(removal) }
      refused.formUnion(Set(page.compactMap(\.id)).subtracting(destroyed.compactMap(\.id)))
      try catalog.apply(destroyed.compactMap { $0.id.map { .forgetRemoval($0) } })
      for folder in Set(destroyed.compactMap { $0.trashPath?.parent }).sorted().reversed() {
        try session.pruneEmptyDirectories(from: folder)
      }
    }
  }

  /// False where the target refuses: it is tried again in the next window.
  private func destroy(_ removal: Removal) throws(TierError) -> Bool {
    guard let trash = removal.trashPath else { return false }
    do throws(TierError) {
      try session.remove(trash)
      return true
    } catch {
      guard error.code == .targetDenied, error.disposition == .permanent else { throw error }
      run.log.warning(
        "what the trash no longer keeps can't be deleted; it is tried again in the next window",
        metadata: ["target": "\(target)", "path": "\(trash)", "error": "\(error)"])
      return false
    }
  }

  /// Nobody took it back since it was read.
  private func stands(_ removal: Removal) throws(TierError) -> Bool {
    try catalog.removals(withArchiveID: removal.copy.archiveID).contains {
      $0.id == removal.id && $0.stage == removal.stage
    }
  }

  // MARK: Renames

  /// Where the name that a copy is to have is taken by another copy that is to move too (two files swapped
  /// names), the first is parked; then all names are free that will be. Where the target can't rename, the copies
  /// keep their names, and their moves tell that they may stand in others' way.
  func applyMoves() throws(TierError) {
    guard run.service.target.properties.renames else { return }
    try applyMoves { _ in false }
    try applyMoves { $0.isWithin(TargetLayout.parked) }
  }

  private func applyMoves(finally isLast: (RelativePath) -> Bool) throws(TierError) {
    var attempted: Set<ArchiveID> = []
    while true {
      let page = try catalog.moves(on: target, limit: 512 + attempted.count)
        .filter { !attempted.contains($0.archiveID) }
      if page.isEmpty { return }
      for move in page {
        try apply(move, finally: isLast)
        attempted.insert(move.archiveID)
      }
    }
  }

  private func apply(_ move: TargetMove, finally isLast: (RelativePath) -> Bool) throws(TierError) {
    try TargetRecovery(window: run, session: session).settleRenames(of: move.archiveID)
    let owners = try CopyOwners(of: move.archiveID, in: catalog)
    guard let copy = owners.files.first?.copy, try owners.isAstray(in: run.engine) else {
      return try catalog.apply([.forgetMove(move.archiveID)])
    }
    guard let (file, volume, path) = try owners.file(in: run.engine) else { return }
    let place = volume.targetPath(of: path)
    var intent = Intent(
      kind: .rename, epoch: volume.epoch, volume: volume.id, file: file.id, path: path, target: target,
      targetPath: copy.path, newTargetPath: place, archiveID: copy.archiveID, begun: volume.clock.now)
    intent.id = try catalog.begin([intent]).first
    var outcome = try carry(copy, to: place, intent, volume)
    if outcome == .conflict {
      if isLast(copy.path) {
        try setAside(place)
      } else {
        intent.newTargetPath = TargetLayout.parked.appending(copy.archiveID.fileName)
        try catalog.advance([intent])
      }
      outcome = try carry(copy, to: intent.newTargetPath ?? place, intent, volume)
    }
    if outcome == .missing, try isElsewhere(copy) { return }
    try conclude(intent, outcome, volume)
    if outcome == .done { try session.pruneEmptyDirectories(from: copy.path.parent) }
  }

  /// Its file was taken for deleted, and found again while the copy was on its way to the trash: what it was taken back
  /// with tells where it stands now. The move waits for the next window.
  private func isElsewhere(_ copy: ArchivedCopy) throws(TierError) -> Bool {
    try TargetRecovery(window: run, session: session).settleRenames(of: copy.archiveID)
    return try CopyOwners(of: copy.archiveID, in: catalog).copy?.path != copy.path
  }

  private func carry(_ copy: ArchivedCopy, to place: RelativePath, _ intent: Intent, _ volume: Volume)
    throws(TierError) -> MoveOutcome
  {
    let expected = TargetStatus(size: copy.size, modified: copy.modified)
    let outcome = try moving(copy.path, to: place, expected: expected)
    guard outcome == .done else { return outcome }
    var moved = copy
    moved.path = place
    try write([
      volume.id: [
        ManifestRecord(
          operation: .rename, path: intent.path, copy: moved, epoch: volume.epoch, at: volume.clock.now)
      ]
    ])
    return outcome
  }

  /// For somebody else's file. One of ours (its file was renamed or deleted just now) leaves by itself.
  private func setAside(_ place: RelativePath) throws(TierError) {
    guard try catalog.copiesAstray(at: [place], on: target).isEmpty else { return }
    guard let standing = try session.status(of: [place])[0], standing.isRegular else { return }
    for attempt in 1...100 {
      let beside = TargetLayout.conflictPath(of: place, suffix: run.stamp, attempt: attempt)
      guard try moving(place, to: beside, expected: standing) != .done else {
        return run.log.warning(
          "somebody else's file stood in the way on the target; it was kept under another name",
          metadata: ["target": "\(target)", "path": "\(place)", "kept_as": "\(beside)"])
      }
    }
  }

  private func conclude(_ intent: Intent, _ outcome: MoveOutcome, _ volume: Volume) throws(TierError) {
    let finished = intent.id.map { [$0] } ?? []
    let place = intent.newTargetPath ?? intent.targetPath
    try volume.committing { () throws(TierError) in
      var owners = try CopyOwners(of: intent.archiveID, in: catalog)
      if outcome == .done {
        run.count { $0.changesApplied += 1 }
        owners.relocate(to: place)
      }
      for index in owners.files.indices where owners.files[index].volume == volume.id {
        guard let path = try volume.path(of: owners.files[index]) else { continue }
        explain(outcome, &owners.files[index], path, intent, volume)
        // Of one only: recovery looks at the intent's own file.
        if outcome == .done, owners.files[index].id == intent.file {
          try rewriteStub(&owners.files[index], path, intent, volume)
        }
      }
      var changes = owners.changes
      // Parked, in the way of others, or renamed once more while we were at it: the move stays.
      let isAstray = try owners.isAstray(in: run.engine)
      if outcome == .missing || !isAstray { changes.append(.forgetMove(intent.archiveID)) }
      try catalog.finish(finished, applying: changes)
    }
    run.touched(volume)
  }

  private func explain(
    _ outcome: MoveOutcome, _ row: inout CatalogFile, _ path: RelativePath, _ intent: Intent, _ volume: Volume
  ) {
    switch outcome {
    case .done, .unsupported:
      break
    case .missing:
      run.log.error(
        "a renamed file's copy is missing on the target",
        metadata: ["path": "\(volume.absolute(path))", "copy": "\(intent.targetPath)"])
      row.isLost = true
      row.heldReason = "its copy on \(target) is missing at \(intent.targetPath)"
      if row.state == .archived { row.state = .resident }
      volume.judge(&row, at: path)
    case .conflict:
      row.heldReason =
        "its copy keeps its old name on \(target): \(volume.targetPath(of: path)) is taken there, or the copy "
        + "was changed by somebody else"
    }
  }

  /// The stub of a renamed file names its copy's place: it is replaced by one that is true again.
  private func rewriteStub(
    _ row: inout CatalogFile, _ path: RelativePath, _ intent: Intent, _ volume: Volume
  ) throws(TierError) {
    guard row.state == .released, let copy = row.copy else { return }
    switch try volume.stub(at: path, of: copy.archiveID, at: "rename.isStub") {
    case .link: try rewriteLink(&row, path, copy, intent, volume)
    case .placeholder: try renamePlaceholder(&row, path, copy, volume)
    case nil: break
    }
  }

  private func rewriteLink(
    _ row: inout CatalogFile, _ path: RelativePath, _ copy: ArchivedCopy, _ intent: Intent, _ volume: Volume
  ) throws(TierError) {
    let hidden = volume.renewalPath(copy.archiveID)
    do throws(TierError) {
      let stub = try run.engine.linkStubs.make(copy, of: row, at: hidden, in: volume)
      let before = row
      let isOurs = try wrapping("while renewing its stub") { () throws(SyscallError) in
        try volume.files.swap(hidden, with: path, at: "rename.exchangeStub")
        let out = try volume.files.status(of: hidden, at: "rename.statusStub")
        let isOurs = out.map(before.isStub) ?? false
        if !isOurs { try volume.files.swap(hidden, with: path, at: "rename.exchangeBack") }
        try volume.files.unlink(hidden, at: "rename.unlinkStub")
        return isOurs
      }
      if isOurs { row.observeStub(stub) }
    } catch {
      // The old stub does as well; an app moved or removed it just now.
      run.log.warning("a stub could not be renewed", metadata: ["error": "\(error)"])
      let recovery = LocalRecovery(volume: volume, log: run.log)
      _ = try recovery.attempting(intent) { () throws(TierError) in
        try recovery.clearRenewed(of: copy.archiveID, at: path)
      }
    }
  }

  private func renamePlaceholder(
    _ row: inout CatalogFile, _ path: RelativePath, _ copy: ArchivedCopy, _ volume: Volume
  ) throws(TierError) {
    // By its descriptor: an app may give the name to something else at any time.
    guard let file = try volume.openForRelease(path, .read) else { return }
    defer { file.close() }
    let renewed: FileStatus? = try wrapping("while renewing its stub") { () throws(SyscallError) in
      guard try file.status(at: "rename.placeholder").inode == row.version.inode,
        let value = try file.attribute(volume.identityAttribute, at: "rename.identity"),
        let identity = try? IdentityRecord.parse(value), identity.archiveID == copy.archiveID
      else { return nil }
      // A restore that is under way says so, and goes on saying it.
      let record = IdentityRecord(state: identity.state, epoch: volume.epoch, copy: copy)
      try file.setAttribute(volume.identityAttribute, to: record.encoded, at: "rename.markPlaceholder")
      return try file.status(at: "rename.statusPlaceholder")
    }
    if let renewed { row.observe(renewed) }
  }

  private func write(_ records: [VolumeID: [ManifestRecord]]) throws(TierError) {
    for (id, lines) in records {
      guard let volume = run.engine.volume(id) else { continue }
      try run.writeManifest(lines, of: volume, to: session)
    }
  }
}
