import TierCore

/// Takes a deletion back: the stub stands again, the copy returns from the trash with the next window.
struct Undelete {
  let volume: Volume
  let context: EngineContext

  /// In one transaction; what fails for one of them leaves the others alone.
  func revive(_ removals: [Removal]) throws(TierError) -> [Result<CatalogFile, TierError>] {
    try volume.committingTogether { () throws(TierError) in
      var outcomes: [Result<CatalogFile, TierError>] = []
      for removal in removals {
        do throws(TierError) {
          outcomes.append(
            .success(try context.catalog.together { () throws(TierError) in try revive(removal) }))
        } catch {
          if error.code == .catalog { throw error }
          outcomes.append(.failure(error))
        }
      }
      return outcomes
    }
  }

  private func revive(_ removal: Removal) throws(TierError) -> CatalogFile {
    guard let name = removal.path.name, let id = removal.id else {
      throw TierError(.badRequest, "not a file")
    }
    let parent = try parentDirectory(of: removal.path)
    let copy = try volume.copyTakenBack(from: removal)
    var file = CatalogFile(
      volume: volume.id, directory: parent, name: name, state: .released,
      version: FileVersion(
        inode: 0, size: copy.size, modified: copy.modified, changed: copy.modified), links: 1,
      owner: copy.metadata.owner, mode: copy.metadata.mode, allocated: 0, firstSeen: volume.clock.now,
      lastUsed: volume.clock.now, copy: copy)
    let hidden = volume.hiddenPath(ArchiveID.random())
    let stub = try context.stubs(for: file, at: removal.path, in: volume).make(
      copy, of: file, at: hidden, in: volume)
    do throws(SyscallError) {
      try volume.files.rename(hidden, to: removal.path, .keepExisting, at: "undelete.place")
    } catch {
      try? volume.files.unlink(hidden, at: "undelete.unlink")
      guard error.isTaken else { throw TierError(error, while: "undeleting it") }
      throw TierError(
        .fileChanged, "a file of that name exists: move it away first, then undelete again")
    }
    file.observeStub(stub)
    volume.judge(&file, at: removal.path)
    // Of another file of that name, whose deletion was not noticed yet.
    let earlier = try volume.forgetting(try context.catalog.file(named: name, in: parent))
    let move = volume.move(for: file).map { [$0] } ?? []
    try context.catalog.apply(earlier + [.forgetRemoval(id), .put(file)] + move)
    guard let stored = try context.catalog.file(named: name, in: parent) else {
      throw TierError(.internalFault, "the catalog lost what it was just given", disposition: .retry)
    }
    return stored
  }

  /// Directories that were deleted with their files are made again.
  private func parentDirectory(of path: RelativePath) throws(TierError) -> DirectoryID {
    var parent = RelativePath.root
    for component in path.parent.components {
      parent = parent.appending(component)
      try wrapping("while making its folder again") { () throws(SyscallError) in
        try volume.files.makeDirectoryIfMissing(parent, mode: 0o755, at: "undelete.folder")
      }
    }
    if parent.isRoot { return volume.rootDirectory }
    let status = try wrapping("while undeleting it") { () throws(SyscallError) in
      try volume.files.status(of: parent, at: "undelete.folderStatus")
    }
    return try context.catalog.makeDirectory(at: parent, inode: status?.inode ?? 0, in: volume.id)
  }
}

extension Engine {
  /// The newest thousand of what was deleted at or below a path.
  package func removals(at absolute: [UInt8]) throws(TierError) -> [(removal: Removal, path: String)] {
    let (service, path) = try locate(absolute)
    let volume = try present(service)
    return try context.catalog.removals(at: path, in: volume.id, after: nil, limit: 1000).map {
      ($0, volume.absolute($0.path))
    }
  }

  /// Brings back what apps deleted at or below a path: each name once, the newest version. Names that exist again
  /// are left alone.
  package func undelete(_ absolute: [UInt8]) throws(TierError) -> RequestHandle {
    let (service, path) = try locate(absolute)
    let volume = try present(service)
    let handle = context.requests.open("undelete")
    let revived = try revive(path, in: volume, handle)
    handle.expect(files: revived.count, bytes: revived.reduce(0) { $0 + ($1.0.copy?.size ?? 0) })
    let ended = Countdown(revived.count) { handle.finish() }
    for (file, path) in revived {
      guard let target = file.copy?.target, let window = context.windowService(target) else {
        handle.fail("\(volume.absolute(path)): its target is no longer configured")
        ended.partEnded()
        continue
      }
      window.restore([restoreOrder(file, path, nil, handle, ended)])
    }
    return handle
  }

  private func revive(_ path: RelativePath, in volume: Volume, _ handle: RequestHandle) throws(TierError)
    -> [(CatalogFile, RelativePath)]
  {
    let undelete = Undelete(volume: volume, context: context)
    var revived: [(CatalogFile, RelativePath)] = []
    var seen: Set<RelativePath> = []
    var after: Removal?
    while true {
      let page = try context.catalog.removals(at: path, in: volume.id, after: after, limit: 64)
      let newest = page.filter { seen.insert($0.path).inserted }
      for (removal, outcome) in zip(newest, try undelete.revive(newest)) {
        switch outcome {
        case .success(let file): revived.append((file, removal.path))
        case .failure(let error): handle.fail("\(volume.absolute(removal.path)): \(error.message)")
        }
      }
      guard let last = page.last else { return revived }
      after = last
    }
  }
}
