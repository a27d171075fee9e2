import Logging
import TierCore
import TierLinux

/// One life of a volume on its thread: waits for events, looks where they point, scans, releases.
final class VolumeLoop {
  let service: VolumeService
  let volume: Volume
  let reconciler: Reconciler
  private let watcher: any Watcher
  private let log: Logger
  private var hints: HintTable
  private let missing: MissingNames
  private var scan: Scan?
  private var scanDebt = Duration.zero
  private var needsScan: String?
  private var lastScan: Timestamp?
  private var nextHousekeeping = Duration.zero
  /// Of what can't be finished; moves on while there is nothing of that kind.
  private var nextRetry: Duration
  /// Of a command; it ends this life of the volume as any other error does.
  private var failure: TierError?
  private let releaser: Releaser
  private(set) var isMakingRoom = false

  init(service: VolumeService, volume: Volume, watcher: any Watcher) throws(TierError) {
    self.service = service
    self.volume = volume
    self.watcher = watcher
    log = service.engine.log
    let clock = volume.clock
    let missing = MissingNames()
    self.missing = missing
    reconciler = Reconciler(volume: volume, links: service.engine.linkStubs) {
      missing.add($0, now: clock.monotonic)
    }
    hints = HintTable(quiet: volume.configuration.settle, maximumWait: volume.configuration.settle * 12)
    nextRetry = clock.monotonic + volume.tuning.busyRetry
    releaser = try Releaser(volume: volume, links: service.engine.linkStubs, log: service.engine.log) {
      [weak service] in service?.wake()
    }
    let known = try volume.catalog.openVolume(named: volume.name).scan
    lastScan = known.lastCompleted
    // Whatever happened while nobody watched, only a scan can tell.
    needsScan = known.isNeeded && !known.reason.isEmpty ? known.reason : "start"
    if let resume = known.resumeAfter, known.isNeeded {
      scan = Scan(reason: known.reason, startedAt: clock.now, resumeAfter: resume)
      needsScan = "start"
    }
  }

  func run() throws(TierError) {
    try watcher.start { count in
      service.update { $0.coverage.watchedDirectories = count }
    }
    service.update {
      $0.problem = nil
      $0.coverage = watcher.coverage
      $0.watchingSince = volume.clock.now
    }
    while !service.isStopping {
      try take(try watcher.wait(atMost: timeout()))
      let commands = service.takeCommands()
      for command in commands { command(.success(self)) }
      if let failure { throw failure }
      try work()
    }
    try saveScan()
    try releaser.finishLingering(ending: true)
  }

  /// Looks at once at all that events told. For `flush`, which must not miss what was written just before, and for
  /// `undelete`, which must not miss what was deleted just before. `unheard`: where to look as well if others may
  /// have changed something without an event.
  func settleNow(scanning: Bool = true, unheard: [RelativePath] = []) -> TierError? {
    do throws(TierError) {
      try drain()
      if volume.files.isShared { try look(unheard.map { .subtree($0) }) }
      try look(hints.takeDue(now: volume.clock.monotonic + .seconds(1_000_000)))
      try look(volume.takeExaminations().map { .changed($0) })
      while scanning, isInDoubt {
        try scanPortion()
        // Our own listing makes events, too, and the kernel keeps only so many.
        try drain()
      }
      if !isInDoubt { try judgeMissing(grace: .zero) }
      return nil
    } catch {
      failure = error
      return error
    }
  }

  /// Only such a scan is worth waiting for; the routine one is under way for hours.
  private var isInDoubt: Bool { needsScan != nil || scan?.reason.isEmpty == false }

  /// Everything that was told so far. An app that never stops writing is not waited for.
  private func drain() throws(TierError) {
    let end = volume.clock.monotonic + .seconds(5)
    repeat {
      let news = try watcher.wait(atMost: .zero)
      if news.isEmpty { return }
      try take(news)
    } while volume.clock.monotonic < end
  }

  var overflows: Int { watcher.coverage.overflows }

  func end(_ reason: String) {
    failure =
      failure
      ?? TierError(
        .volumeUnavailable, "volume \(volume.name) is opened anew: \(reason)",
        path: volume.configuration.path,
        disposition: .retry)
  }

  func scanNeeded(_ reason: String) { needsScan = needsScan ?? reason }

  func release(_ rows: [CatalogFile]) -> [ReleaseOutcome] { releaser.release(rows) }

  func wantRoom(_ bytes: Int64) { releaser.wantRoom(bytes) }

  /// A part of what is wanted.
  func makeRoom() throws(TierError) { isMakingRoom = try releaser.roomTurn() }

  /// False where the file doesn't linger. A release that can't be finished is tried again for it, so that the target
  /// can give the file back.
  func takeBack(_ file: FileID, pinUntil: Timestamp?) throws(TierError) -> Bool {
    if volume.unfinished.first(where: { $0.file == file }) != nil {
      try LocalRecovery(volume: volume, log: log).retry()
    }
    return try releaser.takeBack(file, pinUntil: pinUntil)
  }

  /// Frees released files whose time to linger is over, and tries again what could not be finished.
  func finishLingering() throws(TierError) {
    try releaser.finishLingering(ending: false)
    let now = volume.clock.monotonic
    if !volume.unfinished.isEmpty, now < nextRetry { return }
    nextRetry = now + volume.tuning.busyRetry
    try LocalRecovery(volume: volume, log: log).retry()
  }

  // MARK: One turn

  private func work() throws(TierError) {
    let now = volume.clock.monotonic
    let due = hints.takeDue(now: now) + volume.takeExaminations().map { .changed($0) }
    try look(due)
    if !due.isEmpty { service.engine.wakeWindows() }
    if scan != nil || needsScan != nil || isRescanDue { try scanSlice() }
    if scan == nil, needsScan == nil { try judgeMissing(grace: volume.tuning.missingGrace) }
    try finishLingering()
    try makeRoom()
    if now >= nextHousekeeping {
      nextHousekeeping = now + min(.seconds(10), volume.configuration.settle)
      try housekeeping()
    }
  }

  private func timeout() -> Duration {
    let now = volume.clock.monotonic
    if isMakingRoom || needsScan != nil || (scan != nil && scan?.reason.isEmpty == false) { return .zero }
    var wait = nextHousekeeping - now
    if scan != nil { wait = min(wait, scanDebt) }
    if let due = hints.nextDue { wait = min(wait, due - now) }
    if scan == nil, needsScan == nil, let due = missing.nextDue(grace: volume.tuning.missingGrace) {
      wait = min(wait, due - now)
    }
    if let due = releaser.nextLinger { wait = min(wait, due - now) }
    return max(wait, .zero)
  }

  private func take(_ news: [Hint]) throws(TierError) {
    if news.contains(.volumeGone) {
      throw volume.absence()
        ?? TierError(
          .volumeUnavailable, "volume \(volume.name) was unmounted", path: volume.configuration.path,
          disposition: .retry)
    }
    hints.add(news, now: volume.clock.monotonic)
  }

  private func look(_ due: [Hint]) throws(TierError) {
    for hint in due {
      do throws(TierError) { try look(hint) } catch { try leaveAlone(hint, error) }
    }
  }

  private func look(_ hint: Hint) throws(TierError) {
    switch hint {
    case .changed(let path), .written(let path):
      if try reconciler.name(path) { try subtree(path) }
    case .used(let path):
      try reconciler.used(path)
    case .subtree(let path):
      if path.isRoot {
        scanNeeded("something may have changed anywhere")
      } else if try reconciler.name(path) {
        try subtree(path)
      }
    case .everything(let reason):
      log.warning("scan needed", metadata: ["volume": "\(volume.name)", "reason": "\(reason)"])
      scanNeeded(reason)
      try saveScan()
    case .volumeGone:
      break
    }
  }

  /// What can't be read stays as the catalog knows it, and is looked at again where that may help: one bad sector
  /// must not keep the rest of the volume from being served.
  private func leaveAlone(_ hint: Hint, _ error: TierError) throws(TierError) {
    guard error.isOfOnePlace, volume.isStillThere() else { throw error }
    if error.disposition == .retry || error.code == .notFound {
      hints.add([hint], now: volume.clock.monotonic)
    }
    log.debug("left alone", metadata: ["volume": "\(volume.name)", "error": "\(error)"])
  }

  private func leaveAlone(_ directory: RelativePath, _ error: TierError) throws(TierError) {
    if directory.isRoot { throw error }
    try leaveAlone(.subtree(directory), error)
  }

  /// A directory that appeared or moved, whole. Large ones are left to the scan, which can be resumed.
  private func subtree(_ path: RelativePath) throws(TierError) {
    var walk = Scan(reason: "new directory", startedAt: volume.clock.now, from: path)
    while !walk.isFinished {
      try walk.portion(reconciler, leaveAlone: leaveAlone)
      if walk.directories > 1000 { return scanNeeded("\(path) appeared with over 1000 directories") }
    }
  }

  // MARK: Scanning

  private var isRescanDue: Bool {
    // The clock was set back: who knows how long it takes to come there again.
    guard let lastScan, lastScan <= volume.clock.now else { return true }
    return volume.clock.now - lastScan >= volume.configuration.rescan
  }

  /// At full speed after a doubt, but never deaf to events for longer than a slice; at a low rate otherwise.
  private func scanSlice() throws(TierError) {
    let begun = volume.clock.monotonic
    if scan?.reason.isEmpty == true, needsScan == nil, scanDebt > .zero {
      scanDebt -= min(scanDebt, .milliseconds(100))
      return
    }
    try scanPortion()
    if scan?.reason.isEmpty == true {
      scanDebt = (volume.clock.monotonic - begun) * (1 / volume.tuning.backgroundScanShare)
    }
    service.update {
      $0.scanReason = scan?.reason
      $0.scannedFiles = scan?.files ?? $0.scannedFiles
      $0.coverage = watcher.coverage
    }
  }

  private func scanPortion() throws(TierError) {
    if scan == nil || (needsScan != nil && scan?.reason.isEmpty == true) {
      scan = Scan(reason: needsScan ?? "", startedAt: volume.clock.now)
      needsScan = nil
      try saveScan()
    }
    let thousands = (scan?.directories ?? 0) / 1000
    try scan?.portion(reconciler) { (path, error) throws(TierError) in
      try leaveAlone(path, error)
      log.warning("not scanned", metadata: ["path": "\(volume.absolute(path))", "error": "\(error)"])
    }
    guard let current = scan else { return }
    if current.isFinished {
      scan = nil
      lastScan = current.startedAt
      log.debug(
        "scan complete",
        metadata: [
          "volume": "\(volume.name)", "directories": "\(current.directories)", "reason": "\(current.reason)",
        ])
      service.update {
        $0.lastScan = current.startedAt
        $0.filesInLastScan = current.files
        $0.scanReason = nil
      }
      try saveScan()
      service.engine.wakeWindows()
    } else if current.directories / 1000 > thousands {
      try saveScan()
    }
  }

  private func saveScan() throws(TierError) {
    try volume.catalog.setScanState(
      ScanState(
        isNeeded: scan != nil || needsScan != nil, resumeAfter: needsScan == nil ? scan?.position : nil,
        lastCompleted: lastScan, reason: needsScan ?? scan?.reason ?? ""), of: volume.id)
  }

  // MARK: The rest

  /// Where a part of a shared volume is away, nothing is judged: what looks deleted may be there, and come back.
  private func judgeMissing(grace: Duration) throws(TierError) {
    let now = volume.clock.monotonic
    let isDue = missing.nextDue(grace: grace).map { $0 <= now } ?? false
    guard isDue || missing.overflowed else { return }
    if try volume.blindSpot() != nil { return missing.postpone(now: now) }
    if missing.takeOverflow() {
      scanNeeded("more names vanished at once than are kept in memory")
    }
    let judge = MissingJudge(volume: volume, reconciler: reconciler)
    for path in missing.takeDue(grace: grace, now: now) {
      do throws(TierError) { try judge.judge(path) } catch { try leaveAlone(.changed(path), error) }
    }
  }

  private func housekeeping() throws(TierError) {
    if let absence = volume.absence() { throw absence }
    let away = try volume.blindSpot() ?? []
    if away != service.condition.away {
      let known = away.isEmpty ? "all bricks are there again" : "bricks can't be reached: deletions wait"
      log.warning(
        "\(known)", metadata: ["volume": "\(volume.name)", "away": "\(away.joined(separator: ", "))"])
    }
    let space = try wrapping("while asking for free space") { () throws(SyscallError) in
      try volume.files.space(at: "volume.space")
    }
    let turn = volume.configuration.releases == .automatic ? try releaser.releaseDue(space: space) : .done
    if turn == .more { nextHousekeeping = .zero }
    service.update {
      $0.space = space
      $0.isFull = turn == .stuck
      $0.away = away
      $0.coverage = watcher.coverage
    }
    if turn == .stuck { service.engine.volumeIsFull(volume) }
  }
}
