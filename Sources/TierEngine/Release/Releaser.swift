import Glibc
import Logging
import TierCore
import TierLinux

package enum ReleaseOutcome: Hashable, Sendable {
  case released(FileID, bytes: Int64)
  /// Stays in the cache, and why.
  case held(FileID, reason: String)
}

/// Frees files in the cache. A file leaves only when its copy is proven, nobody has it open, and it is to the
/// nanosecond the one that was copied. Freeing comes last, after a while in which it can still be taken back.
final class Releaser {
  private let volume: Volume
  private let links: LinkRelease
  private let placeholders: PlaceholderRelease?
  private let log: Logger
  private let watch: LingerWatch?
  /// Bytes that somebody waits for, less what lingers: freed by and by (`roomTurn`).
  private var wantedRoom: Int64 = 0
  private var lingering: [Lingering] = []
  private var isAboveHigh = false

  /// `wake` is called from another thread, where somebody waits for what lingers.
  init(volume: Volume, links: SymlinkStub, log: Logger, wake: @escaping @Sendable () -> Void)
    throws(TierError)
  {
    self.volume = volume
    watch = volume.stubMode.guardian == nil ? nil : try LingerWatch(wake)
    self.links = LinkRelease(volume: volume, stubs: links, log: log)
    placeholders = volume.stubMode.guardian.map {
      PlaceholderRelease(volume: volume, guardian: $0, log: log)
    }
    self.log = log
    watch?.start()
  }

  deinit { watch?.end() }

  /// When what lingers is to be looked at again, on the monotonic clock.
  var nextLinger: Duration? { lingering.map(\.until).min() }

  /// What one turn came to. The volume's thread must hear events in between, and the freed files' blocks are
  /// really free only once they lingered: so a turn is short.
  enum Turn {
    case done, more
    /// Too full, and only a window can help.
    case stuck
  }

  /// Releases what policies let go, and while the volume is too full, the coldest.
  func releaseDue(space: FileSystemSpace) throws(TierError) -> Turn {
    let room = min(Self.turnFiles, Self.lingeringMax - lingering.count)
    guard room > 0 else { return .done }
    let now = volume.clock.now
    let due = try volume.catalog.releaseCandidates(in: volume.id, now: now, limit: room)
    _ = release(due)
    guard isTooFull(space) else { return due.count == room ? .more : .done }
    let coldest = try volume.catalog.coldestFiles(in: volume.id, now: now, limit: room)
    _ = release(coldest)
    return coldest.isEmpty ? .stuck : .more
  }

  /// For what is to be restored. What lingers is free soon.
  func wantRoom(_ bytes: Int64) {
    guard volume.configuration.releases == .automatic else { return }
    wantedRoom = max(wantedRoom, bytes - lingeringBytes)
  }

  /// A part of what is wanted: the coldest go. True where more is to do.
  func roomTurn() throws(TierError) -> Bool {
    guard wantedRoom > 0, lingering.count < Self.lingeringMax else { return false }
    let coldest = try volume.catalog.coldestFiles(
      in: volume.id, now: volume.clock.now, limit: Self.roomTurnFiles)
    for case .released(_, let bytes) in release(coldest) { wantedRoom -= bytes }
    if coldest.isEmpty { wantedRoom = 0 }
    return wantedRoom > 0
  }

  private static let roomTurnFiles = 8
  static let turnFiles = 64
  /// Each may keep a file open.
  private static let lingeringMax = 1024

  /// From the high watermark on until the low one. What lingers counts as free already.
  private func isTooFull(_ space: FileSystemSpace) -> Bool {
    guard space.total > 0 else { return false }
    let used = 1 - Double(space.available + lingeringBytes) / Double(space.total)
    if used >= volume.configuration.highWatermark { isAboveHigh = true }
    if used <= volume.configuration.lowWatermark { isAboveHigh = false }
    return isAboveHigh
  }

  private var lingeringBytes: Int64 { lingering.reduce(0) { $0 + ($1.intent.version?.size ?? 0) } }

  func release(_ rows: [CatalogFile]) -> [ReleaseOutcome] {
    rows.compactMap { row in
      guard let id = row.id else { return nil }
      do throws(TierError) {
        return try volume.committing { () throws(TierError) in try begin(id) }
      } catch {
        log.warning("release failed", metadata: ["volume": "\(volume.name)", "error": "\(error)"])
        volume.note(id, reason: "\(error)", retryAfter: volume.tuning.busyRetry)
        return .held(id, reason: "\(error)")
      }
    }
  }

  // MARK: Begin

  private func begin(_ id: FileID) throws(TierError) -> ReleaseOutcome {
    guard var row = try volume.catalog.file(id), let path = try volume.path(of: row) else {
      return .held(id, reason: "it is gone")
    }
    if let reason = refusal(row) { return .held(id, reason: reason) }
    guard let copy = row.copy else { return .held(id, reason: "it has no copy") }
    volume.noteOwnUse(of: path)
    if try volume.isHeldOpen(path, at: "release.isHeldOpen") {
      return hold(id, path, "a process has it open")
    }
    guard let stub = volume.stubAsked(for: row, at: path) else {
      return hold(id, path, volume.missingGuard ?? "", retryAfter: .seconds(3600))
    }
    let (method, access) = method(for: stub)
    guard let file = try volume.openForRelease(path, access) else {
      return hold(id, path, "it changed, or is a program that runs")
    }
    // One that becomes a placeholder stays open, and keeps its lease, while it lingers.
    var isKept = false
    defer { if !isKept { file.close() } }
    guard try volume.isAlone(file, at: "release.lease") else {
      return hold(id, path, "a process has it open")
    }
    let status = try wrapping("before its release") { () throws(SyscallError) in
      try file.status(at: "release.status")
    }
    guard status.version == row.version, status.links == 1 else {
      return hold(id, path, "it changed since it was archived")
    }
    if let unmarked = try ensureMark(on: file, of: &row, at: path, copy) {
      return hold(id, path, "\(unmarked)", retryAfter: .seconds(3600))
    }
    if let obstacle = try volume.obstacleToHiding(copy.archiveID) { return hold(id, path, obstacle) }
    var intent = Intent(
      kind: .release, epoch: volume.epoch, volume: volume.id, file: id, path: path, target: copy.target,
      targetPath: copy.path, archiveID: copy.archiveID, version: row.version, begun: volume.clock.now)
    intent.id = try volume.catalog.begin([intent]).first

    var leaving = Leaving(
      row: row, id: id, path: path, copy: copy, file: file, status: status, intent: intent)
    let item: Lingering
    do throws(TierError) { item = try method.begin(&leaving) } catch {
      guard error.isOfOnePlace else { throw error }
      return hold(id, path, error.message)
    }
    if case .itself = item.place {
      isKept = true
      watch?.add(file)
    }
    row = leaving.row
    row.state = .released
    row.heldReason = nil
    row.retryAt = nil
    volume.judge(&row, at: path)
    lingering.append(item)
    try volume.catalog.apply([.put(row)])
    return .released(id, bytes: status.allocated)
  }

  /// What could not be marked when it was archived may be by now; else the reason why it stays.
  private func ensureMark(
    on file: any OpenFile, of row: inout CatalogFile, at path: RelativePath, _ copy: ArchivedCopy
  ) throws(TierError) -> TierError? {
    var unmarked: TierError?
    let marked: FileStatus? = try wrapping("before its release") { () throws(SyscallError) in
      if try volume.isMarked(path, with: copy, at: "release.isMarked") { return nil }
      unmarked = try volume.mark(file, with: copy, at: "release.mark")
      return try file.status(at: "release.marked")
    }
    if let marked {
      row.observe(marked)
      try volume.catalog.apply([.put(row)])
    }
    return unmarked
  }

  private func refusal(_ row: CatalogFile) -> String? {
    guard row.state == .archived, let copy = row.copy else { return "it isn't archived" }
    guard copy.proof == .proven else { return "its copy waits for a later window's proof" }
    if let until = row.pinnedUntil, until > volume.clock.now { return "it is pinned" }
    if row.isLost { return "its copy on the target is missing or wrong" }
    return nil
  }

  private func hold(
    _ id: FileID, _ path: RelativePath, _ reason: String, retryAfter: Duration? = nil
  ) -> ReleaseOutcome {
    volume.noteWhileCommitting(id, reason: reason, retryAfter: retryAfter ?? volume.tuning.busyRetry)
    volume.requestExamination(of: path)
    return .held(id, reason: reason)
  }

  // MARK: Linger and free

  private func method(for stub: Volume.StandingStub) -> (any ReleaseMethod, OpenAccess) {
    if stub == .placeholder, let placeholders { (placeholders, .readWrite) } else { (links, .read) }
  }

  /// The caller frees it, or gives it back; nobody else touches its file from here on.
  private func end(of item: Lingering) -> any ReleaseMethod {
    guard case .itself(let placeholder, _) = item.place else { return links }
    watch?.remove(placeholder.file)
    return method(for: .placeholder).0
  }

  /// Frees what has lingered long enough, and gives back what somebody waits for. `ending`, as on shutdown: what is
  /// under a lease goes back, what is under a hidden name is left to recovery.
  func finishLingering(ending: Bool) throws(TierError) {
    let now = volume.clock.monotonic
    let all = lingering
    lingering = []
    for item in all {
      let isWanted = item.isWanted
      guard ending || isWanted || item.until <= now else {
        lingering.append(item)
        continue
      }
      if ending, case .hidden = item.place { continue }
      let method = end(of: item)
      try volume.committing { () throws(TierError) in
        _ = try LocalRecovery(volume: volume, log: log).attempting(item.intent) { () throws(TierError) in
          if ending || isWanted {
            try method.takeBack(item)
          } else {
            try method.free(item)
          }
        }
      }
    }
  }

  /// A file that lingers needs no target to come back. False where it doesn't linger.
  func takeBack(_ id: FileID, pinUntil: Timestamp?) throws(TierError) -> Bool {
    guard let index = lingering.firstIndex(where: { $0.intent.file == id }) else { return false }
    let item = lingering.remove(at: index)
    let method = end(of: item)
    try volume.committing { () throws(TierError) in
      try method.takeBack(item)
      guard var row = try volume.catalog.file(id) else { return }
      row.lastUsed = volume.clock.now
      row.pinnedUntil = pinUntil ?? row.pinnedUntil
      if let path = try volume.path(of: row) { volume.judge(&row, at: path) }
      try volume.catalog.apply([.put(row)])
    }
    return true
  }
}

// MARK: Small parts

extension Volume {
  func openForRelease(_ path: RelativePath, _ access: OpenAccess) throws(TierError) -> (any OpenFile)? {
    do {
      return try files.open(path, access, at: "release.open")
    } catch {
      if error.isMissing || error.isLink || error.isOtherKind || error.isRunning { return nil }
      throw TierError(error, while: "opening it for release")
    }
  }

  /// Leases are this kernel's; on GlusterFS the bricks know who else has it open.
  func isHeldOpen(_ path: RelativePath, at site: CallSite) throws(TierError) -> Bool {
    try wrapping("while making sure that nobody has it open") { () throws(SyscallError) in
      try files.isHeldOpen(path, at: site)
    }
  }
}

extension Volume {
  /// Nobody else has it open, and who wants to must wait as long as the lease is held. The guard has it open for a
  /// moment more than our own open took.
  func isAlone(_ file: any OpenFile, at site: CallSite) throws(TierError) -> Bool {
    for _ in 0..<(stubMode.guardian == nil ? 0 : 10) {
      if try file.isGranted(.againstAll, at: site) { return true }
      usleep(1000)
    }
    return try file.isGranted(.againstAll, at: site)
  }
}

extension OpenFile {
  /// False where somebody has the file open.
  func isGranted(_ lease: Lease, at site: CallSite) throws(TierError) -> Bool {
    do {
      try takeLease(lease, at: site)
      return true
    } catch {
      if error.isBusy { return false }
      throw TierError(error, while: "making sure that nobody has it open")
    }
  }
}
