import Logging
import TierCore
import TierLinux

package enum ReleaseOutcome: Hashable, Sendable {
  case released(FileID, bytes: Int64)
  /// Stays in the cache, and why.
  case held(FileID, reason: String)
}

/// Frees files in the cache. A file leaves only when its copy is proven, nobody has it open, and it is to the
/// nanosecond the one that was copied.
///
/// The stub and the file swap names atomically; then the old inode lingers under its hidden name, so that a
/// writer who had looked the name up just before loses nothing: freeing comes last.
final class Releaser {
  private struct Lingering {
    var intent: Intent
    /// The old inode right after the swap.
    var old: FileVersion
    var until: Duration
  }

  private let volume: Volume
  private let stubs: any StubKind
  private let log: Logger
  private var lingering: [Lingering] = []
  private var isAboveHigh = false

  init(volume: Volume, stubs: any StubKind, log: Logger) {
    self.volume = volume
    self.stubs = stubs
    self.log = log
  }

  /// When the next lingering file may go, on the monotonic clock.
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
    let now = volume.clock.now
    let due = try volume.catalog.releaseCandidates(in: volume.id, now: now, limit: Self.turnFiles)
    _ = release(due)
    guard isTooFull(space) else { return due.count == Self.turnFiles ? .more : .done }
    let coldest = try volume.catalog.coldestFiles(in: volume.id, now: now, limit: Self.turnFiles)
    _ = release(coldest)
    return coldest.isEmpty ? .stuck : .more
  }

  static let turnFiles = 64

  /// From the high watermark on until the low one. What lingers counts as free already.
  private func isTooFull(_ space: FileSystemSpace) -> Bool {
    guard space.total > 0 else { return false }
    let going = lingering.reduce(Int64(0)) { $0 + ($1.intent.version?.size ?? 0) }
    let used = 1 - Double(space.available + going) / Double(space.total)
    if used >= volume.configuration.highWatermark { isAboveHigh = true }
    if used <= volume.configuration.lowWatermark { isAboveHigh = false }
    return isAboveHigh
  }

  func release(_ rows: [CatalogFile]) -> [ReleaseOutcome] {
    rows.compactMap { row in
      guard let id = row.id else { return nil }
      do throws(TierError) {
        return try volume.committing { () throws(TierError) in try swap(id) }
      } catch {
        log.warning("release failed", metadata: ["volume": "\(volume.name)", "error": "\(error)"])
        volume.note(id, reason: "\(error)", retryAfter: volume.tuning.busyRetry)
        return .held(id, reason: "\(error)")
      }
    }
  }

  // MARK: Swap

  private func swap(_ id: FileID) throws(TierError) -> ReleaseOutcome {
    guard var row = try volume.catalog.file(id), let path = try volume.path(of: row) else {
      return .held(id, reason: "it is gone")
    }
    if let reason = refusal(row) { return .held(id, reason: reason) }
    guard let copy = row.copy else { return .held(id, reason: "it has no copy") }
    volume.noteOwnUse(of: path)
    if try isHeldOpen(path, "release.isHeldOpen") { return hold(id, path, "a process has it open") }
    guard let file = try openQuietly(path) else { return hold(id, path, "it changed") }
    defer { file.close() }
    guard try lease(file, .againstAll, "release.lease") else {
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

    let stub: FileStatus
    let old: FileStatus?
    do throws(TierError) {
      let hidden = volume.hiddenPath(copy.archiveID)
      stub = try stubs.make(copy, of: row, at: hidden, in: volume)
      old = try exchange(path, hidden, holding: file)
    } catch {
      // Most likely an app was faster and the name is gone. Our own lease must not look like somebody's use.
      try? file.dropLease(at: "release.dropLease")
      try putBack(intent)
      return hold(id, path, "\(error)")
    }
    // On GlusterFS what another client wrote a moment ago may have come to light only by the swap.
    guard let old, old.links == 1, old.version.hasSameContent(as: status.version) else {
      try putBack(intent)
      return hold(id, path, "it was opened or replaced at the last moment")
    }
    row.state = .released
    row.observeStub(stub)
    row.heldReason = nil
    row.retryAt = nil
    volume.judge(&row, at: path)
    try volume.catalog.apply([.put(row)])
    lingering.append(
      Lingering(
        intent: intent, old: old.version,
        until: volume.clock.monotonic + volume.tuning.linger))
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

  /// Swaps the names, durably. Gives what stands at the hidden one now; nil where somebody wants to open the file.
  private func exchange(_ path: RelativePath, _ hidden: RelativePath, holding file: any OpenFile)
    throws(TierError) -> FileStatus?
  {
    try wrapping("while putting its stub in place") { () throws(SyscallError) in
      try volume.files.swap(hidden, with: path, at: "release.exchange")
      try volume.files.syncDirectory(path.parent, at: "release.syncParent")
      let old = try volume.files.status(of: hidden, at: "release.statusOld")
      return try file.leaseIsUndisturbed(at: "release.undisturbed") ? old : nil
    }
  }

  private func refusal(_ row: CatalogFile) -> String? {
    guard row.state == .archived, let copy = row.copy else { return "it isn't archived" }
    guard copy.proof == .proven else { return "its copy waits for a later window's proof" }
    if let until = row.pinnedUntil, until > volume.clock.now { return "it is pinned" }
    if row.isLost { return "its copy on the target is missing or wrong" }
    return nil
  }

  // MARK: Linger and free

  /// Drops the old inodes whose time is over. `waiting`: all of them, now, as on shutdown; what can't go yet is
  /// left to recovery.
  func finishLingering(waiting: Bool) throws(TierError) {
    let now = volume.clock.monotonic
    let due = lingering.filter { waiting || $0.until <= now }
    lingering.removeAll { waiting || $0.until <= now }
    if waiting { return }
    for item in due {
      try volume.committing { () throws(TierError) in
        _ = try recovery.attempting(item.intent) { () throws(TierError) in try drop(item) }
      }
    }
  }

  private var recovery: LocalRecovery { LocalRecovery(volume: volume, log: log) }

  @discardableResult
  private func putBack(_ intent: Intent) throws(TierError) -> TierError? {
    try recovery.attempting(intent) { () throws(TierError) in
      try PutBack(volume: volume, log: log).run(intent)
    }
  }

  private func drop(_ item: Lingering) throws(TierError) {
    let hidden = volume.hiddenPath(item.intent.archiveID)
    guard try isUntouched(hidden, item.old) else {
      try PutBack(volume: volume, log: log).run(item.intent)
      return
    }
    try wrapping("while freeing it") { () throws(SyscallError) in
      try volume.files.unlink(hidden, at: "release.free")
    }
    if let id = item.intent.id { try volume.catalog.finish([id], applying: []) }
  }

  /// Nobody wrote to the old inode, and nobody is about to.
  private func isUntouched(_ hidden: RelativePath, _ version: FileVersion) throws(TierError) -> Bool {
    if try isHeldOpen(hidden, "release.lingerIsHeldOpen") { return false }
    guard let file = try openQuietly(hidden) else { return false }
    defer { file.close() }
    guard try lease(file, .againstWriters, "release.lingerLease") else { return false }
    return try wrapping("before it is freed") { () throws(SyscallError) in
      try file.status(at: "release.lingerStatus").version == version
    }
  }

  /// A file that lingers needs no target to come back. False where it doesn't linger.
  func takeBack(_ id: FileID, pinUntil: Timestamp?) throws(TierError) -> Bool {
    guard let index = lingering.firstIndex(where: { $0.intent.file == id }) else { return false }
    let item = lingering.remove(at: index)
    try volume.committing { () throws(TierError) in
      let file = try openQuietly(volume.hiddenPath(item.intent.archiveID))
      defer { file?.close() }
      let isQuiet = try file.map { (file) throws(TierError) in
        try lease(file, .againstWriters, "release.takeBackLease")
      }
      if let error = try putBack(item.intent) { throw error }
      guard var row = try volume.catalog.file(id) else { return }
      if isQuiet == true, let file { try recognise(file, item.old, &row) }
      row.lastUsed = volume.clock.now
      row.pinnedUntil = pinUntil ?? row.pinnedUntil
      try volume.catalog.apply([.put(row)])
    }
    return true
  }

  /// Nobody wrote to what was put back: it is still what was archived.
  private func recognise(_ file: any OpenFile, _ old: FileVersion, _ row: inout CatalogFile)
    throws(TierError)
  {
    let (status, isUndisturbed) = try wrapping("after it was put back") { () throws(SyscallError) in
      (try file.status(at: "release.takenBack"), try file.leaseIsUndisturbed(at: "release.takenBackLease"))
    }
    guard isUndisturbed, status.links == 1, row.version.inode == status.inode,
      status.version.hasSameContent(as: old)
    else { return }
    row.state = .archived
    row.observe(status)
    if let path = try volume.path(of: row) { volume.judge(&row, at: path) }
  }

  // MARK: Small parts

  private func openQuietly(_ path: RelativePath) throws(TierError) -> (any OpenFile)? {
    do {
      return try volume.files.open(path, .read, at: "release.open")
    } catch {
      if error.isMissing || error.isLink || error.isOtherKind { return nil }
      throw TierError(error, while: "opening it for release")
    }
  }

  /// Leases are this kernel's; on GlusterFS the bricks know who else has it open.
  private func isHeldOpen(_ path: RelativePath, _ site: CallSite) throws(TierError) -> Bool {
    try wrapping("while making sure that nobody has it open") { () throws(SyscallError) in
      try volume.files.isHeldOpen(path, at: site)
    }
  }

  private func lease(_ file: any OpenFile, _ lease: Lease, _ site: CallSite) throws(TierError) -> Bool {
    do {
      try file.takeLease(lease, at: site)
      return true
    } catch {
      if error.isBusy { return false }
      throw TierError(error, while: "making sure that nobody has it open")
    }
  }

  private func hold(
    _ id: FileID, _ path: RelativePath, _ reason: String, retryAfter: Duration? = nil
  ) -> ReleaseOutcome {
    volume.noteWhileCommitting(id, reason: reason, retryAfter: retryAfter ?? volume.tuning.busyRetry)
    volume.requestExamination(of: path)
    return .held(id, reason: reason)
  }
}
