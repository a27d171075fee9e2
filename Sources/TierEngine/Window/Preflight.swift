import TierCore

/// Before a deadline opens a window: looks, on this side only, whether any file that is overdue could go. A file
/// that an app keeps open for days, or a volume that isn't there, must not wake the NAS again and again.
struct Preflight {
  let engine: EngineContext
  let target: String

  /// Puts off what can't go, and its deadline with it, up to the first file that can.
  func putOff() throws(TierError) {
    let now = engine.clock.now
    var tried: Set<FileID> = []
    var seen: Set<String> = []
    defer { for name in seen { engine.volumeService(name)?.wake() } }
    while true {
      let page = try engine.catalog.archiveCandidates(for: target, now: now, limit: 256).filter { row in
        row.archiveBy.map { $0 <= now } ?? false && row.id.map { tried.insert($0).inserted } ?? false
      }
      if page.isEmpty { return }
      var strays: [CatalogChange] = []
      for row in page {
        guard let volume = engine.volume(row.volume) else {
          strays.append(.put(withoutVolume(row, now)))
          continue
        }
        guard let path = try volume.path(of: row) else { continue }
        guard let obstacle = volume.obstacle(to: row, at: path) else {
          return try engine.catalog.apply(strays)
        }
        volume.note(row.id, reason: obstacle, retryAfter: engine.tuning.busyRetry)
        seen.insert(volume.name)
      }
      try engine.catalog.apply(strays)
    }
  }

  /// Nobody else writes rows of a volume that isn't served.
  private func withoutVolume(_ row: CatalogFile, _ now: Timestamp) -> CatalogFile {
    var row = row
    row.heldReason = "its volume isn't there"
    row.retryAt = now + .seconds(600)
    return row
  }
}

extension Volume {
  /// What keeps a file from being archived just now, nil where nothing does.
  fileprivate func obstacle(to row: CatalogFile, at path: RelativePath) -> String? {
    noteOwnUse(of: path)
    do throws(SyscallError) {
      let file = try files.open(path, .read, at: "preflight.open")
      defer { file.close() }
      guard try file.status(at: "preflight.status").version == row.version else {
        requestExamination(of: path)
        return "it changed just now"
      }
      return try file.isOpenForWriting(at: "preflight.lease") ? "a process has it open for writing" : nil
    } catch {
      if error.isMissing || error.isLink { requestExamination(of: path) }
      return "\(TierError(error, while: "reading it"))"
    }
  }
}
