import TierCore

/// `why`: a file's state, the policy and rule that decide, what happens next and when, what blocks it; in
/// sentences.
package struct Explanation: Sendable {
  package var file: CatalogFile?
  package var status: FileStatus?
  package var path: String
  package var sentences: [String]
}

extension Engine {
  package func explain(_ absolute: [UInt8]) throws(TierError) -> Explanation {
    let (service, path) = try locate(absolute)
    let volume = try present(service)
    let status = try wrapping("while looking at it") { () throws(SyscallError) in
      try volume.files.status(of: path, at: "why.status")
    }
    let shown = volume.absolute(path)
    let row = try row(at: path, in: volume)
    guard let status else {
      return Explanation(file: row, status: nil, path: shown, sentences: try absence(of: path, in: volume))
    }
    var words = Sentences(now: context.clock.now)
    switch status.kind {
    case .directory:
      words.say("It is a directory; tierd moves files only and keeps directories, empty ones too.")
      try words.say(totals(of: path, in: volume))
    case .fifo, .socket, .device:
      words.say(
        "It is a \(status.kind.words), which stays in the cache for ever: only regular files are archived.")
    case .symlink where row?.state != .released:
      words.say("It is a symbolic link of its own, not a stub of tierd's; links stay in the cache.")
    case .regular, .symlink:
      describe(row, status, at: path, in: volume, &words)
    }
    return Explanation(file: row, status: status, path: shown, sentences: words.lines)
  }

  private func row(at path: RelativePath, in volume: Volume) throws(TierError) -> CatalogFile? {
    guard let name = path.name, let parent = try context.catalog.directory(at: path.parent, in: volume.id)
    else {
      return nil
    }
    return try context.catalog.file(named: name, in: parent)
  }

  private func absence(of path: RelativePath, in volume: Volume) throws(TierError) -> [String] {
    let removals = try context.catalog.removals(at: path, in: volume.id, after: nil, limit: 1)
    guard let removal = removals.first else {
      return ["There is no such file, and none was deleted here that tierd had archived."]
    }
    var words = Sentences(now: context.clock.now)
    words.say("It was deleted \(words.ago(removal.removedAt)).")
    switch removal.stage {
    case .pending:
      words.say(
        "Its copy on \(removal.copy.target) is still in place and goes to the trash there in the next window."
      )
    case .trashed, .condemned:
      words.say(
        "Its copy is in the trash of \(removal.copy.target) and stays there for \(words.until(removal.expires))."
      )
    }
    words.say("Bring it back with: tierctl undelete PATH")
    return words.lines
  }

  private func totals(of path: RelativePath, in volume: Volume) throws(TierError) -> String {
    guard let id = try context.catalog.directory(at: path, in: volume.id) else {
      return "It was not scanned yet."
    }
    let totals = try context.catalog.totals(below: id)
    return
      "Below it \(totals.resident.files) files are in the cache only, \(totals.archived.files) are archived "
      + "and still here, \(totals.released.files) are released."
  }

  // MARK: Files

  private func describe(
    _ row: CatalogFile?, _ status: FileStatus, at path: RelativePath, in volume: Volume,
    _ words: inout Sentences
  ) {
    guard let row else {
      words.say("tierd has not looked at it yet: a new file is noticed a few seconds after its last change.")
      return decision(for: status.size, at: path, in: volume, &words)
    }
    state(row, status, &words)
    decision(
      for: row.copy.map { row.state == .released ? $0.size : status.size } ?? status.size, at: path,
      in: volume, &words)
    if row.links > 1 || status.links > 1 {
      words.say(
        "It has \(status.links) hard links; tierd would break them apart, so it stays as it is until one is left."
      )
    }
    next(row, at: path, in: volume, &words)
    if row.isLost {
      words.say("Its copy on the target was found missing or wrong.")
    }
    if let item = volume.unfinished.first(where: { $0.file == row.id }) {
      let sentence = item.words(retried: context.tuning.busyRetry)
      words.say(sentence.prefix(1).uppercased() + sentence.dropFirst() + ".")
    }
    if let reason = row.heldReason {
      let again = row.retryAt.map { $0 > words.now ? ", tried again \(words.inTime($0))" : "" } ?? ""
      words.say("The last attempt came to nothing: \(reason)\(again).")
    }
  }

  private func state(_ row: CatalogFile, _ status: FileStatus, _ words: inout Sentences) {
    switch (row.state, row.copy) {
    case (.resident, nil):
      words.say("It is in the cache only.")
    case (.resident, let copy?):
      words.say(
        "It is in the cache; \(copy.target) holds an older or unchecked version of \(words.ago(copy.archivedAt))."
      )
    case (.archived, let copy?):
      words.say(
        "It is in the cache and, archived \(words.ago(copy.archivedAt)), also on \(copy.target) as \(copy.path)."
      )
      if copy.proof != .proven {
        words.say("A later window must find that copy unharmed before the file may be released.")
      }
    case (.released, let copy?):
      words.say(
        "It is released: \(HumanText.bytes(copy.size)) are on \(copy.target) as \(copy.path), here stands a stub."
      )
      if status.kind == .regular {
        words.say("Whoever opens it waits until its content is back; tierctl restore PATH brings it now.")
      } else {
        words.say("Bring it back with: tierctl restore PATH")
      }
    case (_, nil):
      words.say("Its state is unclear; run: tierctl fsck")
    }
    if row.state == .archived, status.version != row.version {
      words.say("It changed since; tierd looks at it in a few seconds.")
    }
  }

  private func decision(
    for size: Int64, at path: RelativePath, in volume: Volume, _ words: inout Sentences
  ) {
    let explanation = context.policies.current.explain(volume: volume.name, path: path, size: size)
    for line in explanation.lines { words.say(line) }
  }

  private func next(_ row: CatalogFile, at path: RelativePath, in volume: Volume, _ words: inout Sentences) {
    guard row.policy != nil, row.links == 1 else { return }
    let pin = row.pinnedUntil.flatMap { $0 > words.now ? $0 : nil }
    if let pin, row.state != .released {
      words.say(
        pin == .distantFuture
          ? "It is pinned." : "It stays for \(words.until(pin)): it was restored (restore.stay) or pinned.")
    }
    switch row.state {
    case .resident:
      guard let due = row.archiveDue, let by = row.archiveBy else { return }
      if due > words.now {
        words.say("It may be archived \(words.inTime(due)) and will be \(words.inTime(by)) at the latest.")
      } else {
        words.say("It waits for the next window, which opens \(words.inTime(by)) at the latest.")
      }
    case .archived:
      if pin != nil { break }
      if volume.configuration.releases == .manual {
        words.say("This volume releases only by hand: tierctl release PATH")
      } else if row.releaseDue == .distantFuture {
        words.say("It is released only when the volume fills up, or by hand: tierctl release PATH")
      } else if let due = row.releaseDue {
        words.say(
          "Unless it is used it may be released \(words.inTime(due)), earlier if the volume fills up.")
      } else {
        words.say("Its policy keeps it in the cache.")
      }
    case .released:
      break
    }
  }
}

/// Collects sentences and tells times the way people do.
struct Sentences {
  let now: Timestamp
  private(set) var lines: [String] = []

  init(now: Timestamp) { self.now = now }

  mutating func say(_ line: String) { lines.append(line) }

  private func words(_ delay: Duration) -> String { HumanText.duration(seconds: delay.components.seconds) }

  func ago(_ time: Timestamp) -> String { time >= now ? "just now" : words(now - time) + " ago" }
  func inTime(_ time: Timestamp) -> String { time <= now ? "now" : "in " + words(time - now) }
  func until(_ time: Timestamp) -> String { time <= now ? "a moment" : "another " + words(time - now) }
}

extension FileKind {
  fileprivate var words: String {
    switch self {
    case .regular: "regular file"
    case .directory: "directory"
    case .symlink: "symbolic link"
    case .fifo: "named pipe"
    case .socket: "socket"
    case .device: "device"
    }
  }
}
