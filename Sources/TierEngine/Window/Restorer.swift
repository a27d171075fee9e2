import Logging
import TierCore
import TierLinux

/// Brings released files back. Where the stub is a link, a complete, verified, durable file takes its place by one
/// rename. A placeholder is filled itself, behind the guard, and says that it holds its content once that is verified
/// and durable. No reader ever sees a part.
struct Restorer {
  let run: WindowRun
  let session: any TargetSession

  struct Wanted {
    /// All who wait for this file: one transfer serves them.
    var orders: [RestoreOrder]
    var row: CatalogFile
    let volume: Volume
    let path: RelativePath
    let copy: ArchivedCopy
    var intent: Intent
    /// The stub is filled itself.
    let isPlaceholder: Bool

    var hidden: RelativePath { volume.hiddenPath(copy.archiveID) }
  }

  struct Prepared {
    let wanted: Wanted
    /// The one that is filled.
    let file: any OpenFile
    /// The placeholder as it was found; nil where the stub is a link.
    let before: FileStatus?

    var volume: Volume { wanted.volume }
    var copy: ArchivedCopy { wanted.copy }
    var place: RelativePath { before == nil ? wanted.hidden : wanted.path }
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
    var batch: [ArchiveID: Wanted] = [:]
    // Copies of one stub share their content on the target: one after the other.
    var later: [RestoreOrder] = []
    // For room: all of them together, as the target is awake meanwhile.
    let patience = SystemClock().monotonic + run.engine.tuning.roomPatience
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
          batch[copy.archiveID] = try plan(order, row, copy, besides: batch.values, until: patience)
        }
      } catch {
        order.done(.failure(error))
        if error.code == .catalog { throw error }
      }
    }
    let prepared = try prepare(batch.values.sorted { $0.copy.path < $1.copy.path })
    defer { for item in prepared { item.file.close() } }
    do throws(TierError) {
      try transfer(prepared)
    } catch {
      for item in prepared { try abandon(item.wanted, error) }
      throw error
    }
    if !later.isEmpty { try serve(later) }
  }

  private func transfer(_ batch: [Prepared]) throws(TierError) {
    let byPath = Dictionary(batch.map { ($0.copy.path, $0) }) { first, _ in first }
    let downloads = batch.map { item in
      Download(
        path: item.copy.path, destination: item.file,
        destinationPath: item.volume.files.rootPath + [.slash] + item.place.bytes,
        size: item.copy.size)
    }
    var fetched: [(Prepared, FetchOutcome)] = []
    try session.fetch(downloads) { download, outcome in
      if let item = byPath[download.path] { fetched.append((item, outcome)) }
    }
    var whole: [Prepared] = []
    for (item, outcome) in fetched {
      do throws(TierError) {
        try check(item, outcome)
        whole.append(item)
      } catch {
        try abandon(item.wanted, error)
      }
    }
    for group in Dictionary(grouping: try dressed(whole), by: \.volume.id).values {
      for start in stride(from: 0, to: group.count, by: Self.filesPerCommit) {
        try install(group[start..<min(start + Self.filesPerCommit, group.count)])
      }
    }
  }

  /// What others wait for: the volume's changes stand still meanwhile.
  private static var filesPerCommit: Int { 64 }

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

  private func plan(
    _ order: RestoreOrder, _ row: CatalogFile, _ copy: ArchivedCopy, besides others: some Sequence<Wanted>,
    until patience: Duration
  ) throws(TierError) -> Wanted {
    guard let volume = run.engine.volume(row.volume), let path = try volume.path(of: row) else {
      throw TierError(.volumeUnavailable, "its volume isn't there", disposition: .retry)
    }
    guard let stub = try volume.stub(at: path, of: copy.archiveID, at: "restore.stub") else {
      volume.requestExamination(of: path)
      throw Self.changed("it was moved or replaced: try again", path, volume)
    }
    let promised = others.reduce(Int64(0)) { $0 + ($1.volume === volume ? $1.copy.size : 0) }
    try reserve(copy.size, besides: promised, on: volume, path, until: patience)
    if let obstacle = try volume.obstacleToHiding(copy.archiveID) {
      throw TierError(.fileBusy, obstacle, path: volume.absolute(path), disposition: .retry)
    }
    // What an app cut or dated since it was looked at last stays so, whatever becomes of the restore.
    let found =
      stub == .placeholder
      ? try wrapping("while looking at its stub") { () throws(SyscallError) in
        try volume.files.status(of: path, at: "restore.found")?.version
      } : nil
    let intent = Intent(
      kind: .restore, epoch: volume.epoch, volume: volume.id, file: row.id, path: path, target: copy.target,
      targetPath: copy.path, archiveID: copy.archiveID, version: found ?? row.version, hash: copy.hash,
      begun: volume.clock.now)
    return Wanted(
      orders: [order], row: row, volume: volume, path: path, copy: copy, intent: intent,
      isPlaceholder: stub == .placeholder)
  }

  /// Journals all of them, then makes each its hidden file.
  private func prepare(_ batch: [Wanted]) throws(TierError) -> [Prepared] {
    if batch.isEmpty { return [] }
    var prepared: [Prepared] = []
    for (var item, id) in zip(batch, try run.engine.catalog.begin(batch.map(\.intent))) {
      item.intent.id = id
      do throws(TierError) {
        prepared.append(
          item.isPlaceholder
            ? try item.volume.committing { () throws(TierError) in try openPlaceholder(of: item) }
            : try wrapping("while making room for its content") { () throws(SyscallError) in
              try makeHidden(for: item)
            })
      } catch {
        if !item.isPlaceholder { try? item.volume.files.unlink(item.hidden, at: "restore.unlinkUnmade") }
        try run.engine.catalog.finish([id], applying: [])
        item.volume.note(item.row.id, reason: "\(error)")
        item.volume.requestExamination(of: item.path)
        for order in item.orders { order.done(.failure(error)) }
      }
    }
    return prepared
  }

  private func makeHidden(for item: Wanted) throws(SyscallError) -> Prepared {
    let files = item.volume.files
    if try files.status(of: item.hidden, at: "restore.leftover") != nil {
      try files.unlink(item.hidden, at: "restore.unlinkLeftover")
    }
    let file = try files.open(item.hidden, .create(mode: 0o600), at: "restore.create")
    // From its first byte on: recovery must tell it from an app's file that was swapped out to this name.
    let identity = IdentityRecord(state: .archived, epoch: item.volume.epoch, copy: item.copy)
    do throws(SyscallError) {
      try file.setAttribute(item.volume.identityAttribute, to: identity.encoded, at: "restore.identity")
    } catch {
      file.close()
      throw error
    }
    return Prepared(wanted: item, file: file, before: nil)
  }

  // MARK: Conclude

  private func check(_ item: Prepared, _ outcome: FetchOutcome) throws(TierError) {
    let shown = item.volume.absolute(item.wanted.path)
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
  }

  /// Each waits for the disk, or for the other nodes: several together wait as long as one.
  private func dressed(_ items: [Prepared]) throws(TierError) -> [Prepared] {
    var ready: [Prepared] = []
    try inParallel(items, width: 8) { item in
      Result { () throws(TierError) in try Self.dress(item) }
    } onResult: { (item, result) throws(TierError) in
      switch result {
      case .success: ready.append(item)
      case .failure(let error): try abandon(item.wanted, error)
      }
    }
    return ready
  }

  /// Gives the new file all that the old one had, and makes it durable.
  private static func dress(_ item: Prepared) throws(TierError) {
    if let before = item.before { return try finish(item, before) }
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
  private static func setAttributes(_ item: Prepared) throws(SyscallError) {
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

  /// A file in its place, whose stub still stands under the hidden name.
  struct Swapped {
    let prepared: Prepared
    let row: CatalogFile
    let path: RelativePath
    let file: any OpenFile
    /// Writers are held back since before anybody could find the file.
    let isLeased: Bool
    var wanted: Wanted { prepared.wanted }
  }

  /// Swaps files and their stubs, wherever these are by now; all of one volume. They share one sync of each
  /// directory, and one transaction.
  private func install(_ items: ArraySlice<Prepared>) throws(TierError) {
    guard let volume = items.first?.volume else { return }
    var installed: [Wanted] = []
    var failures: [(Wanted, TierError)] = []
    try volume.committing { () throws(TierError) in
      var swapped: [Swapped] = []
      defer { for item in swapped { item.file.close() } }
      for item in items {
        do throws(TierError) { swapped.append(try swap(item)) } catch {
          failures.append((item.wanted, error))
        }
      }
      let unsynced = syncParents(of: swapped, in: volume)
      var changes: [CatalogChange] = []
      for item in swapped {
        do throws(TierError) {
          if let error = unsynced[item.path.parent] { throw error }
          changes += try conclude(item)
          installed.append(item.wanted)
        } catch {
          failures.append((item.wanted, error))
        }
      }
      try volume.catalog.finish(installed.compactMap(\.intent.id), applying: changes)
    }
    for item in installed { tell(item) }
    for (item, error) in failures { try abandon(item, error) }
  }

  private func swap(_ item: Prepared) throws(TierError) -> Swapped {
    let volume = item.volume
    guard let id = item.wanted.row.id, let row = try volume.catalog.file(id),
      let path = try volume.path(of: row)
    else {
      throw TierError(
        .notFound, "it was deleted while it was restored", path: volume.absolute(item.wanted.path))
    }
    if let before = item.before {
      guard row.version.inode == before.inode else {
        throw Self.changed("it was replaced while it was restored: try again", path, volume)
      }
      return Swapped(prepared: item, row: row, path: path, file: item.file, isLeased: true)
    }
    guard try volume.isStub(path, of: item.copy.archiveID, at: "restore.isStub") else {
      volume.requestExamination(of: path)
      throw Self.changed("it was moved or replaced while it was restored: try again", path, volume)
    }
    return try wrapping("while putting it in its place") { () throws(SyscallError) in
      item.file.close()
      let file = try volume.files.open(item.wanted.hidden, .read, at: "restore.reopen")
      do throws(SyscallError) {
        let isLeased = (try? file.takeLease(.againstWriters, at: "restore.lease")) != nil
        try swap(item.wanted, with: path)
        return Swapped(prepared: item, row: row, path: path, file: file, isLeased: isLeased)
      } catch {
        file.close()
        throw error
      }
    }
  }

  private func swap(_ item: Wanted, with path: RelativePath) throws(SyscallError) {
    let files = item.volume.files
    try files.swap(item.hidden, with: path, at: "restore.exchange")
    if let out = try files.status(of: item.hidden, at: "restore.statusStub"), item.row.isStub(out) { return }
    // An app was faster: its file gets its name back.
    try files.swap(item.hidden, with: path, at: "restore.exchangeBack")
    throw .vanished(path)
  }

  private func syncParents(of items: [Swapped], in volume: Volume) -> [RelativePath: TierError] {
    var failures: [RelativePath: TierError] = [:]
    for parent in Set(items.filter { $0.prepared.before == nil }.map(\.path.parent)) {
      do throws(SyscallError) {
        try volume.files.syncDirectory(parent, at: "restore.syncParent")
      } catch {
        failures[parent] = TierError(error, while: "putting it in its place")
      }
    }
    return failures
  }

  /// Drops the stub. What it means for the catalog that the file is back.
  private func conclude(_ item: Swapped) throws(TierError) -> [CatalogChange] {
    let volume = item.wanted.volume
    let (status, isUntouched) = try wrapping("while putting it in its place") { () throws(SyscallError) in
      if item.prepared.before != nil { return try release(item) }
      try volume.files.unlink(item.wanted.hidden, at: "restore.unlinkStub")
      let status = try item.file.status(at: "restore.status")
      return (status, try item.file.leaseIsUndisturbed(at: "restore.undisturbed") && item.isLeased)
    }
    var row = item.row
    row.state = isUntouched && status.links == 1 ? .archived : .resident
    row.observe(status)
    var changes: [CatalogChange] = []
    let sharing = try volume.catalog.files(withArchiveID: item.wanted.copy.archiveID).count
    if sharing > 1, row.copy?.path != volume.targetPath(of: item.path) {
      // The copy is the original's; this one, a copy of its stub, gets its own.
      changes = try volume.removalChanges(for: row)
      row.state = .resident
      row.copy = nil
    }
    row.lastUsed = volume.clock.now
    row.isLost = false
    row.heldReason = nil
    if let pin = item.wanted.orders.compactMap(\.pinUntil).max() { row.pinnedUntil = pin }
    volume.judge(&row, at: item.path)
    volume.noteOwnUse(of: item.path)
    return changes + [.put(row)]
  }

  private func tell(_ item: Wanted) {
    run.touched(item.volume)
    run.count {
      $0.restoredFiles += 1
      $0.restoredBytes += item.copy.size
    }
    if item.orders.contains(where: \.isRecall) { run.noteRecall() }
    for order in item.orders { order.done(.success(item.copy.size)) }
  }

  // MARK: Failure

  /// The stub stays as it was; nothing partial is left.
  private func abandon(_ item: Wanted, _ error: TierError) throws(TierError) {
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
      guard let id = item.wanted.row.id, var row = try run.engine.catalog.file(id) else { return }
      row.isLost = true
      try run.engine.catalog.apply([.put(row)])
    }
  }
}
