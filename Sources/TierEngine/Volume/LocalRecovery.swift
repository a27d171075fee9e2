import Logging
import TierCore
import TierLinux

/// Finishes or undoes, at the start of a volume, the releases and restores that a crash cut off, and later those
/// that failed half way. Needs no target. Archives and renames are taken up again in the next window
/// (`TargetRecovery`).
struct LocalRecovery {
  let volume: Volume
  let log: Logger

  func run() throws(TierError) {
    let intents = try volume.catalog.openIntents(limit: 100_000).filter { $0.volume == volume.id }
    for intent in intents { _ = try finish(intent) }
    do throws(TierError) {
      try reportLeftovers()
    } catch {
      guard error.isOfOnePlace, volume.isStillThere() else { throw error }
      log.warning("tierd's folder can't be looked through", metadata: ["error": "\(error)"])
    }
  }

  /// What could not be finished before.
  func retry() throws(TierError) {
    for item in volume.unfinished.all {
      try volume.committing { () throws(TierError) in
        guard try finish(item.intent) == nil else { return }
        log.info("finished after all", metadata: ["path": "\(volume.absolute(item.intent.path))"])
        volume.requestExamination(of: try volume.place(of: item.intent))
      }
    }
  }

  /// For a caller that is committing, as the next one.
  func finish(_ intent: Intent) throws(TierError) -> TierError? {
    try attempting(intent) { () throws(TierError) in
      if try settle(intent) { return }
      switch intent.kind {
      case .release: try release(intent)
      case .restore: try undo(intent)
      case .rename: try clearRenewed(of: intent.archiveID, at: intent.path)
      case .archive: break
      }
    }
  }

  /// What fails for this file alone leaves it waiting for the next attempt; the error is given back then.
  func attempting(_ intent: Intent, _ body: () throws(TierError) -> Void) throws(TierError) -> TierError? {
    do throws(TierError) {
      try body()
      volume.unfinished.remove(intent)
      return nil
    } catch {
      guard error.isOfOnePlace, volume.isStillThere() else { throw error }
      if volume.unfinished.add(intent, error) {
        log.error(
          "what was cut off can't be finished; its file waits, the others go on",
          metadata: [
            "change": "\(intent.kind)", "path": "\(volume.absolute(intent.path))",
            "kept_in": "\(volume.absolute(volume.hiddenPath(intent.archiveID)))", "error": "\(error)",
          ])
      }
      return error
    }
  }

  /// False where no placeholder stands at the intent's place.
  private func settle(_ intent: Intent) throws(TierError) -> Bool {
    guard intent.kind == .release || intent.kind == .restore, let id = intent.file,
      var row = try volume.catalog.file(id), let copy = row.copy, let place = try volume.path(of: row),
      try volume.isPlaceholder(place, of: intent.archiveID, at: "recovery.isPlaceholder")
    else { return false }
    let outcome = try PlaceholderSettling(volume: volume, path: place, copy: copy).finish(intent)
    switch outcome {
    case .released(let status):
      row.state = .released
      row.observe(status)
    case .archived(let status):
      let isSame = intent.version.map(status.version.hasSameContent) ?? false
      row.state = status.links == 1 && isSame ? .archived : .resident
      row.observe(status)
    case .unknown(let reason): throw TierError(.fileChanged, reason, path: volume.absolute(place))
    case .busy:
      throw TierError(
        .fileBusy, "it is in use just now", path: volume.absolute(place), disposition: .retry)
    }
    volume.judge(&row, at: place)
    if let id = intent.id { try volume.catalog.finish([id], applying: [.put(row)]) }
    return true
  }

  private func release(_ intent: Intent) throws(TierError) {
    let hidden = volume.hiddenPath(intent.archiveID)
    try settleSwap(of: hidden, with: try volume.place(of: intent))
    guard let old = try status(of: hidden), old.kind == .regular else {
      return try PutBack(volume: volume, log: log).run(intent)
    }
    let unchanged = intent.version.map { old.version.hasSameContent(as: $0) } ?? false
    guard unchanged, try !volume.isBeingWritten(hidden) else {
      return try PutBack(volume: volume, log: log).run(intent)
    }
    // Its copy is proven, or there would be no intent: whether the stub still stands, moved on or was deleted,
    // nothing needs the old inode any more.
    var changes: [CatalogChange] = []
    if try volume.isStub(intent.path, of: intent.archiveID, at: "recovery.isStub"), let id = intent.file,
      var row = try volume.catalog.file(id), let stub = try status(of: intent.path)
    {
      row.state = .released
      row.observeStub(stub)
      volume.judge(&row, at: intent.path)
      changes = [.put(row)]
    }
    try unlink(hidden)
    if let id = intent.id { try volume.catalog.finish([id], applying: changes) }
  }

  private func undo(_ intent: Intent) throws(TierError) {
    let place = try volume.place(of: intent)
    try clear(intent, at: place)
    var changes: [CatalogChange] = []
    if let id = intent.file, var row = try volume.catalog.file(id), row.state == .released,
      let copy = row.copy, let status = try status(of: place), status.kind == .regular,
      status.size == copy.size, status.modified == copy.modified,
      try volume.identity(of: place, at: "recovery.identity")?.archiveID == copy.archiveID
    {
      row.state = .archived
      row.observe(status)
      row.lastUsed = volume.clock.now
      volume.judge(&row, at: place)
      changes = [.put(row)]
    }
    if let id = intent.id { try volume.catalog.finish([id], applying: changes) }
  }

  /// Clears the hidden name of a restore. A stub or our own file on its way in goes; an app's file that was
  /// swapped out at the last moment gets its name back.
  private func clear(_ intent: Intent, at place: RelativePath) throws(TierError) {
    let hidden = volume.hiddenPath(intent.archiveID)
    try settleSwap(of: hidden, with: place)
    guard let status = try status(of: hidden) else { return }
    let isPutAway = try volume.isStub(hidden, of: intent.archiveID, at: "recovery.isStub")
    if !isPutAway, try isOurs(place, intent) { return try swapBack(hidden, place) }
    // Before its identity is written a file on its way in is empty; while the stub stands, nothing was swapped.
    let isStub = try volume.isStub(place, of: intent.archiveID, at: "recovery.isStub")
    let isNamed = try isOurs(hidden, intent)
    let isOnItsWayIn = status.kind == .regular && (isNamed || isStub || status.size == 0)
    guard isPutAway || isOnItsWayIn else {
      return try PutBack(volume: volume, log: log).keep(hidden, beside: place, intent.archiveID)
    }
    try unlink(hidden)
  }

  /// Clears the hidden name under which a renamed file's stub was made or put away.
  func clearRenewed(of id: ArchiveID, at path: RelativePath) throws(TierError) {
    let hidden = volume.renewalPath(id)
    try settleSwap(of: hidden, with: path)
    guard try status(of: hidden) != nil else { return }
    if try volume.isStub(hidden, of: id, at: "recovery.isStub") { return try unlink(hidden) }
    if try volume.isStub(path, of: id, at: "recovery.isStub") {
      try swapBack(hidden, path)
    } else {
      try PutBack(volume: volume, log: log).keep(hidden, beside: path, id)
    }
  }

  private func settleSwap(of hidden: RelativePath, with path: RelativePath) throws(TierError) {
    try wrapping("while recovering") { () throws(SyscallError) in
      try volume.files.settleSwap(of: hidden, with: path)
    }
  }

  private func swapBack(_ hidden: RelativePath, _ path: RelativePath) throws(TierError) {
    try wrapping("while recovering") { () throws(SyscallError) in
      try volume.files.swap(hidden, with: path, at: "recovery.exchangeBack")
    }
    try unlink(hidden)
  }

  private func isOurs(_ path: RelativePath, _ intent: Intent) throws(TierError) -> Bool {
    guard try status(of: path)?.kind == .regular else { return false }
    return try volume.identity(of: path, at: "recovery.identity")?.archiveID == intent.archiveID
  }

  /// Only a lost catalog leaves these: perhaps the last copy of something, so they stay.
  private func reportLeftovers() throws(TierError) {
    let left = try wrapping("while looking for leftovers") { () throws(SyscallError) in
      try volume.files.list(Volume.hiddenFolder, at: "recovery.leftovers")
    }
    let intents = Set(
      try volume.catalog.openIntents(limit: 100_000).map(\.archiveID.fileName))
    for entry in left where !intents.contains(entry.name) {
      if entry.status.kind == .symlink {
        // A stub that never got its name: no content.
        try unlink(Volume.hiddenFolder.appending(entry.name))
        continue
      }
      if try isEmptyPlaceholder(Volume.hiddenFolder.appending(entry.name), entry.status) {
        try unlink(Volume.hiddenFolder.appending(entry.name))
        continue
      }
      log.warning(
        "unknown file in tierd's folder; it stays. Compare it with the original and delete it by hand",
        metadata: ["path": "\(volume.absolute(Volume.hiddenFolder.appending(entry.name)))"])
    }
  }

  /// One on its way in or out: it never held anything.
  private func isEmptyPlaceholder(_ path: RelativePath, _ status: FileStatus) throws(TierError) -> Bool {
    guard volume.isPrivileged, status.kind == .regular,
      let identity = try volume.identity(of: path, at: "recovery.leftoverIdentity"),
      identity.state == .released,
      let file = try volume.openForRelease(path, .read)
    else { return false }
    defer { file.close() }
    return try wrapping("while looking for leftovers") { () throws(SyscallError) in
      try file.dataRange(from: 0, at: "recovery.leftoverData") == nil
    }
  }

  private func status(of path: RelativePath) throws(TierError) -> FileStatus? {
    try wrapping("while recovering") { () throws(SyscallError) in
      try volume.files.status(of: path, at: "recovery.status")
    }
  }

  private func unlink(_ path: RelativePath) throws(TierError) {
    try wrapping("while recovering") { () throws(SyscallError) in
      try volume.files.unlink(path, at: "recovery.unlink")
    }
  }
}
