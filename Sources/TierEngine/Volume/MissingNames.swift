import TierCore

/// Names that the catalog knows and the volume no longer shows. A rename shows itself as a missing name first
/// and a new one later, or the other way round, so nothing is concluded until some time has passed.
final class MissingNames {
  private var since: [RelativePath: Duration] = [:]
  private let limit: Int
  /// True once names were not taken for lack of room: the volume must be scanned again.
  private(set) var overflowed = false

  init(limit: Int = 10_000) { self.limit = limit }

  func add(_ path: RelativePath, now: Duration) {
    if since[path] != nil { return }
    if since.count < limit { since[path] = now } else { overflowed = true }
  }

  func takeDue(grace: Duration, now: Duration) -> [RelativePath] {
    let due = since.filter { now - $0.value >= grace }.map(\.key)
    for path in due { since[path] = nil }
    return due.sorted()
  }

  func takeOverflow() -> Bool {
    defer { overflowed = false }
    return overflowed
  }

  /// None can be judged now: all wait as long again.
  func postpone(now: Duration) { since = since.mapValues { _ in now } }

  func nextDue(grace: Duration) -> Duration? { since.values.min().map { $0 + grace } }
}

/// Decides that names are gone, and what follows.
struct MissingJudge {
  let volume: Volume
  let reconciler: Reconciler

  func judge(_ path: RelativePath) throws(TierError) {
    if let absence = volume.absence() { throw absence }
    let status = try wrapping("while making sure that it was deleted") { () throws(SyscallError) in
      try volume.files.status(of: path, at: "missing.status")
    }
    // Behind something that was mounted over its directory it is hidden, not deleted.
    let parent = try wrapping("while making sure that it was deleted") { () throws(SyscallError) in
      try volume.files.status(of: path.parent, at: "missing.parent")
    }
    if let parent, !volume.holds(parent) { return }
    // Looked at again: what made the name missing may have come to light only now.
    if status == nil, try volume.blindSpot() != nil { return reconciler.missing(path) }
    // Something else may stand there by now; what the catalog has under the name is gone all the same.
    if status?.kind != .directory { try forgetDirectory(at: path) }
    switch status?.kind {
    case .regular, .symlink, .directory: _ = try reconciler.name(path)
    case .fifo, .socket, .device, nil: break
    }
    if status?.kind != .regular, status?.kind != .symlink { try forgetFile(at: path) }
  }

  private func forgetFile(at path: RelativePath) throws(TierError) {
    guard let name = path.name else { return }
    try volume.committing { () throws(TierError) in
      guard let parent = try volume.catalog.directory(at: path.parent, in: volume.id),
        let row = try volume.catalog.file(named: name, in: parent)
      else { return }
      // Cut off between two steps of a swap, it is nowhere but under its hidden name.
      if volume.unfinished.first(where: { $0.file == row.id }) != nil { return }
      try volume.catalog.apply(try volume.forgetting(row))
    }
  }

  /// Files first, page by page, so that each copy is taken account of; then the rows of the directories.
  private func forgetDirectory(at path: RelativePath) throws(TierError) {
    guard let id = try volume.catalog.directory(at: path, in: volume.id), id != volume.rootDirectory else {
      return
    }
    while true {
      let done = try volume.committing { () throws(TierError) in
        let page = try volume.catalog.files(below: id, after: nil, limit: 512)
        var changes: [CatalogChange] = []
        var taken: Set<ArchiveID> = []
        for row in page {
          // Of a file and the copies of its stub only one a turn: the last one's removal is the copy's.
          if let copy = row.copy, !taken.insert(copy.archiveID).inserted { continue }
          changes += try volume.forgetting(row)
        }
        if page.isEmpty { changes.append(.forgetDirectory(id)) }
        try volume.catalog.apply(changes)
        return page.isEmpty
      }
      if done { return }
    }
  }
}
