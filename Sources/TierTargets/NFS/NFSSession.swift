import TierCore

/// One window's work over one connection. What each operation promises stands at `TargetSession`.
final class NFSSession: TargetSession {
  /// The write verifier at the start of the window, and not a later one: what was archived before the server
  /// restarted must not pass for archived after.
  let instance: UInt64?
  let connection: NFSConnection
  let tree: NFSTree
  let limits: NFSLimits
  let address: String
  /// Ids that this window staged: their temporaries needn't be looked for.
  var staged: Set<ArchiveID> = []
  private let notice: @Sendable (String) -> Void
  private var setsOwner = true

  init(
    _ connection: NFSConnection, tree: NFSTree, limits: NFSLimits, instance: UInt64, address: String,
    notice: @escaping @Sendable (String) -> Void
  ) throws(TierError) {
    self.connection = connection
    self.tree = tree
    self.limits = limits
    self.instance = instance
    self.address = address
    self.notice = notice
  }

  func close() { connection.close() }

  func stage(_ uploads: [Upload], report: (Upload, StageOutcome) -> Void) throws(TierError) {
    guard !uploads.isEmpty else { return }
    let directory = try directory(TargetLayout.temporary)
    let staging = NFSStaging(
      connection, directory: directory.handle, limits: limits, address: address, setsOwner: setsOwner)
    var rest = uploads.makeIterator()
    try connection.run({ staging.ending == nil ? rest.next().map { NFSStagedFile($0, staging) } : nil }) {
      file throws(TierError) in
      // A file that only suffers from what ends the session isn't reported: it throws, below.
      guard let outcome = file.outcome, staging.ending == nil || outcome.isStaged else { return }
      if outcome.isStaged { staged.insert(file.upload.archiveID) }
      report(file.upload, outcome)
    }
    if setsOwner, !staging.setsOwner {
      setsOwner = false
      notice(
        "\(address): the server sets no owners (squash); the files' owners are kept in the manifest only")
    }
    if let ending = staging.ending { throw ending }
  }

  func status(of paths: [RelativePath]) throws(TierError) -> [TargetStatus?] {
    let found = try tree.lookup(paths)
    var statuses: [TargetStatus?] = []
    for (path, answer) in zip(paths, found) {
      switch answer {
      case .success(let found): statuses.append(found?.attributes.status)
      // Something else than a directory on the way to it: there is no such name.
      case .failure(let refusal) where refusal.status == .notDirectory: statuses.append(nil)
      case .failure(let refusal): throw TierError(refusal, path, at: address)
      }
    }
    return statuses
  }

  func move(_ from: RelativePath, to: RelativePath, expected: TargetStatus) throws(TierError) -> MoveOutcome {
    let expected = expected.clampedForNFS
    let statuses = try status(of: [from, to])
    guard statuses[0]?.matches(expected) == true else {
      // Moved already, whatever has come to stand at the old name since.
      if statuses[1]?.matches(expected) == true { return .done }
      return statuses[0] == nil ? .missing : .conflict
    }
    guard statuses[1] == nil else { return .conflict }
    let source = try directory(from.parent)
    let destination = try directory(to.parent)
    guard let name = from.name, let newName = to.name else { return .conflict }
    let answer = try connection.wait {
      connection.rename(name, in: source.handle, to: newName, in: destination.handle, then: $0)
    }
    switch answer {
    case .success:
      source.noteRemoved(name)
      destination.noteAdded(newName)
      return .done
    case .failure(let refusal) where refusal.status == .noEntry: return .missing
    case .failure(let refusal): throw TierError(refusal, to, at: address)
    }
  }

  func remove(_ path: RelativePath) throws(TierError) {
    guard path.isWithin(TargetLayout.folder), let name = path.name, path != TargetLayout.folder else {
      throw TierError(
        .badRequest, "tierd removes nothing outside of \(TargetLayout.folder)", path: path.escaped)
    }
    guard case .success(let parent?)? = try tree.open([path.parent], making: false)[path.parent] else {
      return
    }
    switch try connection.wait({ connection.remove(name, in: parent.handle, then: $0) }) {
    case .success: parent.noteRemoved(name)
    case .failure(let refusal) where refusal.status == .noEntry: parent.noteRemoved(name)
    case .failure(let refusal): throw TierError(refusal, path, at: address)
    }
  }

  func list(_ directory: RelativePath) throws(TierError) -> [TargetEntry] {
    switch try tree.open([directory], making: false)[directory] {
    case .success(let open?)?:
      return try entries(of: open.handle, directory).filter { !TargetLayout.foreignFolders.contains($0.name) }
    case .success(nil)?, nil: return []
    case .failure(let refusal)?: throw TierError(refusal, directory, at: address)
    }
  }

  /// Every entry, the NAS's own among them.
  func entries(of handle: NFSHandle, _ path: RelativePath) throws(TierError) -> [TargetEntry] {
    var page = NFSConnection.Page()
    var entries: [NFSConnection.Page.Entry] = []
    repeat {
      switch try connection.wait({ [page] in connection.list(handle, after: page, then: $0) }) {
      case .success(let next):
        guard next.isLast || next.cookie != page.cookie else {
          throw TierError(.targetFailed, "the server lists the folder without end", path: path.escaped)
        }
        entries += next.entries
        page = next
      case .failure(let refusal): throw TierError(refusal, path, at: address)
      }
    } while !page.isLast
    let statuses: [NFSAttributes?] = try connection.each(entries) { entry, done in
      if let attributes = entry.attributes { return done(attributes) }
      connection.lookup(entry.name, in: handle) { done((try? $0.get())?.attributes) }
    }
    return zip(entries, statuses).compactMap { entry, attributes in
      attributes.map { TargetEntry(name: entry.name, isDirectory: $0.isDirectory, status: $0.status) }
    }
  }

  /// Made where it is missing.
  func directory(_ path: RelativePath) throws(TierError) -> NFSTree.Directory {
    switch try tree.open([path], making: true)[path] {
    case .success(let directory?)?: return directory
    case .failure(let refusal)?: throw TierError(refusal, path, at: address)
    case .success(nil)?, nil: throw TierError(.internalFault, "no directory", path: path.escaped)
    }
  }

  func find(_ path: RelativePath) throws(TierError) -> NFSHandle {
    switch try tree.lookup([path])[0] {
    case .success(let found?): return found.handle
    case .success(nil): throw TierError(NFSRefusal(procedure: "LOOKUP", status: .noEntry), path, at: address)
    case .failure(let refusal): throw TierError(refusal, path, at: address)
    }
  }
}

extension StageOutcome {
  fileprivate var isStaged: Bool { if case .staged = self { true } else { false } }
}
