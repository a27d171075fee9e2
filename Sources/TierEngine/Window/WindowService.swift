import Logging
import Synchronization
import TierCore
import TierLinux

/// Opens windows to one target, when the planner says so, and closes them. The only place that ever makes
/// contact with the target. One thread.
package final class WindowService: Sendable {
  package let target: any Target
  package let configuration: Configuration.Target
  let engine: EngineContext
  private let state = Mutex(State())
  private let idle: Wakeup

  private struct State {
    var isStopping = false
    /// Nobody is there any more to serve an order.
    var hasEnded = false
    var flushes: [FlushOrder] = []
    var restores: [RestoreOrder] = []
    var errands: [Errand] = []
    var fullVolumes: Set<String> = []
    var failures = 0
    var retryNotBefore: Timestamp?
    var watermarkNotBefore: Timestamp?
    var condition = TargetCondition()
  }

  package init(target: any Target, configuration: Configuration.Target, engine: EngineContext)
    throws(TierError)
  {
    idle = try wrapping("while preparing a thread") { () throws(SyscallError) in try Wakeup() }
    self.target = target
    self.configuration = configuration
    self.engine = engine
  }

  package var condition: TargetCondition { state.withLock { $0.condition } }

  /// What waits for a window; where the target can't rename, the copies that keep their old names don't.
  package func pending(now: Timestamp) throws(TierError) -> PendingWork {
    var work = try engine.catalog.pending(for: target.name, now: now)
    if !target.properties.renames { work.moves = 0 }
    return work
  }

  /// Blocks until `stop`; fails only when the daemon can't go on.
  package func run() throws(TierError) {
    defer {
      state.withLock { $0.hasEnded = true }
      refuseOrders()
    }
    while !isStopping {
      if let wait = try turn() { _ = idle.wait(atMost: wait) }
    }
    try engine.retention.stop()
  }

  /// One window, if the planner wants one; else how long nothing will be to do.
  func turn() throws(TierError) -> Duration? {
    let now = engine.clock.now
    try engine.retention.look()
    let situation = try situation(now: now)
    switch WindowPlanner.decide(situation, now: now) {
    case .open(let cause):
      try window(cause: cause)
      return nil
    case .sleep(let until):
      state.withLock { $0.condition.plan(situation, nextWindow: until) }
      // Wall time may jump: never trust one long sleep.
      let wait = until.map { min($0 - now, .seconds(30)) } ?? .seconds(30)
      return max(wait, .milliseconds(10))
    }
  }

  package func stop() {
    state.withLock { $0.isStopping = true }
    idle.signal()
  }

  // MARK: Orders

  func flush(_ order: FlushOrder) { change { $0.flushes.append(order) } }
  func restore(_ orders: [RestoreOrder]) { change { $0.restores += orders } }
  func run(_ errand: Errand) { change { $0.errands.append(errand) } }
  func volumeIsFull(_ name: String) { change { $0.fullVolumes.insert(name) } }
  /// The catalog changed: there may be an earlier deadline.
  func wake() { idle.signal() }

  /// What is fetched together: a portion, so that who comes later needn't wait for all. Apps that wait come first, and
  /// with nobody else.
  func takeRestores() -> [RestoreOrder] {
    state.withLock { state in
      let recalls = state.restores.filter(\.isRecall)
      var bytes: Int64 = 0
      let portion = (recalls.isEmpty ? state.restores : recalls).prefix(engine.tuning.batchFiles).prefix {
        order in
        defer { bytes += order.bytes }
        return bytes < engine.tuning.batchBytes
      }
      if recalls.isEmpty {
        state.restores.removeFirst(portion.count)
      } else {
        state.restores = state.restores.filter { !$0.isRecall } + recalls.dropFirst(portion.count)
      }
      return Array(portion)
    }
  }

  private func takeAllRestores() -> [RestoreOrder] {
    state.withLock { state in
      defer { state.restores = [] }
      return state.restores
    }
  }

  func takeFlushes() -> [FlushOrder] {
    state.withLock { state in
      defer { state.flushes = [] }
      return state.flushes
    }
  }

  func takeErrands() -> [Errand] {
    state.withLock { state in
      defer { state.errands = [] }
      return state.errands
    }
  }

  var isStopping: Bool { state.withLock { $0.isStopping } }

  /// True until a window of this daemon's has come to its end.
  var isFirstWindow: Bool {
    state.withLock { $0.condition.counters.windows == $0.condition.counters.failedWindows }
  }

  var hasWaitingOrders: Bool {
    state.withLock { !$0.flushes.isEmpty || !$0.restores.isEmpty || !$0.errands.isEmpty }
  }

  var hasWaitingRestores: Bool { state.withLock { !$0.restores.isEmpty } }

  /// Real time, as who waits has no other. False where none came, or where there is no time to wait.
  func awaitOrders(atMost limit: Duration) -> Bool {
    let clock = SystemClock()
    let end = clock.monotonic + limit
    while !isStopping {
      if hasWaitingOrders { return true }
      let left = end - clock.monotonic
      guard left > .zero else { return false }
      _ = idle.wait(atMost: left)
    }
    return false
  }

  func update(_ change: (inout TargetCondition) -> Void) { state.withLock { change(&$0.condition) } }

  private func change(_ body: (inout State) -> Void) {
    let isLate = state.withLock {
      body(&$0)
      return $0.hasEnded
    }
    if isLate { refuseOrders() } else { idle.signal() }
  }

  // MARK: Windows

  private func situation(now: Timestamp) throws(TierError) -> WindowPlanner.Situation {
    var pending = try pending(now: now)
    if let deadline = pending.earliestDeadline, deadline <= now {
      try Preflight(engine: engine, target: target.name).putOff()
      pending = try self.pending(now: now)
    }
    let canMakeRoom = try canMakeRoom(pending, now)
    let longestRetry = max(engine.tuning.longestRetry, configuration.retryAfter)
    return state.withLock { state in
      let urgent =
        state.restores.prefix(1).map { WindowPlanner.Urgency(cause: $0.cause) }
        + state.flushes.map { WindowPlanner.Urgency(cause: $0.cause) }
        + state.errands.map { WindowPlanner.Urgency(cause: $0.cause) }
      return WindowPlanner.Situation(
        pending: pending, urgent: urgent, fullVolumes: canMakeRoom ? state.fullVolumes.sorted() : [],
        // The wall clock may have been set back meanwhile.
        retryNotBefore: state.retryNotBefore.map { min($0, now + longestRetry) },
        watermarkNotBefore: state.watermarkNotBefore.map { min($0, now + .seconds(3600)) })
    }
  }

  /// A full volume is helped by archiving, and by proofs of what was archived; by nothing else.
  private func canMakeRoom(_ pending: PendingWork, _ now: Timestamp) throws(TierError) -> Bool {
    if pending.dueFiles > 0 { return true }
    if state.withLock({ $0.fullVolumes.isEmpty }) { return false }
    let before = now - engine.tuning.proofDelay
    return try !engine.catalog.unprovenFiles(on: target.name, before: before, limit: 1).isEmpty
  }

  /// One window, recorded whatever becomes of it. Errors of the target end the window, not the daemon.
  func window(cause: String) throws(TierError) {
    var record = WindowRecord(target: target.name, opened: engine.clock.now, cause: cause)
    record.id = try engine.catalog.record(record)
    let wasFull = state.withLock { state in
      defer { state.fullVolumes = [] }
      state.condition.isWindowOpen = true
      return !state.fullVolumes.isEmpty
    }
    engine.log.info("window opened", metadata: ["target": "\(target.name)", "cause": "\(cause)"])
    let run = WindowRun(service: self, record: record)
    let failure = run.run()
    record = run.record
    record.closed = engine.clock.now
    record.error = failure.map { "\($0)" }
    _ = try engine.catalog.record(record)
    update { $0.counters.count(record) }
    if let failure, failure.disposition == .fatal || failure.code == .catalog { throw failure }
    conclude(failure, record, run.provenCopies, wasFull: wasFull)
    log(record)
    for service in engine.volumeServices where service.hasWork(after: run) { service.wake() }
  }

  private func conclude(_ failure: TierError?, _ record: WindowRecord, _ proven: Int, wasFull: Bool) {
    let now = engine.clock.now
    let progress = record.archivedFiles + proven > 0
    // Files that the target refuses one by one must not open a window each minute.
    let isFruitless = !progress && record.failures > 0
    let orders = state.withLock { state -> ([RestoreOrder], [FlushOrder], [Errand]) in
      state.condition.isWindowOpen = false
      state.condition.lastError = failure.map { "\($0)" }
      if wasFull, !progress { state.watermarkNotBefore = now + .seconds(3600) }
      guard failure != nil || isFruitless else {
        state.failures = 0
        state.retryNotBefore = nil
        return ([], [], [])
      }
      state.failures += 1
      let doubled = configuration.retryAfter * (1 << min(state.failures - 1, 16))
      state.retryNotBefore = now + min(doubled, max(engine.tuning.longestRetry, configuration.retryAfter))
      if failure == nil { return ([], [], []) }
      // Who waits gets the error now; the work itself stays pending.
      defer {
        state.restores = []
        state.flushes = []
        state.errands = []
      }
      return (state.restores, state.flushes, state.errands)
    }
    guard let failure else { return }
    for order in orders.0 { order.done(.failure(failure)) }
    for order in orders.1 { order.done(failure) }
    for errand in orders.2 { errand.failed(failure) }
  }

  private func refuseOrders() {
    let error = TierError.stopping
    for order in takeAllRestores() { order.done(.failure(error)) }
    for order in takeFlushes() { order.done(error) }
    for errand in takeErrands() { errand.failed(error) }
  }

  private func log(_ record: WindowRecord) {
    let tenths = ((record.closed ?? record.opened) - record.opened).nanoseconds / 100_000_000
    var fields: Logger.Metadata = [
      "target": "\(target.name)", "seconds": "\(tenths / 10).\(tenths % 10)",
      "archived_files": "\(record.archivedFiles)",
      "archived_bytes": "\(record.archivedBytes)", "restored_files": "\(record.restoredFiles)",
      "changes": "\(record.changesApplied)", "failures": "\(record.failures)",
    ]
    guard let error = record.error else { return engine.log.info("window closed", metadata: fields) }
    fields["error"] = "\(error)"
    if let again = state.withLock({ $0.retryNotBefore }) {
      fields["retry_in_seconds"] = "\((again - engine.clock.now).nanoseconds / 1_000_000_000)"
    }
    engine.log.warning("window failed", metadata: fields)
  }
}

/// A person's `flush`: everything that waits in its scope goes now, whatever its age.
struct FlushOrder: Sendable {
  var scopes: [Scope]
  var cause: String
  var progress: RequestHandle
  /// Nil: all that could go went; else why the window failed.
  var done: @Sendable (TierError?) -> Void

  func covers(_ file: CatalogFile, at path: RelativePath, in volume: String) -> Bool {
    scopes.contains { $0.covers(file, at: path, in: volume) }
  }
}

struct RestoreOrder: Sendable {
  var file: FileID
  var bytes: Int64
  var cause: String
  var pinUntil: Timestamp?
  /// An app waits; others of its kind may follow.
  var isRecall = false
  /// The restored bytes.
  var done: @Sendable (Result<Int64, TierError>) -> Void
}

/// Something else that needs an open window: a verification, an undelete, a rebuild.
struct Errand: Sendable {
  var cause: String
  var run: @Sendable (any TargetSession) throws(TierError) -> Void
  /// Called instead of, or after, `run` when the window or the errand fails.
  var failed: @Sendable (TierError) -> Void
}

/// Which files an order is about.
package enum Scope: Hashable, Sendable {
  case all
  case policy(String)
  case volume(String)
  /// Files or directories of one volume.
  case paths(volume: String, [RelativePath])

  func covers(_ file: CatalogFile, at path: RelativePath, in volume: String) -> Bool {
    switch self {
    case .all: true
    case .policy(let name): file.policy == name
    case .volume(let name): name == volume
    case .paths(let name, let paths): name == volume && paths.contains { path.isWithin($0) }
    }
  }
}

/// Since the daemon started.
package struct WindowCounters: Hashable, Sendable {
  package var windows = 0
  package var failedWindows = 0
  package var openTime = Duration.zero
  package var archivedFiles = 0
  package var archivedBytes: Int64 = 0
  package var restoredFiles = 0
  package var restoredBytes: Int64 = 0
  package var failures = 0

  mutating func count(_ record: WindowRecord) {
    windows += 1
    failedWindows += record.error == nil ? 0 : 1
    openTime += (record.closed ?? record.opened) - record.opened
    archivedFiles += record.archivedFiles
    archivedBytes += record.archivedBytes
    restoredFiles += record.restoredFiles
    restoredBytes += record.restoredBytes
    failures += record.failures
  }
}

/// What `status` shows of a target.
package struct TargetCondition: Hashable, Sendable {
  package var isWindowOpen = false
  package var pending = PendingWork()
  /// When the next window opens if nothing happens before; nil where nothing waits.
  package var nextWindow: Timestamp?
  package var retryNotBefore: Timestamp?
  package var lastError: String?
  package var counters = WindowCounters()

  package init() {}

  mutating func plan(_ situation: WindowPlanner.Situation, nextWindow: Timestamp?) {
    pending = situation.pending
    self.nextWindow = nextWindow
    retryNotBefore = situation.retryNotBefore
  }
}
