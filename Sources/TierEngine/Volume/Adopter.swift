import TierCore

/// Finds out what a name that the catalog doesn't know is: a new file, one that was renamed, a stub that
/// moved, one of ours whose row was lost. Identity is the inode's attribute; the inode number is a clue only.
struct Adopter {
  let volume: Volume

  func newRegular(
    _ entry: DirectoryEntry, at path: RelativePath, in directory: DirectoryID, replacing row: CatalogFile?
  ) throws(TierError) -> [CatalogChange] {
    if let row, row.state == .released, try hasOpenIntent(row) { return [] }
    let identity = try identity(of: path)
    if let identity, var moved = try renamedRow(identity.archiveID, entry, to: path) {
      var changes = try displace(row, unless: moved)
      if moved.version != entry.status.version { moved.state = .resident }
      moved.observe(entry.status)
      changes += place(&moved, at: path, in: directory, name: entry.name)
      return changes
    }
    if let identity, let revived = try revive(identity.archiveID, entry, at: path, in: directory, row: row) {
      return revived
    }
    if row == nil, var moved = try renamedUnarchivedRow(entry, to: path) {
      moved.observe(entry.status)
      return place(&moved, at: path, in: directory, name: entry.name)
    }
    var file = fresh(entry, in: directory)
    // The name's own earlier copy: replaced, not doubled, at the next archive.
    file.id = row?.id
    file.copy = row?.copy
    if file.copy == nil, let identity { file.copy = try adoptedCopy(identity, at: path) }
    volume.judge(&file, at: path)
    return [.put(file)]
  }

  func newSymlink(
    _ entry: DirectoryEntry, at path: RelativePath, in directory: DirectoryID, replacing row: CatalogFile?
  ) throws(TierError) -> [CatalogChange] {
    if let row, try hasOpenIntent(row) { return [] }
    let record = volume.isPrivileged ? try identity(of: path) : nil
    let linked = record == nil ? try linkIdentity(of: path) : nil
    guard let id = record?.archiveID ?? linked else { return try displace(row, unless: nil) }
    if var same = row, same.state == .released, same.copy?.archiveID == id {
      // A new stub for the same content: restored from a backup, or made anew before a crash.
      same.observeStub(entry.status)
      volume.judge(&same, at: path)
      return [.put(same)]
    }
    if var moved = try renamedRow(id, entry, to: path), moved.state == .released {
      var changes = try displace(row, unless: moved)
      moved.observeStub(entry.status)
      changes += place(&moved, at: path, in: directory, name: entry.name)
      return changes
    }
    if let revived = try revive(id, entry, at: path, in: directory, row: row) { return revived }
    var changes = try displace(row, unless: nil)
    if let record, record.state == .released, let copy = try adoptedCopy(record, at: path) {
      // The catalog was lost; what only root can write says whose content this is.
      var file = fresh(entry, in: directory)
      file.state = .released
      file.copy = copy
      file.copy?.proof = .proven
      file.observeStub(entry.status)
      volume.judge(&file, at: path)
      changes.append(.put(file))
    }
    return changes
  }

  // MARK: Candidates

  /// The row of the copy that the inode carries, if its old place no longer holds it: then it was renamed. A
  /// copy of the file (`cp -a` takes the attribute along) or a second hard link is none.
  private func renamedRow(
    _ id: ArchiveID, _ entry: DirectoryEntry, to path: RelativePath
  ) throws(TierError) -> CatalogFile? {
    for candidate in try volume.catalog.files(withArchiveID: id) where candidate.volume == volume.id {
      guard candidate.version.inode == entry.status.inode else { continue }
      guard let old = try volume.path(of: candidate) else { continue }
      if old == path { return candidate }
      if try inode(at: old) != entry.status.inode { return candidate }
    }
    return nil
  }

  /// A file without a copy keeps its ages when it is renamed.
  private func renamedUnarchivedRow(_ entry: DirectoryEntry, to path: RelativePath) throws(TierError)
    -> CatalogFile?
  {
    for candidate in try volume.catalog.files(withInode: entry.status.inode, in: volume.id) {
      guard candidate.copy == nil, candidate.version.hasSameContent(as: entry.status.version) else {
        continue
      }
      guard let old = try volume.path(of: candidate), old != path else { continue }
      if try inode(at: old) != entry.status.inode { return candidate }
    }
    return nil
  }

  /// A name was taken for deleted while it was only on its way: takes the removal back, as far as it got.
  private func revive(
    _ id: ArchiveID, _ entry: DirectoryEntry, at path: RelativePath, in directory: DirectoryID,
    row: CatalogFile?
  ) throws(TierError) -> [CatalogChange]? {
    guard
      let removal = try volume.catalog.removals(withArchiveID: id).first(where: { $0.volume == volume.id }),
      let removalID = removal.id
    else { return nil }
    var file = fresh(entry, in: directory)
    var copy = removal.copy
    if let trash = removal.trashPath { copy.path = trash }
    file.copy = copy
    if entry.status.kind == .symlink {
      file.state = .released
      file.observeStub(entry.status)
    }
    volume.judge(&file, at: path)
    try volume.catalog.apply(try displace(row, unless: nil) + [.forgetRemoval(removalID), .put(file)])
    let stored = try volume.catalog.file(named: entry.name, in: directory)
    return stored.flatMap { volume.move(for: $0) }.map { [$0] } ?? []
  }

  /// A file that says it is archived, while the catalog knows nothing of it: its word is checked against its
  /// content and the target at the next window (the archiver's refresh), before anything relies on it.
  private func adoptedCopy(_ identity: IdentityRecord, at path: RelativePath) throws(TierError)
    -> ArchivedCopy?
  {
    guard identity.path.isWithin(volume.targetPath(of: .root)) else { return nil }
    guard try volume.catalog.files(withArchiveID: identity.archiveID).isEmpty else { return nil }
    return ArchivedCopy(
      archiveID: identity.archiveID, target: identity.target, path: identity.path, size: identity.size,
      modified: identity.modified, hash: identity.hash, archivedAt: volume.clock.now,
      proof: .awaiting(instance: nil),
      metadata: FileMetadata(
        mode: identity.mode, owner: identity.owner, group: identity.group, modified: identity.modified,
        accessed: identity.modified))
  }

  // MARK: Rows

  private func fresh(_ entry: DirectoryEntry, in directory: DirectoryID) -> CatalogFile {
    let now = volume.clock.now
    return CatalogFile(
      volume: volume.id, directory: directory, name: entry.name, state: .resident,
      version: entry.status.version, links: entry.status.links, owner: entry.status.owner,
      mode: entry.status.mode, allocated: entry.status.allocated, firstSeen: now, lastUsed: now)
  }

  private func place(
    _ file: inout CatalogFile, at path: RelativePath, in directory: DirectoryID, name: FileName
  ) -> [CatalogChange] {
    file.directory = directory
    file.name = name
    volume.judge(&file, at: path)
    return [.put(file)] + (volume.move(for: file).map { [$0] } ?? [])
  }

  /// A row whose name something else has taken: its copy goes the way of a deleted file's.
  private func displace(_ row: CatalogFile?, unless kept: CatalogFile?) throws(TierError) -> [CatalogChange] {
    guard let row, let id = row.id, id != kept?.id else { return [] }
    return try volume.removalChanges(for: row) + [.forget(id)]
  }

  private func hasOpenIntent(_ row: CatalogFile) throws(TierError) -> Bool {
    guard let id = row.id else { return false }
    return try !volume.catalog.openIntents(for: id).isEmpty
  }

  // MARK: Looking

  private func inode(at path: RelativePath) throws(TierError) -> UInt64? {
    try wrapping("while looking for a renamed file") { () throws(SyscallError) in
      try volume.files.status(of: path, at: "adopt.status")?.inode
    }
  }

  /// What the inode says of itself; nil where it says nothing that we can read.
  private func identity(of path: RelativePath) throws(TierError) -> IdentityRecord? {
    let value = try wrapping("while reading its identity") { () throws(SyscallError) in
      try volume.files.attribute(volume.identityAttribute, of: path, at: "adopt.attribute")
    }
    guard let value else { return nil }
    return try? IdentityRecord.parse(value)
  }

  private func linkIdentity(of path: RelativePath) throws(TierError) -> ArchiveID? {
    let text = try wrapping("while reading its link") { () throws(SyscallError) in
      try volume.files.readLink(path, at: "adopt.readlink")
    }
    return StubLink.parse(text)?.archiveID
  }
}

extension CatalogFile {
  /// Takes over the stub's own inode and times; the size stays the file's.
  mutating func observeStub(_ status: FileStatus) {
    let size = copy?.size ?? version.size
    observe(status)
    version.size = size
    if let metadata = copy?.metadata {
      mode = metadata.mode
      owner = metadata.owner
    }
  }
}

extension Volume {
  /// What follows when a file is gone for good while its copy stands on the target.
  func removalChanges(for file: CatalogFile, lastPath: RelativePath? = nil) throws(TierError)
    -> [CatalogChange]
  {
    let place = try path(of: file)
    guard let copy = file.copy, let path = lastPath ?? place else { return [] }
    let keep = policies.current.keepDeleted(volume: name, path: path, size: copy.size)
    let now = clock.now
    let removal = Removal(
      stage: .pending, volume: id, path: path, copy: copy, removedAt: now,
      expires: keep.map { now + $0 } ?? now)
    return [.putRemoval(removal), .forgetMove(copy.archiveID)]
  }
}
