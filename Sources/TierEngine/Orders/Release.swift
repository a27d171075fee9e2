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
      if let reason = releaseRefusal(file) {
        if file.state != .released { plan.skip(volume.absolute(path), reason) }
      } else if let copy = file.copy {
        plan.parts[copy.target, default: .init()].files += 1
        plan.parts[copy.target, default: .init()].bytes += file.allocated
      }
    }
    return plan
  }

  private func releaseRefusal(_ file: CatalogFile) -> String? {
    switch file.state {
    case .released: return "it is released already"
    case .resident: return "it isn't archived yet: tierctl flush PATH archives it now"
    case .archived: break
    }
    if let copy = file.copy, copy.proof != .proven {
      let wait = context.remainingProofDelay(of: copy)
      let seconds = (wait + .milliseconds(999)).components.seconds
      let time = seconds > 0 ? " in \(HumanText.duration(seconds: seconds)) or later" : ""
      return "its copy must first be found unharmed by a later window: tierctl verify PATH\(time) opens one"
    }
    if let until = file.pinnedUntil, until > context.clock.now { return "it is pinned: tierctl unpin PATH" }
    return nil
  }

  package func release(_ selection: FileSelection) throws(TierError) -> RequestHandle {
    let handle = context.requests.open("release")
    var byVolume: [VolumeID: [(CatalogFile, String)]] = [:]
    try each(selection) { (file, path, volume) throws(TierError) in
      guard file.state != .released else { return }
      if let reason = releaseRefusal(file) { return handle.fail("\(volume.absolute(path)): \(reason)") }
      byVolume[volume.id, default: []].append((file, volume.absolute(path)))
    }
    let all = byVolume.values.flatMap { $0 }
    handle.expect(files: all.count, bytes: all.reduce(0) { $0 + $1.0.allocated })
    let ended = Countdown(byVolume.count) { handle.finish() }
    for (id, files) in byVolume {
      guard let service = context.volumeServices.first(where: { $0.volume?.id == id }) else {
        ended.partEnded()
        continue
      }
      let names = Dictionary(files.compactMap { file, name in file.id.map { ($0, name) } }) { first, _ in
        first
      }
      service.enqueue { loop in
        switch loop {
        case .success(let loop):
          for outcome in loop.release(files.map(\.0)) {
            switch outcome {
            case .released(_, let bytes): handle.advance(files: 1, bytes: bytes)
            case .held(let file, let reason): handle.fail("\(names[file] ?? "?"): \(reason)")
            }
          }
        case .failure(let error):
          handle.fail("\(error)")
        }
        ended.partEnded()
      }
    }
    return handle
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
