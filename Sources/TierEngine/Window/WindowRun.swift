import Logging
import TierCore

/// One window from connect to close: what people wait for first, then what changed on the target's side, then
/// everything that is due, then proofs. On the target's thread.
final class WindowRun {
  let service: WindowService
  let engine: EngineContext
  let log: Logger
  private(set) var record: WindowRecord
  private(set) var touchedVolumes: Set<String> = []
  /// Names this window's trash folder and conflict copies: `20261123T105800Z`.
  let stamp: String
  private var batches = 0

  init(service: WindowService, record: WindowRecord) {
    self.service = service
    engine = service.engine
    log = service.engine.log
    self.record = record
    stamp = record.opened.compactUTCText
  }

  /// The error that ended the window early, if one did. The session is closed in any case.
  func run() -> TierError? {
    do throws(TierError) {
      let session = try service.target.connect()
      defer { session.close() }
      try work(session)
      return nil
    } catch {
      return error
    }
  }

  private func work(_ session: any TargetSession) throws(TierError) {
    try TargetRecovery(window: self, session: session).run()
    let restorer = Restorer(run: self, session: session)
    try restorer.serveWaiting()
    let changes = TargetChanges(run: self, session: session)
    try changes.applyRemovals()
    try changes.applyMoves()
    repeat {
      try archive(session, restorer)
      try restorer.serveWaiting()
      try runErrands(session)
    } while hasWaitingOrders && !service.isStopping
    try Proofs(run: self, session: session).check()
    try changes.applyRemovals()
    try changes.emptyTrash()
  }

  /// Batch after batch until nothing more is due. A flush makes everything in its scope due.
  private func archive(_ session: any TargetSession, _ restorer: Restorer) throws(TierError) {
    let flushes = service.takeFlushes()
    var unfinished = flushes
    defer {
      let stopped = TierError(
        .cancelled, "the window ended before everything was archived", disposition: .retry)
      for order in unfinished { order.done(stopped) }
    }
    let archiver = Archiver(run: self, session: session)
    while !service.isStopping {
      let rows = try nextBatch(flushes, leavingOut: archiver.attempted)
      if rows.isEmpty { break }
      let before = record
      try archiver.archive(rows)
      for order in flushes {
        order.progress.advance(
          files: record.archivedFiles - before.archivedFiles,
          bytes: record.archivedBytes - before.archivedBytes)
      }
      try restorer.serveWaiting()
    }
    if service.isStopping { return }
    for order in flushes {
      for reason in archiver.held where order.scope.covers(reason.file, at: reason.path, in: reason.volume) {
        order.progress.fail("\(reason.shown): \(reason.text)")
      }
      order.done(nil)
    }
    unfinished = []
  }

  private func nextBatch(_ flushes: [FlushOrder], leavingOut attempted: Set<FileID>) throws(TierError)
    -> [CatalogFile]
  {
    let soon = engine.clock.now + engine.tuning.settlingGrace
    let horizon = flushes.isEmpty ? soon : .distantFuture
    let limit = engine.tuning.batchFiles + attempted.count
    var bytes: Int64 = 0
    var batch: [CatalogFile] = []
    for row in try engine.catalog.archiveCandidates(for: service.target.name, now: horizon, limit: limit) {
      guard let id = row.id, !attempted.contains(id) else { continue }
      if (row.archiveDue ?? .distantFuture) > soon, try !isFlushed(row, flushes) { continue }
      batch.append(row)
      bytes += row.version.size
      if batch.count >= engine.tuning.batchFiles || bytes >= engine.tuning.batchBytes { break }
    }
    return batch
  }

  private func isFlushed(_ row: CatalogFile, _ flushes: [FlushOrder]) throws(TierError) -> Bool {
    guard let volume = engine.volume(row.volume), let path = try volume.path(of: row) else { return false }
    return flushes.contains { $0.scope.covers(row, at: path, in: volume.name) }
  }

  private func runErrands(_ session: any TargetSession) throws(TierError) {
    for errand in service.takeErrands() {
      do throws(TierError) { try errand.run(session) } catch { errand.failed(error) }
    }
  }

  private var hasWaitingOrders: Bool { service.hasWaitingOrders }

  // MARK: Bookkeeping for the parts

  func count(_ change: (inout WindowRecord) -> Void) { change(&record) }
  func touched(_ volume: Volume) { touchedVolumes.insert(volume.name) }

  /// A folder of the trash that no earlier batch used: two removals of one path can't meet there.
  func newTrashFolder() -> RelativePath {
    batches += 1
    return TargetLayout.trash.appending(FileName("\(stamp)-\(batches)")!)
  }

  func writeManifest(_ records: [ManifestRecord], of volume: Volume, to session: any TargetSession)
    throws(TierError)
  {
    if records.isEmpty { return }
    let segment = FileName("\(engine.clock.now.compactUTCText)-\(ArchiveID.random()).jsonl")!
    let path = TargetLayout.manifest.appending(FileName(volume.name)!).appending(segment)
    try session.writeRecord(records.flatMap { $0.encodedLine }, to: path)
  }
}
