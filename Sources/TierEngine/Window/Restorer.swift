import Logging
import TierCore
import TierLinux

/// Brings released files back. A complete, verified, durable file takes the stub's place by one rename: no
/// reader ever sees a part.
struct Restorer {
  let run: WindowRun
  let session: any TargetSession

  private struct Prepared {
    /// All who wait for this file: one transfer serves them.
    var orders: [RestoreOrder]
    var row: CatalogFile
    var volume: Volume
    var path: RelativePath
    var copy: ArchivedCopy
    var intent: Intent
    var hidden: RelativePath
    var file: any OpenFile
  }

  /// Everything that people and apps wait for, until nobody waits.
  func serveWaiting() throws(TierError) {
    while true {
      let orders = run.service.takeRestores()
      if orders.isEmpty { return }
      do throws(TierError) {
        try serve(orders)
      } catch {
        for order in orders { order.done(.failure(error)) }
        throw error
      }
    }
  }

  /// Each order is answered exactly once; `done` ignores a second answer.
  private func serve(_ orders: [RestoreOrder]) throws(TierError) {
    var batch: [ArchiveID: Prepared] = [:]
    // Copies of one stub share their content on the target: one after the other.
    var later: [RestoreOrder] = []
    defer { for item in batch.values { item.file.close() } }
    for order in orders {
      do throws(TierError) {
        guard let (row, copy) = try wanted(order) else { continue }
        if let twin = batch[copy.archiveID] {
          if twin.row.id == row.id {
            batch[copy.archiveID]?.orders.append(order)
          } else {
            later.append(order)
          }
        } else {
          batch[copy.archiveID] = try prepare(order, row, copy, besides: batch.values)
        }
      } catch {
        order.done(.failure(error))
        if error.code == .catalog { throw error }
      }
    }
    do throws(TierError) {
      try transfer(Array(batch.values))
    } catch {
      for item in batch.values { try abandon(item, error) }
      throw error
    }
    if !later.isEmpty { try serve(later) }
  }

  private func transfer(_ batch: [Prepared]) throws(TierError) {
    let byPath = Dictionary(batch.map { ($0.copy.path, $0) }) { first, _ in first }
    let downloads = batch.map { item in
      Download(
        path: item.copy.path, destination: item.file,
        destinationPath: item.volume.files.rootPath + [.slash] + item.hidden.bytes, size: item.copy.size)
    }
    var fetched: [(Prepared, FetchOutcome)] = []
    try session.fetch(downloads.sorted { $0.path < $1.path }) { download, outcome in
      if let item = byPath[download.path] { fetched.append((item, outcome)) }
    }
    for (item, outcome) in fetched {
      do throws(TierError) {
        try conclude(item, outcome)
        for order in item.orders { order.done(.success(item.copy.size)) }
      } catch {
        try abandon(item, error)
      }
    }
  }

  // MARK: Prepare

  /// Nil where nothing is left to do.
  private func wanted(_ order: RestoreOrder) throws(TierError) -> (CatalogFile, ArchivedCopy)? {
    let catalog = run.engine.catalog
    if let id = try catalog.file(order.file)?.copy?.archiveID {
      try TargetRecovery(window: run, session: session).settleRenames(of: id)
    }
    guard let row = try catalog.file(order.file), let copy = row.copy else {
      throw TierError(.notFound, "the file is gone")
    }
    guard row.state == .released else {
      order.done(.success(0))
      return nil
    }
    return (row, copy)
  }

  private func prepare(
    _ order: RestoreOrder, _ row: CatalogFile, _ copy: ArchivedCopy, besides others: some Sequence<Prepared>
  ) throws(TierError) -> Prepared {
    guard let volume = run.engine.volume(row.volume), let path = try volume.path(of: row) else {
      throw TierError(.volumeUnavailable, "its volume isn't there", disposition: .retry)
    }
    let promised = others.reduce(Int64(0)) { $0 + ($1.volume === volume ? $1.copy.size : 0) }
    try reserve(copy.size, besides: promised, on: volume, path)
    var intent = Intent(
      kind: .restore, epoch: volume.epoch, volume: volume.id, file: row.id, path: path, target: copy.target,
      targetPath: copy.path, archiveID: copy.archiveID, version: row.version, hash: copy.hash,
      begun: volume.clock.now)
    if let obstacle = try volume.obstacleToHiding(copy.archiveID) {
      throw TierError(.fileBusy, obstacle, path: volume.absolute(path), disposition: .retry)
    }
    intent.id = try volume.catalog.begin([intent]).first
    let hidden = volume.hiddenPath(copy.archiveID)
    do throws(SyscallError) {
      if try volume.files.status(of: hidden, at: "restore.leftover") != nil {
        try volume.files.unlink(hidden, at: "restore.unlinkLeftover")
      }
      let file = try volume.files.open(hidden, .create(mode: 0o600), at: "restore.create")
      // From its first byte on: recovery must tell it from an app's file that was swapped out to this name.
      let identity = IdentityRecord(state: .archived, epoch: volume.epoch, copy: copy)
      try file.setAttribute(volume.identityAttribute, to: identity.encoded, at: "restore.identity")
      return Prepared(
        orders: [order], row: row, volume: volume, path: path, copy: copy, intent: intent, hidden: hidden,
        file: file)
    } catch {
      try? volume.files.unlink(hidden, at: "restore.unlinkUnmade")
      if let id = intent.id { try volume.catalog.finish([id], applying: []) }
      throw TierError(error, while: "making room for its content")
    }
  }

  private func reserve(_ bytes: Int64, besides promised: Int64, on volume: Volume, _ path: RelativePath)
    throws(TierError)
  {
    let space = try wrapping("while asking for free space") { () throws(SyscallError) in
      try volume.files.space(at: "restore.space")
    }
    guard space.available - promised - bytes >= volume.tuning.reserve else {
      throw TierError(
        .volumeFull,
        "the volume has \((space.available - promised) >> 20) MiB free, too little for \(bytes >> 20) MiB: release other "
          + "files first (tierctl release PATH) or lower highWatermark", path: volume.absolute(path),
        disposition: .retry)
    }
  }

  // MARK: Conclude

  private func conclude(_ item: Prepared, _ outcome: FetchOutcome) throws(TierError) {
    let shown = item.volume.absolute(item.path)
    switch outcome {
    case .fetched(let hash, let size):
      guard hash == item.copy.hash, size == item.copy.size else {
        try markLost(item)
        throw TierError(
          .targetCopyDiffers,
          "the copy on \(item.copy.target) at \(item.copy.path) differs from what was archived: the stub stays. "
            + "Look for a good version in the NAS's snapshots or in .tierd/trash", path: shown)
      }
    case .missing:
      try markLost(item)
      throw TierError(
        .targetCopyMissing,
        "the copy on \(item.copy.target) at \(item.copy.path) is missing: the stub stays. Bring the file back on "
          + "the NAS (snapshot, recycle bin), then restore again", path: shown)
    case .failed(let error):
      throw error
    }
    try dress(item)
    try install(item)
  }

  /// Gives the new file all that the old one had, and makes it durable.
  private func dress(_ item: Prepared) throws(TierError) {
    let metadata = item.copy.metadata
    try wrapping("while restoring its attributes") { () throws(SyscallError) in
      if item.volume.isPrivileged {
        try item.file.setOwner(metadata.owner, group: metadata.group, at: "restore.owner")
      }
      try item.file.setMode(metadata.mode, at: "restore.mode")
      try setAttributes(item)
      try item.file.setTimes(
        modified: metadata.modified, accessed: metadata.accessed, at: "restore.times")
      try item.file.sync(at: "restore.sync")
    }
  }

  /// What the file had comes first: where a longer path now leaves no room, it goes without tierd's mark.
  private func setAttributes(_ item: Prepared) throws(SyscallError) {
    let attributes = item.copy.metadata.attributes
    do throws(SyscallError) {
      for attribute in attributes {
        try item.file.setAttribute(attribute.name, to: attribute.value, at: "restore.attribute")
      }
    } catch {
      try item.file.removeAttribute(item.volume.identityAttribute, at: "restore.unmark")
      for attribute in attributes {
        try item.file.setAttribute(attribute.name, to: attribute.value, at: "restore.attributeAgain")
      }
    }
  }

  /// Swaps the file and its stub, wherever the stub is by now.
  private func install(_ item: Prepared) throws(TierError) {
    let volume = item.volume
    try volume.committing { () throws(TierError) in
      guard let id = item.row.id, var row = try volume.catalog.file(id), let path = try volume.path(of: row)
      else {
        throw TierError(.notFound, "it was deleted while it was restored", path: volume.absolute(item.path))
      }
      guard try volume.isStub(path, of: item.copy.archiveID, at: "restore.isStub") else {
        volume.requestExamination(of: path)
        throw TierError(
          .fileChanged, "it was moved or replaced while it was restored: try again",
          path: volume.absolute(path), disposition: .retry)
      }
      let (status, isUntouched) = try swap(item, path)
      row.state = isUntouched && status.links == 1 ? .archived : .resident
      row.observe(status)
      var changes: [CatalogChange] = []
      let sharing = try volume.catalog.files(withArchiveID: item.copy.archiveID).count
      if sharing > 1, row.copy?.path != volume.targetPath(of: path) {
        // The copy is the original's; this one, a copy of its stub, gets its own.
        changes = try volume.removalChanges(for: row)
        row.state = .resident
        row.copy = nil
      }
      row.lastUsed = volume.clock.now
      row.isLost = false
      row.heldReason = nil
      if let pin = item.orders.compactMap(\.pinUntil).max() { row.pinnedUntil = pin }
      volume.judge(&row, at: path)
      volume.noteOwnUse(of: path)
      let finished = item.intent.id.map { [$0] } ?? []
      try volume.catalog.finish(finished, applying: changes + [.put(row)])
    }
    run.touched(volume)
    run.count {
      $0.restoredFiles += 1
      $0.restoredBytes += item.copy.size
    }
  }

  /// The file's status in its place; and whether it surely is still what was restored: a lease, taken before
  /// anybody can find the file, holds back writers until then.
  private func swap(_ item: Prepared, _ path: RelativePath) throws(TierError) -> (FileStatus, Bool) {
    let files = item.volume.files
    return try wrapping("while putting it in its place") { () throws(SyscallError) in
      item.file.close()
      let file = try files.open(item.hidden, .read, at: "restore.reopen")
      defer { file.close() }
      let isLeased = (try? file.takeLease(.againstWriters, at: "restore.lease")) != nil
      try files.swap(item.hidden, with: path, at: "restore.exchange")
      let out = try files.status(of: item.hidden, at: "restore.statusStub")
      guard let out, item.row.isStub(out) else {
        // An app was faster: its file gets its name back.
        try files.swap(item.hidden, with: path, at: "restore.exchangeBack")
        throw .vanished(path)
      }
      try files.syncDirectory(path.parent, at: "restore.syncParent")
      try files.unlink(item.hidden, at: "restore.unlinkStub")
      let status = try file.status(at: "restore.status")
      let isUndisturbed = try file.leaseIsUndisturbed(at: "restore.undisturbed")
      return (status, isLeased && isUndisturbed)
    }
  }

  // MARK: Failure

  /// The stub stays as it was; nothing partial is left.
  private func abandon(_ item: Prepared, _ error: TierError) throws(TierError) {
    run.count { $0.failures += 1 }
    run.log.warning(
      "restore failed", metadata: ["path": "\(item.volume.absolute(item.path))", "error": "\(error)"])
    try item.volume.committing { () throws(TierError) in
      _ = try LocalRecovery(volume: item.volume, log: run.log).finish(item.intent)
    }
    item.volume.note(item.row.id, reason: "\(error)")
    item.volume.requestExamination(of: item.path)
    for order in item.orders { order.done(.failure(error)) }
  }

  private func markLost(_ item: Prepared) throws(TierError) {
    try item.volume.committing { () throws(TierError) in
      guard let id = item.row.id, var row = try run.engine.catalog.file(id) else { return }
      row.isLost = true
      try run.engine.catalog.apply([.put(row)])
    }
  }
}
