import Logging
import TierCore
import TierLinux

/// Copies batches of files to the target, in the order that loses nothing: journal the intent, stage, check
/// that the source didn't change, publish, manifest, then mark the file and end the journal entry.
final class Archiver {
  private let run: WindowRun
  private let session: any TargetSession
  private let busy: Duration
  /// Those who wait, and hear what becomes of the files in their scope.
  private let flushes: [FlushOrder]
  private(set) var attempted: Set<FileID> = []
  /// How many of the attempted ones were not archived.
  private(set) var unfinished = 0
  /// The batch before, while its files are marked.
  private var concluding: (items: [ArchiveItem], work: Background<Result<Void, TierError>>)?

  init(run: WindowRun, session: any TargetSession, flushes: [FlushOrder]) {
    self.run = run
    self.session = session
    self.flushes = flushes
    busy = run.engine.tuning.busyRetry
  }

  /// The batch before may still be marked while this one is copied: `finish` waits for the last. Throws only when
  /// the session or the catalog is over; what was begun stays in the journal then.
  func archive(_ rows: [CatalogFile]) throws(TierError) {
    var batch: [ArchiveItem] = []
    unfinished += rows.count
    for row in rows {
      if let id = row.id { attempted.insert(id) }
      if let item = try prepare(row) { batch.append(item) }
    }
    try findUnchanged(&batch)
    let changed = batch.indices.filter { batch[$0].unchangedCopy == nil }
    let ids = try run.engine.catalog.begin(changed.map { batch[$0].intent })
    for (index, id) in zip(changed, ids) { batch[index].intent.id = id }

    let staged = try stage(batch.filter { $0.unchangedCopy == nil })
    // What the batch before brought about, this one's places on the target depend on.
    try finish()
    let published = try publish(try journal(staged))
    try conclude(published + batch.filter { $0.unchangedCopy != nil })
  }

  /// Returns when all that `archive` was given is archived.
  func finish() throws(TierError) {
    guard let concluding else { return }
    self.concluding = nil
    try concluding.work.value().get()
    tell(concluding.items)
  }

  // MARK: Prepare

  private func prepare(_ row: CatalogFile) throws(TierError) -> ArchiveItem? {
    guard let volume = run.engine.volume(row.volume), let path = try volume.path(of: row) else { return nil }
    do throws(SyscallError) {
      volume.noteOwnUse(of: path)
      let file = try volume.files.open(path, .read, at: "archive.open")
      let status = try file.status(at: "archive.status")
      guard status.kind == .regular, status.links == 1, status.version == row.version else {
        file.close()
        volume.requestExamination(of: path)
        hold(row, volume, path, "it changed just now")
        return nil
      }
      guard try !isWithholding(file, volume) else {
        file.close()
        volume.requestExamination(of: path)
        hold(row, volume, path, "it says that its content is on a target: what it holds here is no content")
        return nil
      }
      guard try !file.isOpenForWriting(at: "archive.probe") else {
        file.close()
        hold(row, volume, path, "a process has it open for writing", retryAfter: busy)
        return nil
      }
      let metadata = FileMetadata(
        mode: status.mode, owner: status.owner, group: status.group, modified: status.modified,
        accessed: status.accessed, attributes: try file.attributes(at: "archive.attributes"))
      return prepared(row, volume, path, file, status, metadata)
    } catch {
      if error.isMissing || error.isLink || error.isOtherKind {
        // Deleted, renamed or replaced since it was seen: nothing failed.
        volume.requestExamination(of: path)
        volume.note(row.id, reason: "it is gone", retryAfter: busy)
      } else {
        hold(row, volume, path, "\(TierError(error, while: "reading it"))", retryAfter: busy)
      }
      return nil
    }
  }

  /// Whatever the catalog says: a placeholder's holes are never copied.
  private func isWithholding(_ file: any OpenFile, _ volume: Volume) throws(SyscallError) -> Bool {
    guard volume.isPrivileged,
      let identity = try file.attribute(volume.identityAttribute, at: "archive.identity")
    else { return false }
    return identity.withUnsafeBytes { IdentityState.peek($0)?.withholdsContent == true }
  }

  private func prepared(
    _ row: CatalogFile, _ volume: Volume, _ path: RelativePath, _ file: any OpenFile, _ status: FileStatus,
    _ metadata: FileMetadata
  ) -> ArchiveItem {
    let id = ArchiveID.random()
    let targetPath = volume.targetPath(of: path)
    let intent = Intent(
      kind: .archive, epoch: volume.epoch, volume: volume.id, file: row.id, path: path,
      target: run.service.target.name, targetPath: targetPath, archiveID: id, version: status.version,
      begun: volume.clock.now)
    let upload = Upload(
      archiveID: id, source: file, sourceRoot: volume.files.rootPath, sourcePath: path, path: targetPath,
      size: status.size, metadata: metadata)
    return ArchiveItem(
      row: row, volume: volume, path: path, file: file, status: status, intent: intent, upload: upload)
  }

  /// Files of which only the metadata changed (a chmod, a rename, our own mark after a lost catalog): the
  /// content is hashed here, the target only asked whether its copy still stands.
  private func findUnchanged(_ batch: inout [ArchiveItem]) throws(TierError) {
    let target = run.service.target.name
    let candidates = batch.indices.filter { index in
      guard let copy = batch[index].row.copy, !batch[index].row.isLost else { return false }
      let status = batch[index].status
      return copy.target == target && copy.size == status.size && copy.modified == status.modified
    }
    if candidates.isEmpty { return }
    try finish()
    let found = try session.status(of: candidates.map { batch[$0].row.copy!.path })
    for (index, status) in zip(candidates, found) {
      guard var copy = batch[index].row.copy, let status else { continue }
      guard status.matches(TargetStatus(size: copy.size, modified: copy.modified)) else { continue }
      guard try hash(batch[index]) == copy.hash else { continue }
      copy.metadata = batch[index].upload.metadata
      batch[index].unchangedCopy = copy
    }
  }

  private func hash(_ item: ArchiveItem) throws(TierError) -> ContentHash? {
    do throws(SyscallError) {
      return try item.file.contentHash(at: "archive.rehash")
    } catch {
      return nil
    }
  }

  // MARK: Stage and publish

  private func stage(_ batch: [ArchiveItem]) throws(TierError) -> [ArchiveItem] {
    if batch.isEmpty { return [] }
    let byID = Dictionary(uniqueKeysWithValues: batch.map { ($0.upload.archiveID, $0) })
    var staged: [ArchiveItem] = []
    var dropped: [ArchiveItem] = []
    try session.stage(batch.map(\.upload)) { upload, outcome in
      guard var item = byID[upload.archiveID] else { return }
      switch outcome {
      case .staged(let hash):
        item.hash = hash
        item.intent.hash = hash
        item.intent.step = 1
        staged.append(item)
      case .failed(let error):
        hold(item, "\(error)", after: error)
        dropped.append(item)
      }
    }
    // A copy is only worth publishing if nobody wrote while it was made.
    for item in staged where !isUnchanged(item) {
      hold(item, "it was written while it was copied", after: nil)
      dropped.append(item)
    }
    let droppedIDs = Set(dropped.map(\.upload.archiveID))
    for id in droppedIDs { try session.remove(TargetLayout.temporary.appending(id.fileName)) }
    try run.engine.catalog.finish(dropped.compactMap(\.intent.id), applying: [])
    staged.removeAll { droppedIDs.contains($0.upload.archiveID) }
    return staged
  }

  /// The hashes, and where on the target what makes way goes to.
  private func journal(_ staged: [ArchiveItem]) throws(TierError) -> [ArchiveItem] {
    let target = run.service.target.name
    let trash = run.newTrashFolder()
    let strays = try run.engine.catalog.copiesAstray(at: staged.map(\.upload.path), on: target)
    let byPath = Dictionary(strays.map { ($0.path, $0) }) { first, _ in first }
    var journaled = staged
    for index in journaled.indices {
      let place = staged[index].upload.path
      journaled[index].older = try ownCopy(of: staged[index], at: place, on: target) ?? byPath[place]
      if journaled[index].older != nil { journaled[index].intent.newTargetPath = trash.appending(place) }
    }
    try run.engine.catalog.advance(journaled.map(\.intent))
    return journaled
  }

  private func ownCopy(of item: ArchiveItem, at place: RelativePath, on target: String) throws(TierError)
    -> ArchivedCopy?
  {
    guard item.row.copy != nil, let id = item.row.id else { return nil }
    return try run.engine.catalog.file(id)?.copy(at: place, on: target)
  }

  private func publish(_ staged: [ArchiveItem]) throws(TierError) -> [ArchiveItem] {
    if staged.isEmpty { return [] }
    let byID = Dictionary(uniqueKeysWithValues: staged.map { ($0.upload.archiveID, $0) })
    // Even what no policy keeps goes to the trash first: a stub of the older version may stand somewhere that was
    // not looked at yet.
    let publications = staged.map { item in
      Publication(
        upload: item.upload, hash: item.hash!,
        replaces: item.older.map { TargetStatus(size: $0.size, modified: $0.modified) },
        trash: item.intent.newTargetPath, conflictSuffix: run.stamp)
    }
    var published: [ArchiveItem] = []
    var dropped: [ArchiveItem] = []
    try session.publish(publications) { publication, outcome in
      guard var item = byID[publication.upload.archiveID] else { return }
      switch outcome {
      case .published(let conflict):
        if let conflict {
          report(conflict, of: item)
        } else if var older = item.older, let trash = item.intent.newTargetPath {
          older.path = trash
          item.trashed = older
        }
        published.append(item)
      case .sourceChanged:
        hold(item, "it was written while it was copied", after: nil)
        dropped.append(item)
      case .failed(let error):
        hold(item, "\(error)", after: error)
        dropped.append(item)
      }
    }
    for item in dropped {
      try session.remove(TargetLayout.temporary.appending(item.upload.archiveID.fileName))
    }
    // A failed publication may have come half way; the next window's recovery looks, the journal entry stays.
    return published
  }

  private func report(_ conflict: RelativePath, of item: ArchiveItem) {
    run.log.warning(
      "somebody else's file stood in the way on the target; it was kept under another name",
      metadata: [
        "target": "\(run.service.target.name)", "path": "\(item.upload.path)", "kept_as": "\(conflict)",
      ])
  }

  // MARK: Conclude

  /// The manifest; then the files are marked on a thread of their own, while the next batch is copied.
  private func conclude(_ items: [ArchiveItem]) throws(TierError) {
    var conclusions: [ArchiveConclusion] = []
    for group in Dictionary(grouping: items, by: \.volume.id).values {
      guard let volume = group.first?.volume else { continue }
      let copies = group.map { copy(of: $0) }
      var records = zip(group, copies).map { item, copy in
        ManifestRecord(
          operation: .archive, path: item.path, copy: copy, epoch: volume.epoch, at: volume.clock.now)
      }
      for item in group { records += try recordOfHeir(item) }
      try run.writeManifest(records, of: volume, to: session)
      conclusions.append(ArchiveConclusion(volume: volume, archived: Array(zip(group, copies)), busy: busy))
    }
    if conclusions.isEmpty { return }
    let work = Background(name: "tierd-mark") { [conclusions] in
      Result { () throws(TierError) in for conclusion in conclusions { try conclusion.write() } }
    }
    concluding = (items, work)
  }

  private func copy(of item: ArchiveItem) -> ArchivedCopy {
    if let copy = item.unchangedCopy { return copy }
    let isDurable = run.service.target.properties.publishesDurably
    return ArchivedCopy(
      archiveID: item.upload.archiveID, target: run.service.target.name, path: item.upload.path,
      size: item.status.size, modified: item.status.modified, hash: item.hash!,
      archivedAt: item.volume.clock.now, proof: isDurable ? .proven : .awaiting(instance: session.instance),
      metadata: item.upload.metadata)
  }

  /// The copy that made way may be another file's, which the manifest must find there.
  private func recordOfHeir(_ item: ArchiveItem) throws(TierError) -> [ManifestRecord] {
    let volume = item.volume
    guard let older = item.trashed,
      let heir = try volume.catalog.files(withArchiveID: older.archiveID).first(where: {
        $0.id != item.row.id
      }), let path = try volume.path(of: heir)
    else { return [] }
    return [
      ManifestRecord(
        operation: .rename, path: path, copy: older, epoch: volume.epoch, at: volume.clock.now)
    ]
  }

  /// For those who wait, and the window's record.
  private func tell(_ items: [ArchiveItem]) {
    unfinished -= items.count
    for item in items {
      run.touched(item.volume)
      tellFlushes(of: item.row, at: item.path, in: item.volume) {
        $0.advance(files: 1, bytes: item.status.size)
      }
    }
    let uploaded = items.filter { $0.unchangedCopy == nil }
    run.count { record in
      record.archivedFiles += uploaded.count
      record.archivedBytes += uploaded.reduce(0) { $0 + $1.status.size }
    }
  }

  // MARK: Small parts

  private func isUnchanged(_ item: ArchiveItem) -> Bool {
    do throws(SyscallError) {
      let isSame = try item.file.status(at: "archive.recheck").version == item.status.version
      let isBusy = try item.file.isOpenForWriting(at: "archive.recheckProbe")
      return isSame && !isBusy
    } catch {
      return false
    }
  }

  private func hold(_ item: ArchiveItem, _ reason: String, after error: TierError?) {
    let patience: Duration = error?.disposition == .permanent ? .seconds(86_400) : busy
    if error == nil { item.volume.requestExamination(of: item.path) }
    hold(item.row, item.volume, item.path, reason, retryAfter: patience)
  }

  /// Where an examination finds a change, it takes `retryAfter` away again; without one no window may open over
  /// and over for a file that nothing can be done about.
  private func hold(
    _ row: CatalogFile, _ volume: Volume, _ path: RelativePath, _ reason: String, retryAfter: Duration? = nil
  ) {
    run.count { $0.failures += 1 }
    tellFlushes(of: row, at: path, in: volume) { $0.fail("\(volume.absolute(path)): \(reason)") }
    run.log.debug(
      "not archived", metadata: ["path": "\(volume.absolute(path))", "reason": "\(reason)"])
    volume.note(row.id, reason: reason, retryAfter: retryAfter ?? busy)
  }

  private func tellFlushes(
    of row: CatalogFile, at path: RelativePath, in volume: Volume, _ body: (RequestHandle) -> Void
  ) {
    for order in flushes where order.covers(row, at: path, in: volume.name) { body(order.progress) }
  }
}
