import TierCore

/// What a window archives, batch by batch: first everything that is due, then what people's flushes ask for,
/// whatever its age.
struct ArchiveQueue {
  private let engine: EngineContext
  private let target: String
  private var walks: [ScopeWalk]
  private let flushesEverything: Bool

  init(_ flushes: [FlushOrder], target: String, engine: EngineContext) throws(TierError) {
    self.engine = engine
    self.target = target
    let scopes = flushes.flatMap(\.scopes)
    flushesEverything = scopes.contains(.all)
    walks = flushesEverything ? [] : try ScopeWalk.over(scopes, target: target, engine: engine)
  }

  /// Empty where nothing is left. `unfinished`: how many of the attempted ones still wait and stand in the way of
  /// others.
  mutating func next(leavingOut attempted: Set<FileID>, unfinished: Int) throws(TierError) -> [CatalogFile] {
    let soon = engine.clock.now + engine.tuning.settlingGrace
    let horizon = flushesEverything ? .distantFuture : soon
    let limit = engine.tuning.batchFiles + unfinished
    var batch = Batch(engine.tuning, leavingOut: attempted)
    for row in try engine.catalog.archiveCandidates(for: target, now: horizon, limit: limit)
    where !batch.isFull {
      batch.add(row)
    }
    while batch.rows.isEmpty, !walks.isEmpty {
      if try !walks[0].fill(&batch) { walks.removeFirst() }
    }
    return batch.rows
  }

  struct Batch {
    private(set) var rows: [CatalogFile] = []
    private var bytes: Int64 = 0
    private let tuning: EngineTuning
    private let attempted: Set<FileID>

    init(_ tuning: EngineTuning, leavingOut attempted: Set<FileID>) {
      self.tuning = tuning
      self.attempted = attempted
    }

    var isFull: Bool { rows.count >= tuning.batchFiles || bytes >= tuning.batchBytes }

    mutating func add(_ row: CatalogFile) {
      guard let id = row.id, !attempted.contains(id) else { return }
      rows.append(row)
      bytes += row.version.size
    }
  }
}

/// The files of a scope that wait for one target, page by page.
struct ScopeWalk {
  private enum Place {
    case file(CatalogFile)
    case directory(DirectoryID)
  }

  private let catalog: any Catalog
  private let target: String
  private let policy: String?
  private let place: Place
  private var after: FileID?

  /// Volumes that aren't there have nothing that could go.
  static func over(_ scopes: [Scope], target: String, engine: EngineContext) throws(TierError) -> [ScopeWalk]
  {
    var walks: [ScopeWalk] = []
    for scope in scopes {
      for (volume, path) in engine.places(of: scope) {
        guard let place = try place(path, volume, engine.catalog) else { continue }
        var policy: String?
        if case .policy(let name) = scope { policy = name }
        walks.append(ScopeWalk(catalog: engine.catalog, target: target, policy: policy, place: place))
      }
    }
    return walks
  }

  private static func place(_ path: RelativePath, _ volume: Volume, _ catalog: any Catalog) throws(TierError)
    -> Place?
  {
    if path.isRoot { return .directory(volume.rootDirectory) }
    if let directory = try catalog.directory(at: path, in: volume.id) { return .directory(directory) }
    guard let name = path.name, let parent = try catalog.directory(at: path.parent, in: volume.id) else {
      return nil
    }
    return try catalog.file(named: name, in: parent).map { .file($0) }
  }

  /// False where nothing more is to come.
  mutating func fill(_ batch: inout ArchiveQueue.Batch) throws(TierError) -> Bool {
    while !batch.isFull {
      let page = try nextPage()
      if page.isEmpty { return false }
      for row in page where !batch.isFull {
        after = row.id
        if waits(row) { batch.add(row) }
      }
    }
    return true
  }

  /// Of all that is still to come.
  mutating func count() throws(TierError) -> (files: Int, bytes: Int64) {
    var count = (files: 0, bytes: Int64(0))
    while true {
      let page = try nextPage()
      guard let last = page.last else { return count }
      after = last.id
      for row in page where waits(row) {
        count.files += 1
        count.bytes += row.version.size
      }
    }
  }

  private func waits(_ row: CatalogFile) -> Bool {
    row.target == target && row.archiveDue != nil && (policy == nil || row.policy == policy)
  }

  private func nextPage() throws(TierError) -> [CatalogFile] {
    switch place {
    case .file(let file): after == nil ? [file] : []
    case .directory(let id): try catalog.files(below: id, after: after, limit: 512)
    }
  }
}

extension EngineContext {
  /// Where a scope's files are.
  fileprivate func places(of scope: Scope) -> [(Volume, RelativePath)] {
    switch scope {
    case .all:
      volumeServices.compactMap(\.volume).map { ($0, .root) }
    case .policy(let name):
      policies.current.policy(named: name).flatMap { policy in
        volumeService(policy.volume)?.volume.map { [($0, policy.path)] }
      } ?? []
    case .volume(let name):
      volumeService(name)?.volume.map { [($0, .root)] } ?? []
    case .paths(let name, let paths):
      volumeService(name)?.volume.map { volume in paths.map { (volume, $0) } } ?? []
    }
  }
}
