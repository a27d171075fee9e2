import TierCore

/// What a restore or release would do.
package struct OrderPlan: Sendable {
  package struct Part: Hashable, Sendable {
    package var files = 0
    package var bytes: Int64 = 0
  }
  /// By target.
  package var parts: [String: Part] = [:]
  package var skippedFiles = 0
  /// The first ones: absolute path and reason.
  package var skipped: [(path: String, reason: String)] = []

  mutating func skip(_ path: String, _ reason: String) {
    skippedFiles += 1
    if skipped.count < 20 { skipped.append((path, reason)) }
  }
}

extension Engine {
  package func planRelease(_ selection: FileSelection) throws(TierError) -> OrderPlan {
    var plan = OrderPlan()
    try each(selection) { (file, path, volume) throws(TierError) in
      switch try verdict(on: file, at: path, in: volume) {
      case .done: break
      case .kept: plan.skip(volume.absolute(path), "its policy keeps it in the cache")
      case .refused(let reason): plan.skip(volume.absolute(path), reason)
      case .free:
        guard let copy = file.copy else { break }
        plan.parts[copy.target, default: .init()].files += 1
        plan.parts[copy.target, default: .init()].bytes += file.allocated
      }
    }
    return plan
  }

  package func release(_ selection: FileSelection) throws(TierError) -> RequestHandle {
    let handle = context.requests.open("release")
    var byVolume: [VolumeID: [(CatalogFile, String)]] = [:]
    var kept = 0
    try each(selection) { (file, path, volume) throws(TierError) in
      switch try verdict(on: file, at: path, in: volume) {
      case .done: break
      case .kept: kept += 1
      case .refused(let reason): handle.fail("\(volume.absolute(path)): \(reason)")
      case .free: byVolume[volume.id, default: []].append((file, volume.absolute(path)))
      }
    }
    if kept > 0 {
      handle.note("\(HumanText.files(kept)) kept in the cache by policy (pin, release.keepBelow, or empty)")
    }
    let all = byVolume.values.flatMap { $0 }
    handle.expect(files: all.count, bytes: all.reduce(0) { $0 + $1.0.allocated })
    let ended = Countdown(byVolume.count) { handle.finish() }
    for (id, files) in byVolume {
      guard let service = context.volumeServices.first(where: { $0.volume?.id == id }) else {
        ended.partEnded()
        continue
      }
      release(files[...], by: service, handle, ended)
    }
    return handle
  }

  /// Portion by portion: in between, the volume's thread hears what apps do, and frees what lingered.
  private func release(
    _ files: ArraySlice<(CatalogFile, String)>, by service: VolumeService, _ handle: RequestHandle,
    _ ended: Countdown
  ) {
    let portion = files.prefix(Releaser.turnFiles)
    let rest = files.dropFirst(Releaser.turnFiles)
    let names = Dictionary(portion.compactMap { file, name in file.id.map { ($0, name) } }) { first, _ in
      first
    }
    service.enqueue { loop in
      switch loop {
      case .success(let loop):
        for outcome in loop.release(portion.map(\.0)) {
          switch outcome {
          case .released(_, let bytes): handle.advance(files: 1, bytes: bytes)
          case .held(let file, let reason): handle.fail("\(names[file] ?? "?"): \(reason)")
          }
        }
        if !rest.isEmpty { return self.release(rest, by: service, handle, ended) }
      case .failure(let error):
        handle.fail("\(error)")
      }
      ended.partEnded()
    }
  }

  private enum Verdict {
    case free
    /// There is nothing to release any more.
    case done
    /// Its policy promises that it stays.
    case kept
    case refused(String)
  }

  private func verdict(on file: CatalogFile, at path: RelativePath, in volume: Volume) throws(TierError)
    -> Verdict
  {
    switch file.state {
    case .released: return .done
    case .resident:
      let isThere = try wrapping("before its release") { () throws(SyscallError) in
        try volume.files.status(of: path, at: "release.exists") != nil
      }
      // Deleted just now, and not yet forgotten.
      return isThere ? .refused("it isn't archived yet: tierctl flush PATH archives it now") : .done
    case .archived: break
    }
    if case .governed(let policy) = volume.policies.current.decide(
      volume: volume.name, path: path, size: file.version.size), !policy.mayRelease(size: file.version.size)
    {
      return .kept
    }
    if let copy = file.copy, copy.proof != .proven {
      let wait = context.remainingProofDelay(of: copy)
      let seconds = (wait + .milliseconds(999)).components.seconds
      let time = seconds > 0 ? " in \(HumanText.duration(seconds: seconds)) or later" : ""
      return .refused(
        "its copy must first be found unharmed by a later window: tierctl verify PATH\(time) opens one")
    }
    if let until = file.pinnedUntil, until > context.clock.now {
      return .refused("it is pinned: tierctl unpin PATH")
    }
    return .free
  }

  /// `until` nil takes pins away. Gives the number of files.
  package func pin(_ selection: FileSelection, until: Timestamp?) throws(TierError) -> Int {
    var count = 0
    try each(selection) { (file, _, volume) throws(TierError) in
      try volume.pin(file, until: until)
      count += 1
    }
    return count
  }
}

extension Volume {
  /// Nil takes the pin away.
  func pin(_ file: CatalogFile, until: Timestamp?) throws(TierError) {
    try committing { () throws(TierError) in
      guard let id = file.id, var row = try catalog.file(id) else { return }
      row.pinnedUntil = until
      try catalog.apply([.put(row)])
    }
  }
}
