import Glibc
import TierCore
import TierLinux

// Everything that changes names on the target.
extension DirectorySession {
  /// Directories are synced once for this many files.
  private static let publicationsPerSync = 256

  func publish(_ publications: [Publication], report: (Publication, PublishOutcome) -> Void)
    throws(TierError)
  {
    var rest = publications[...]
    while !rest.isEmpty {
      let group = rest.prefix(Self.publicationsPerSync)
      rest = rest.dropFirst(group.count)
      var touched: Set<RelativePath> = []
      var outcomes: [PublishOutcome] = []
      for publication in group {
        do throws(DirectoryFailure) {
          let conflict = try place(publication, touching: &touched)
          outcomes.append(.published(conflict: conflict))
        } catch {
          outcomes.append(.failed(try error.ofFile()))
        }
      }
      do throws(DirectoryFailure) {
        for directory in touched { try sync(directory) }
      } catch { throw error.error }
      for (publication, outcome) in zip(group, outcomes) { report(publication, outcome) }
    }
  }

  /// Returns where somebody else's file went that stood in the way.
  private func place(_ publication: Publication, touching touched: inout Set<RelativePath>)
    throws(DirectoryFailure) -> RelativePath?
  {
    let upload = publication.upload
    let final = upload.path
    let temporary = TargetLayout.temporary.appending(upload.archiveID.fileName)
    let wanted = TargetStatus(size: upload.size, modified: upload.metadata.modified)
    try makeDirectory(final.parent, touching: &touched)
    touched.formUnion([final.parent, TargetLayout.temporary])
    var conflict: RelativePath?
    // Again when a name appeared between the look and the rename.
    for _ in 0..<8 {
      let standing = try look(final)
      guard let staged = try look(temporary) else {
        if let standing, TargetStatus(standing).matches(wanted) { return nil }
        throw .file(
          TierError(
            .targetCopyMissing, "its staged copy is gone from .tierd/tmp: it is archived anew",
            path: final.escaped, disposition: .retry))
      }
      guard staged.size == upload.size else {
        throw .file(
          TierError(
            .targetCopyDiffers, "its staged copy in .tierd/tmp has another size: it is archived anew",
            path: final.escaped, disposition: .retry))
      }
      var mode = RenameMode.keepExisting
      if let standing {
        let isOurs = publication.replaces.map(TargetStatus(standing).matches) ?? false
        let isOlder = isOurs ? try isFree(publication.trash) : false
        if !isOlder, try holds(final, standing, publication.hash, wanted) {
          mode = .replace
        } else if isOurs {
          if let trash = publication.trash {
            try makeDirectory(trash.parent, touching: &touched)
            touched.insert(trash.parent)
            try rename(final, to: trash, .keepExisting)
          } else {
            mode = .replace
          }
        } else {
          conflict = try setAside(final, suffix: publication.conflictSuffix)
        }
      }
      do throws(DirectoryFailure) {
        try rename(temporary, to: final, mode)
        return conflict
      } catch  where error.isNameTaken {
        continue
      }
    }
    throw .file(
      TierError(
        .targetFailed, "somebody keeps making this file on the target while tierd sets it aside",
        path: final.escaped, disposition: .retry))
  }

  private func isFree(_ trash: RelativePath?) throws(DirectoryFailure) -> Bool {
    guard let trash else { return false }
    return try look(trash) == nil
  }

  /// True for a file that already is what is to be published: of a publication that a crash hid from the caller.
  private func holds(
    _ path: RelativePath, _ status: FileStatus, _ hash: ContentHash, _ wanted: TargetStatus
  ) throws(DirectoryFailure) -> Bool {
    guard TargetStatus(status).matches(wanted) else { return false }
    let root = try openedRoot()
    do throws(SyscallError) {
      let file = try root.open(path, .read, at: "directory.publish.compare")
      defer { file.close() }
      return (try? Content.hash(file, size: status.size)) == hash
    } catch { throw DirectoryFailure(error) }
  }

  private func setAside(_ path: RelativePath, suffix: String) throws(DirectoryFailure) -> RelativePath {
    for attempt in 1... {
      let conflict = TargetLayout.conflictPath(of: path, suffix: suffix, attempt: attempt)
      do throws(DirectoryFailure) {
        try rename(path, to: conflict, .keepExisting)
        return conflict
      } catch  where error.isNameTaken && attempt < 1000 {
        continue
      }
    }
    return path
  }

  // MARK: Moving and removing

  func move(_ from: RelativePath, to: RelativePath, expected: TargetStatus) throws(TierError) -> MoveOutcome {
    let source = try fileStatus(of: from).map(TargetStatus.init)
    let goal = try fileStatus(of: to).map(TargetStatus.init)
    guard let source, source.matches(expected) else {
      // Moved already, whatever has come to stand at the old name since.
      if let goal, goal.matches(expected) { return .done }
      return source == nil ? .missing : .conflict
    }
    guard goal == nil else { return .conflict }
    do throws(DirectoryFailure) {
      var touched: Set<RelativePath> = [from.parent, to.parent]
      try makeDirectory(to.parent, touching: &touched)
      try rename(from, to: to, .keepExisting)
      for directory in touched { try sync(directory) }
      return .done
    } catch {
      if error.isNameTaken { return .conflict }
      throw error.error
    }
  }

  func remove(_ path: RelativePath) throws(TierError) {
    guard path.isWithin(TargetLayout.folder), path != TargetLayout.folder else {
      throw TierError(.internalFault, "only what is below .tierd may be removed", path: path.escaped)
    }
    let root = try root()
    do throws(SyscallError) {
      try root.unlink(path, at: "directory.remove")
    } catch {
      guard error.errno == ENOENT || error.errno == ENOTDIR else { throw DirectoryFailure(error).error }
    }
  }

  func pruneEmptyDirectories(from directory: RelativePath) throws(TierError) {
    let kept: Set = [TargetLayout.folder, TargetLayout.temporary, TargetLayout.manifest, TargetLayout.trash]
    var place = directory
    guard let root = try? root() else { return }
    while !place.isRoot, !kept.contains(place) {
      guard let entries = try? root.list(place, at: "directory.prune.list") else { return }
      let isThumbnails = { (entry: DirectoryEntry) in
        entry.status.kind == .directory && entry.name == TargetLayout.thumbnailFolder
      }
      guard entries.allSatisfy(isThumbnails) else { return }
      for entry in entries { removeTree(place.appending(entry.name), in: root) }
      guard (try? root.removeDirectory(place, at: "directory.prune.remove")) != nil else { return }
      knownDirectories.remove(place)
      place = place.parent
    }
  }

  private func removeTree(_ path: RelativePath, in root: any FileSystem) {
    for entry in (try? root.list(path, at: "directory.prune.list")) ?? [] {
      let child = path.appending(entry.name)
      if entry.status.kind == .directory {
        removeTree(child, in: root)
      } else {
        try? root.unlink(child, at: "directory.prune.unlink")
      }
    }
    try? root.removeDirectory(path, at: "directory.prune.remove")
  }

  // MARK: Records

  func writeRecord(_ bytes: [UInt8], to path: RelativePath) throws(TierError) {
    let root = try root()
    let temporary = TargetLayout.temporary.appending(ArchiveID.random().fileName)
    do throws(DirectoryFailure) {
      var touched: Set<RelativePath> = [path.parent]
      try makeDirectory(path.parent, touching: &touched)
      do throws(SyscallError) {
        let file = try root.open(temporary, .create(mode: 0o600), at: "directory.record.create")
        defer { file.close() }
        try bytes.withRawBytes { buffer throws(SyscallError) in
          if !buffer.isEmpty { try file.write(buffer, offset: 0, at: "directory.record.write") }
        }
        try file.sync(at: "directory.record.sync")
        try root.rename(temporary, to: path, .replace, at: "directory.record.rename")
      } catch { throw DirectoryFailure(error) }
      for directory in touched { try sync(directory) }
    } catch {
      try? root.unlink(temporary, at: "directory.record.discard")
      throw error.error
    }
  }

  func readRecord(_ path: RelativePath, limit: Int) throws(TierError) -> [UInt8]? {
    let root = try root()
    let bytes: [UInt8]
    do throws(SyscallError) {
      let file = try root.open(path, .read, at: "directory.record.open")
      defer { file.close() }
      let size = try file.status(at: "directory.record.status").size
      var buffer = [UInt8](repeating: 0, count: Int(min(size, Int64(limit))) + 1)
      let count = try buffer.withMutableRawBytes { buffer throws(SyscallError) in
        try Content.fill(buffer, from: file, offset: 0, at: "directory.record.read")
      }
      bytes = Array(buffer[..<count])
    } catch {
      if error.errno == ENOENT || error.errno == ENOTDIR { return nil }
      throw DirectoryFailure(error).error
    }
    guard bytes.count <= limit else { throw TargetLayout.recordTooLong(path, limit: limit, at: address) }
    return bytes
  }

  // MARK: Directories

  /// With its parents, durably.
  func makeDirectory(_ path: RelativePath) throws(TierError) {
    do throws(DirectoryFailure) {
      var touched: Set<RelativePath> = []
      try makeDirectory(path, touching: &touched)
      for directory in touched { try sync(directory) }
    } catch { throw error.error }
  }

  private func makeDirectory(_ path: RelativePath, touching touched: inout Set<RelativePath>)
    throws(DirectoryFailure)
  {
    guard !knownDirectories.contains(path) else { return }
    let root = try openedRoot()
    if let status = try look(path) {
      guard status.kind == .directory else { throw DirectoryFailure.inTheWay(path) }
    } else {
      try makeDirectory(path.parent, touching: &touched)
      do throws(SyscallError) {
        try root.makeDirectory(path, mode: 0o755, at: "directory.makeDirectory")
      } catch {
        guard error.errno == EEXIST else { throw DirectoryFailure(error) }
      }
      touched.insert(path.parent)
    }
    knownDirectories.insert(path)
  }

  // MARK: Calls

  private func openedRoot() throws(DirectoryFailure) -> any FileSystem {
    do throws(TierError) { return try root() } catch { throw .session(error) }
  }

  private func look(_ path: RelativePath) throws(DirectoryFailure) -> FileStatus? {
    let root = try openedRoot()
    do throws(SyscallError) {
      return try root.status(of: path, at: "directory.publish.status")
    } catch { throw DirectoryFailure(error) }
  }

  private func rename(_ from: RelativePath, to: RelativePath, _ mode: RenameMode) throws(DirectoryFailure) {
    let root = try openedRoot()
    do throws(SyscallError) {
      try root.rename(from, to: to, mode, at: "directory.rename")
    } catch {
      // NFS, some FUSE file systems: no rename with conditions. The look just before has to do.
      guard error.errno == EINVAL, mode == .keepExisting, try look(to) == nil else {
        throw DirectoryFailure(error)
      }
      do throws(SyscallError) {
        try root.rename(from, to: to, .replace, at: "directory.rename")
      } catch { throw DirectoryFailure(error) }
    }
  }

  private func sync(_ directory: RelativePath) throws(DirectoryFailure) {
    let root = try openedRoot()
    do throws(SyscallError) {
      try root.syncDirectory(directory, at: "directory.sync")
    } catch { throw DirectoryFailure(error) }
  }
}
