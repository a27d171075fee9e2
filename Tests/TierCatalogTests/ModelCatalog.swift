import TierCore

@testable import TierCatalog

/// What the port says, by the simplest code that can say it: everything is looked for in everything.
struct ModelCatalog {
  struct Refused: Error {}

  let root: DirectoryID
  var directories: [DirectoryID: CatalogDirectory] = [:]
  var files: [FileID: CatalogFile] = [:]
  var removals: [Removal] = []
  var moves: [ArchiveID: TargetMove] = [:]

  init(root: DirectoryID) {
    self.root = root
    directories[root] = CatalogDirectory(id: root, parent: root, name: FileName(trusted: []), inode: 0)
  }

  /// `makeID` gives new files the ids that the real catalog gave them.
  mutating func apply(_ changes: [CatalogChange], makeID: (CatalogFile) -> FileID) throws {
    var next = self
    var displacedFiles: Set<FileID> = []
    var displacedDirectories: Set<DirectoryID> = []
    for change in changes {
      switch change {
      case .put(var file):
        if let id = file.id, next.files[id] == nil { throw Refused() }
        guard next.directories[file.directory] != nil else { throw Refused() }
        for (id, other) in next.files
        where id != file.id && other.directory == file.directory && other.name == file.name {
          if !displacedFiles.contains(id) { displacedFiles.insert(id) }
        }
        file.id = file.id ?? makeID(file)
        displacedFiles.remove(file.id!)
        next.files[file.id!] = file
      case .forget(let id): next.files[id] = nil
      case .moveDirectory(let id, let parent, let name, let now):
        guard next.directories[id] != nil, next.directories[parent] != nil, id != root,
          !next.isWithin(parent, id)
        else { throw Refused() }
        for (other, directory) in next.directories
        where other != id && other != root && directory.parent == parent && directory.name == name {
          displacedDirectories.insert(other)
        }
        next.directories[id]!.parent = parent
        next.directories[id]!.name = name
        displacedDirectories.remove(id)
        for copy in next.files.values.filter({ next.isWithin($0.directory, id) }).compactMap(\.copy) {
          next.moves[copy.archiveID] = TargetMove(archiveID: copy.archiveID, target: copy.target, queued: now)
        }
      case .forgetDirectory(let id): try next.forgetDirectory(id)
      case .putRemoval(let removal): next.removals.append(removal)
      case .forgetRemoval: break
      case .putMove(let move): next.moves[move.archiveID] = move
      case .forgetMove(let id): next.moves[id] = nil
      }
    }
    for id in displacedFiles { next.files[id] = nil }
    for id in displacedDirectories where next.directories[id] != nil {
      let isEmpty =
        !next.files.values.contains { $0.directory == id }
        && !next.directories.values.contains { $0.parent == id }
      guard isEmpty else { throw Refused() }
      next.directories[id] = nil
    }
    self = next
  }

  private mutating func forgetDirectory(_ id: DirectoryID) throws {
    guard directories[id] != nil else { return }
    guard id != root else { throw Refused() }
    let below = files.values.filter { isWithin($0.directory, id) }
    for file in below {
      guard let copy = file.copy else { continue }
      let isKnown =
        removals.contains { $0.copy.archiveID == copy.archiveID }
        || files.values.contains { $0.id != file.id && $0.copy?.archiveID == copy.archiveID }
      guard isKnown else { throw Refused() }
    }
    for file in below { files[file.id!] = nil }
    for directory in directories.keys.filter({ isWithin($0, id) }) { directories[directory] = nil }
  }

  func isWithin(_ directory: DirectoryID, _ ancestor: DirectoryID) -> Bool {
    var next = directory
    while next != ancestor {
      guard next != root, let parent = directories[next]?.parent else { return false }
      next = parent
    }
    return true
  }

  func path(of directory: DirectoryID) -> RelativePath? {
    guard directory != root else { return .root }
    return directories[directory].flatMap { found in path(of: found.parent)?.appending(found.name) }
  }

  // MARK: Queries

  private func eligible(_ file: CatalogFile) -> Timestamp {
    max(file.archiveDue!, file.retryAt ?? .distantPast)
  }

  func queued(_ target: String) -> [CatalogFile] {
    files.values.filter { $0.target == target && $0.archiveDue != nil }
  }

  func archiveCandidates(_ target: String, now: Timestamp) -> [CatalogFile] {
    queued(target).filter { eligible($0) <= now }.sorted {
      ($0.archiveBy!.nanoseconds >> 38, $0.directory.value, $0.id!.value)
        < ($1.archiveBy!.nanoseconds >> 38, $1.directory.value, $1.id!.value)
    }
  }

  func pending(_ target: String, now: Timestamp) -> PendingWork {
    let queued = queued(target)
    let due = queued.filter { eligible($0) <= now }
    let later = queued.filter { eligible($0) > now }
    return PendingWork(
      dueFiles: due.count, dueBytes: due.reduce(0) { $0 + $1.version.size }, laterFiles: later.count,
      laterBytes: later.reduce(0) { $0 + $1.version.size },
      earliestDeadline: queued.map { max($0.archiveBy!, $0.retryAt ?? .distantPast) }.min(),
      oldestDue: queued.map { $0.archiveDue! }.min(),
      unprovenFiles: unproven(target, before: .distantFuture).count,
      removals: removals.count { $0.stage == .pending && $0.copy.target == target },
      moves: moves.values.count { $0.target == target })
  }

  func unproven(_ target: String, before: Timestamp) -> [CatalogFile] {
    files.values.filter { file in
      guard let copy = file.copy, copy.target == target, copy.archivedAt < before else { return false }
      return copy.proof != .proven
    }
  }

  func copiesAstray(_ places: Set<RelativePath>, _ target: String) -> Set<ArchiveID> {
    let moving = files.values.compactMap(\.copy).filter { moves[$0.archiveID]?.target == target }
    let removed = removals.filter { $0.stage == .pending && $0.copy.target == target }.map(\.copy)
    return Set((moving + removed).filter { places.contains($0.path) }.map(\.archiveID))
  }

  private func releasable() -> [CatalogFile] {
    files.values.filter {
      $0.state == .archived && $0.releaseDue != nil && !$0.isLost && $0.copy?.proof == .proven
    }
  }

  private func heldUntil(_ file: CatalogFile) -> Timestamp {
    max(file.pinnedUntil ?? .distantPast, file.retryAt ?? .distantPast)
  }

  func releaseCandidates(now: Timestamp) -> [CatalogFile] {
    releasable().filter { max($0.releaseDue!, heldUntil($0)) <= now }
  }

  func coldest(now: Timestamp) -> [CatalogFile] {
    releasable().filter { heldUntil($0) <= now }.sorted { $0.lastUsed < $1.lastUsed }
  }

  func nextRelease(after now: Timestamp) -> Timestamp? {
    releasable().map { max($0.releaseDue!, heldUntil($0)) }.filter { $0 > now && $0 != .distantFuture }.min()
  }

  func totals(below directory: DirectoryID) -> VolumeTotals {
    var totals = VolumeTotals()
    for file in files.values where isWithin(file.directory, directory) {
      func add(to count: inout VolumeTotals.Count) {
        count.files += 1
        count.bytes += file.version.size
      }
      switch file.state {
      case .resident: add(to: &totals.resident)
      case .archived: add(to: &totals.archived)
      case .released: add(to: &totals.released)
      }
      if file.policy == nil { add(to: &totals.ungoverned) }
      if file.isLost { totals.lost += 1 }
    }
    return totals
  }
}
