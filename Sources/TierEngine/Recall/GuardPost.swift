import Glibc
import Logging
import Synchronization
import TierCore
import TierGuard
import TierLinux

/// tierd's post at one guarded file system: finds out which file somebody waits for, has it restored, and tells the
/// guard. One transfer for each file, however many wait. One thread, which never waits for a target or a volume.
package final class GuardPost: VolumeGuard {
  private struct Waiting {
    var openers: [WaitingOpener]
    /// Tried again before that, where the file is being released or changed.
    let end: Duration
    var path: String
  }

  private struct Retry {
    let opener: WaitingOpener
    let at: Duration
    let end: Duration
    /// Its program was asked about already, and the recall counts.
    let isAdmitted: Bool
  }

  private struct State {
    /// By the file's row: those whose restore was asked for.
    var restoring: [FileID: Waiting] = [:]
    /// To be looked at again.
    var again: [Retry] = []
    var storms = StormGuard()
    var counters = RecallCounters()
    var isClosed = false
  }

  private static let heartbeat = Duration.seconds(5)
  private static let retryInterval = Duration.milliseconds(100)
  /// Each opens a window.
  private static let restoreInterval = Duration.seconds(2)
  private static let retryPatience = Duration.seconds(20)

  private let connection: GuardConnection
  private let engine: EngineContext
  /// Real time: who waits is no simulation.
  private let clock = SystemClock()
  private let protected: Mutex<GuardMode>
  private let state = Mutex(State())
  private let thread = Mutex<OwnedThread?>(nil)

  init(_ connection: GuardConnection, engine: EngineContext) throws(TierError) {
    self.connection = connection
    self.engine = engine
    do throws(TierError) { protected = Mutex(try connection.protect()) } catch {
      connection.close()
      throw error
    }
    thread.withLock { $0 = OwnedThread(name: "recall") { [self] in run() } }
  }

  // MARK: For volumes

  package var mode: GuardMode { protected.withLock { $0 } }
  package var counters: RecallCounters { state.withLock(\.counters) }

  package func stubbing(_ file: any OpenFile) throws(TierError) {
    try connection.stubbing(file.rawDescriptor)
  }

  func renew() throws(TierError) {
    let mode = try connection.protect()
    protected.withLock { $0 = mode }
  }

  func close() {
    state.withLock { $0.isClosed = true }
    connection.close()
    thread.withLock { $0?.join() }
  }

  // MARK: The thread

  private func run() {
    var nextBeat = Duration.zero
    while !state.withLock(\.isClosed) {
      let now = clock.monotonic
      if let opener = connection.next(atMost: pause) {
        serve(opener, isAdmitted: false, until: now + Self.retryPatience)
      }
      for retry in takeAgain() { serve(retry.opener, isAdmitted: retry.isAdmitted, until: retry.end) }
      if now >= nextBeat {
        nextBeat = now + Self.heartbeat
        giveSigns()
      }
    }
  }

  private var pause: Duration { state.withLock { $0.again.isEmpty ? .seconds(1) : Self.retryInterval } }

  private func takeAgain() -> [Retry] {
    let now = clock.monotonic
    return state.withLock { state in
      defer { state.again.removeAll { $0.at <= now } }
      return state.again.filter { $0.at <= now }
    }
  }

  /// The guard must know that this side is alive, for each who waits.
  private func giveSigns() {
    let tokens = state.withLock { state in
      state.restoring.values.flatMap(\.openers).map(\.request.token) + state.again.map(\.opener.request.token)
    }
    for token in tokens { connection.stillWorking(token) }
  }

  // MARK: One opener

  private func serve(_ opener: WaitingOpener, isAdmitted: Bool, until end: Duration) {
    do throws(TierError) {
      guard let (volume, row, path) = try find(opener) else { return later(opener, until: end) }
      // Each try would wake the target for nothing.
      if let obstacle = row.obstacleToRestore { return deny([opener], obstacle, volume.absolute(path)) }
      if !isAdmitted, let refusal = refusal(of: opener, row, path, volume) {
        return refuse(opener, refusal, at: volume.absolute(path))
      }
      join(opener, row, path, volume, until: end)
    } catch {
      deny([opener], error, EscapedText.encode(opener.file.name))
    }
  }

  /// The released file that the opener waits for. Nil where it is on its way from one state to another.
  private func find(_ opener: WaitingOpener) throws(TierError) -> (Volume, CatalogFile, RelativePath)? {
    let file = opener.request.file
    for service in engine.volumeServices {
      guard let volume = service.volume, volume.isHome(of: file) else { continue }
      let rows = try engine.catalog.files(withInode: file.inode, in: volume.id)
      if let row = rows.first(where: { $0.state == .released }), let path = try volume.path(of: row) {
        return (volume, row, path)
      }
    }
    return nil
  }

  /// A release that is called off, a restore that has just ended, a stub that the scan hasn't come to: the guard looks
  /// again when it is told to let the opener through.
  private func later(_ opener: WaitingOpener, until end: Duration) {
    if opener.hasContent(.trusted) { return connection.answer(opener.request.token, .allow) }
    let shown = EscapedText.encode(opener.file.name)
    if opener.isDeleted {
      let error = TierError(.notFound, "it was deleted meanwhile: tierctl undelete brings it back")
      return deny([opener], error, shown)
    }
    engine.log.trace("no stub known", metadata: ["path": "\(shown)", "file": "\(opener.request.file)"])
    let now = clock.monotonic
    guard now < end else {
      let error = TierError(
        .notFound,
        "the catalog has no such released file: is its volume served (tierctl status)? tierctl fsck looks for more"
      )
      return deny([opener], error, shown)
    }
    requestExamination(for: opener)
    let retry = Retry(opener: opener, at: now + Self.retryInterval, end: end, isAdmitted: false)
    state.withLock { $0.again.append(retry) }
  }

  /// At the name by which it was opened: the catalog's may be an older one.
  private func requestExamination(for opener: WaitingOpener) {
    for service in engine.volumeServices {
      guard let volume = service.volume, volume.isHome(of: opener.request.file),
        let path = volume.relative(opener.file.name)
      else { continue }
      volume.requestExamination(of: path)
      service.wake()
    }
  }

  private func join(
    _ opener: WaitingOpener, _ row: CatalogFile, _ path: RelativePath, _ volume: Volume, until end: Duration
  ) {
    guard let id = row.id, let copy = row.copy else { return later(opener, until: end) }
    let shown = volume.absolute(path)
    let isFirst = state.withLock { state in
      defer {
        state.restoring[id, default: Waiting(openers: [], end: end, path: shown)].openers.append(opener)
      }
      return state.restoring[id] == nil
    }
    guard isFirst else { return }
    guard let service = engine.windowService(copy.target) else {
      return ended(
        id,
        .failure(
          TierError(
            .unsupported,
            "its target \"\(copy.target)\" is no longer configured: add it to targets in tierd.yaml")))
    }
    let who = ProcessIdentity(opener.request.pid)
    engine.log.debug("recall", metadata: ["path": "\(shown)", "by": "\(who)"])
    let order = RestoreOrder(
      file: id, bytes: copy.size, cause: "\(path) opened by \(who)",
      pinUntil: volume.stay(for: row, at: path),
      isRecall: true
    ) { [weak self] result in self?.ended(id, result) }
    engine.restore([(row, order)], by: service)
  }

  private func ended(_ id: FileID, _ result: Result<Int64, TierError>) {
    guard let waiting = state.withLock({ $0.restoring.removeValue(forKey: id) }) else { return }
    switch result {
    case .success:
      state.withLock { $0.counters.recalls += 1 }
      for opener in waiting.openers { connection.answer(opener.request.token, .allow) }
    case .failure(let error):
      if error.endsByItself, clock.monotonic < waiting.end {
        let at = clock.monotonic + Self.restoreInterval
        for opener in waiting.openers { requestExamination(for: opener) }
        return state.withLock { state in
          state.again += waiting.openers.map { Retry(opener: $0, at: at, end: waiting.end, isAdmitted: true) }
        }
      }
      deny(waiting.openers, error, waiting.path)
    }
  }

  // MARK: Refusals

  private func refusal(
    of opener: WaitingOpener, _ row: CatalogFile, _ path: RelativePath, _ volume: Volume
  ) -> RecallRefusal? {
    let process = ProcessIdentity(opener.request.pid)
    let rules = volume.restoreRules(for: row, at: path)
    if let pattern = rules.refuse.refuses(name: process.name, cgroup: process.cgroup) {
      return RecallRefusal(process: process, reason: .listed(pattern))
    }
    let now = clock.monotonic
    let isStorm = state.withLock { state in
      // Who joins a restore that is under way causes none.
      if let id = row.id, state.restoring[id] != nil { return false }
      return !state.storms.admits(process, perMinute: rules.perMinute, now: now)
    }
    return isStorm ? RecallRefusal(process: process, reason: .storm(rules.perMinute)) : nil
  }

  private func refuse(_ opener: WaitingOpener, _ refusal: RecallRefusal, at path: String) {
    let isNews = state.withLock { state in
      state.counters.refused += 1
      return state.storms.isNews(refusal.process, now: clock.monotonic)
    }
    // A search opens thousands: one line a minute for each process.
    if isNews { engine.log.warning("\(refusal)", metadata: ["path": "\(path)"]) }
    connection.answer(opener.request.token, .deny(refusal.errno))
  }

  private func deny(_ openers: [WaitingOpener], _ error: TierError, _ path: String) {
    state.withLock { $0.counters.failures += openers.count }
    for opener in openers {
      engine.log.warning(
        "an open of a released file failed",
        metadata: [
          "path": "\(path)", "by": "\(ProcessIdentity(opener.request.pid))", "error": "\(error)",
        ])
      connection.answer(opener.request.token, .deny(error.guardErrno))
    }
  }
}

/// Since the daemon started.
package struct RecallCounters: Hashable, Sendable {
  package var recalls = 0
  /// Opens that got an error because the content couldn't be brought.
  package var failures = 0
  /// Opens that weren't wanted: listed processes and storms.
  package var refused = 0

  mutating func add(_ other: RecallCounters) {
    recalls += other.recalls
    failures += other.failures
    refused += other.refused
  }
}

extension CatalogFile {
  fileprivate var obstacleToRestore: TierError? {
    if isLost {
      return TierError(
        .targetCopyMissing, "its copy was found missing or wrong: tierctl verify or restore PATH looks again")
    }
    return PlaceholderSettling.isUnknown(heldReason)
      ? TierError(.fileSystem, PlaceholderSettling.unknown) : nil
  }
}

extension TierError {
  /// Being released or replaced just now; known by another row since it was renamed; or tierd or the volume is about to
  /// end: the next one serves who waits.
  fileprivate var endsByItself: Bool {
    [.fileBusy, .fileChanged, .notFound, .cancelled, .volumeUnavailable].contains(code)
  }

  /// What the opener's call fails with.
  var guardErrno: GuardErrno {
    switch code {
    case .volumeFull: .noSpace
    case .fileBusy, .fileChanged, .cancelled: .tryAgain
    default: .inputOutput
    }
  }
}
