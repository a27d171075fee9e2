import TierCore

/// Takes a deletion back: the stub stands again, the copy returns from the trash with the next window.
struct Undelete {
  let volume: Volume
  let context: EngineContext

  func revive(_ removal: Removal) throws(TierError) -> CatalogFile {
    guard let name = removal.path.name, let id = removal.id else {
      throw TierError(.badRequest, "not a file")
    }
    return try volume.committing { () throws(TierError) in
      let parent = try parentDirectory(of: removal.path)
      let copy = try volume.copyTakenBack(from: removal)
      var file = CatalogFile(
        volume: volume.id, directory: parent, name: name, state: .released,
        version: FileVersion(
          inode: 0, size: copy.size, modified: copy.modified, changed: copy.modified), links: 1,
        owner: copy.metadata.owner, mode: copy.metadata.mode, allocated: 0, firstSeen: volume.clock.now,
        lastUsed: volume.clock.now, copy: copy)
      let hidden = volume.hiddenPath(ArchiveID.random())
      let stub = try context.stubs(for: volume).make(copy, of: file, at: hidden, in: volume)
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
      try context.catalog.apply([.forgetRemoval(id), .put(file)])
      guard let stored = try context.catalog.file(named: name, in: parent) else {
        throw TierError(.internalFault, "the catalog lost what it was just given", disposition: .retry)
      }
      if let move = volume.move(for: stored) { try context.catalog.apply([move]) }
      return stored
    }
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
