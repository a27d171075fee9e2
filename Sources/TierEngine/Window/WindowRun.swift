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
  private(set) var provenCopies = 0
  private var hasServedRecalls = false

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
    try changes.apply()
    repeat {
      repeat {
        try archive(session, restorer, changes)
        try restorer.serveWaiting()
        try runErrands(session)
      } while hasWaitingOrders && !service.isStopping
      try Proofs(run: self, session: session).check()
      try changes.apply()
      try changes.emptyTrash()
    } while try linger(session, restorer)
  }

  /// Who opens one released file often opens the next: serves them as long as they come. True where the window is to do
  /// everything else again, because of other orders, or because it was open for long.
  private func linger(_ session: any TargetSession, _ restorer: Restorer) throws(TierError) -> Bool {
    let begun = engine.clock.monotonic
    while hasServedRecalls, service.awaitOrders(atMost: engine.tuning.recallGrace) {
      // A connection that died while nobody used it is nobody's failure: the orders are the next window's.
      guard isAlive(session) else { return false }
      guard service.hasWaitingRestores, engine.clock.monotonic - begun < Self.longestLinger else {
        return true
      }
      try restorer.serveWaiting()
    }
    return false
  }

  /// What falls due meanwhile waits no longer.
  private static let longestLinger = Duration.seconds(30)

  private func isAlive(_ session: any TargetSession) -> Bool {
    guard service.target.properties.holdsConnection else { return true }
    return (try? session.status(of: [TargetLayout.temporary])) != nil
  }

  /// Batch after batch until nothing more is due or flushed. Who flushes hears why a window failed.
  private func archive(_ session: any TargetSession, _ restorer: Restorer, _ changes: TargetChanges)
    throws(TierError)
  {
    let flushes = service.takeFlushes()
    var outcome: TierError?
    defer { for order in flushes { order.done(outcome) } }
    let archiver = Archiver(run: self, session: session, flushes: flushes)
    do throws(TierError) {
      var queue = try ArchiveQueue(flushes, target: service.target.name, engine: engine)
      while !service.isStopping {
        let rows = try queue.next(leavingOut: archiver.attempted, unfinished: archiver.unfinished)
        if rows.isEmpty { return try archiver.finish() }
        if try changes.areWaiting() {
          try archiver.finish()
          // A name that one of these files took since the window opened is free only now.
          try changes.apply()
        }
        try archiver.archive(rows)
        try restorer.serveWaiting()
      }
      try archiver.finish()
      outcome = TierError(
        .cancelled, "tierd was stopped before everything was archived; the rest goes in a later window",
        disposition: .retry)
    } catch {
      outcome = error
      try? archiver.finish()
      throw error
    }
  }

  private func runErrands(_ session: any TargetSession) throws(TierError) {
    for errand in service.takeErrands() {
      do throws(TierError) { try errand.run(session) } catch { errand.failed(error) }
    }
  }

  private var hasWaitingOrders: Bool { service.hasWaitingOrders }

  // MARK: Bookkeeping for the parts

  func count(_ change: (inout WindowRecord) -> Void) { change(&record) }
  func countProof() { provenCopies += 1 }
  func noteRecall() { hasServedRecalls = true }
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
