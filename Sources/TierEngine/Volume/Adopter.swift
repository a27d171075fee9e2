import TierCore

/// Finds out what a name that the catalog doesn't know is: a new file, one that was renamed, a stub that
/// moved, one of ours whose row was lost. Identity is the inode's attribute; the inode number is a clue only.
struct Adopter {
  let volume: Volume

  /// Adds what follows to `changes`, or, where rows must be looked up for it, writes down what was decided before
  /// and settles it at once; true then: rows that the caller has read may be outdated.
  func regular(
    _ entry: DirectoryEntry, at path: RelativePath, in directory: DirectoryID, replacing row: CatalogFile?,
    after changes: inout [CatalogChange]
  ) throws(TierError) -> Bool {
    let identity = try volume.identity(of: path, at: "adopt.attribute")
    if row == nil, identity == nil {
      if var moved = try renamedUnarchivedRow(entry, to: path) {
        moved.observe(entry.status)
        moved.directory = directory
        moved.name = entry.name
        volume.judge(&moved, at: path)
        changes.append(.put(moved))
      } else {
        var file = fresh(entry, in: directory)
        volume.judge(&file, at: path)
        changes.append(.put(file))
      }
      return false
    }
    try write(&changes)
    if let identity {
      if try claim(identity.archiveID, entry, at: path, in: directory) { return true }
      if try revive(identity.archiveID, entry, at: path, in: directory) { return true }
      if identity.state.withholdsContent, volume.isPrivileged {
        try adoptStub(of: identity.archiveID, identity, entry, at: path, in: directory)
        return true
      }
    }
    var file = fresh(entry, in: directory)
    // The name's own earlier copy: replaced, not doubled, at the next archive.
    let current = try volume.catalog.file(named: entry.name, in: directory)
    file.id = current?.id
    file.copy = current?.copy
    // Only of this very name: where tierd isn't privileged, an app could write another file's identity to its own,
    // and anywhere `cp -a` takes it along. What was renamed before the catalog was lost is archived once more.
    if file.copy == nil, let identity, identity.path == volume.targetPath(of: path) {
      file.copy = try adoptedCopy(identity, at: path)
    }
    volume.judge(&file, at: path)
    try volume.catalog.apply([.put(file)])
    return true
  }

  func symlink(
    _ entry: DirectoryEntry, at path: RelativePath, in directory: DirectoryID, replacing row: CatalogFile?,
    after changes: inout [CatalogChange]
  ) throws(TierError) -> Bool {
    let record = volume.isPrivileged ? try volume.identity(of: path, at: "adopt.attribute") : nil
    let linked = record == nil ? try linkIdentity(of: path, entry.status) : nil
    guard row != nil || record != nil || linked != nil else { return false }
    try write(&changes)
    let id = record?.archiveID ?? linked
    if let id, try claim(id, entry, at: path, in: directory) { return true }
    if let id, try revive(id, entry, at: path, in: directory) { return true }
    try adoptStub(of: id, record, entry, at: path, in: directory)
    return true
  }

  /// A copy of a stub; or the catalog was lost, and what only root can write says whose content this is. What says
  /// neither is left alone, and is no row: it must never be archived.
  private func adoptStub(
    of id: ArchiveID?, _ record: IdentityRecord?, _ entry: DirectoryEntry, at path: RelativePath,
    in directory: DirectoryID
  ) throws(TierError) {
    var settled = try volume.forgetting(try volume.catalog.file(named: entry.name, in: directory))
    var copy = try id.flatMap { (id) throws(TierError) in try sharedCopy(id) }
    if copy == nil, volume.isPrivileged, let record, record.state.withholdsContent {
      copy = try adoptedCopy(record, at: path)
    }
    if let copy {
      var file = fresh(entry, in: directory)
      file.state = .released
      file.copy = copy
      file.copy?.proof = .proven
      file.observeStub(entry.status)
      volume.judge(&file, at: path)
      settled.append(.put(file))
      if entry.status.kind == .regular { try take(placeholder: path) }
    }
    try volume.catalog.apply(settled)
  }

  /// One that wasn't known here: it may have been found resident before its mark came, as from a backup. The next look
  /// finds out what it holds, and makes it a link where no guard stands.
  private func take(placeholder path: RelativePath) throws(TierError) {
    try volume.guardPlaceholder(at: path)
    volume.requestExamination(of: path)
  }

  /// Anybody can write a link's text. It is believed of the file's own owner only, and within its policy: else an
  /// app could have another one's content restored to a place of its own.
  private func mayName(_ id: ArchiveID, _ status: FileStatus, at path: RelativePath) throws(TierError) -> Bool
  {
    let file = try volume.catalog.files(withArchiveID: id).first { $0.volume == volume.id }
    let removal = try volume.catalog.removals(withArchiveID: id).first { $0.volume == volume.id }
    guard let copy = file?.copy ?? removal?.copy, copy.metadata.owner == status.owner else { return false }
    var place = removal?.path
    if let file { place = try volume.path(of: file) }
    guard let place else { return false }
    return policy(of: copy, at: path) == policy(of: copy, at: place)
  }

  private func policy(of copy: ArchivedCopy, at path: RelativePath) -> String? {
    guard
      case .governed(let policy) = volume.policies.current.decide(
        volume: volume.name, path: path, size: copy.size)
    else { return nil }
    return policy.name
  }

  // MARK: Candidates

  /// Gives the row of the copy that the inode names to this inode, if it is its own: it was renamed. A copy of
  /// the file (`cp -a` takes the attribute along) or a second hard link is not.
  private func claim(
    _ id: ArchiveID, _ entry: DirectoryEntry, at path: RelativePath, in directory: DirectoryID
  ) throws(TierError) -> Bool {
    for var row in try volume.catalog.files(withArchiveID: id) where row.volume == volume.id {
      guard let old = try volume.path(of: row) else { continue }
      let isRowsInode = row.version.inode == entry.status.inode
      if old != path, let there = try status(of: old) {
        if there.inode == entry.status.inode { continue }
        if !isRowsInode, try names(id, old, there) { continue }
        if !isRowsInode, row.state != .released {
          // Something new took the old name, and with it the row, before the renamed file was seen here.
          var file = fresh(entry, in: directory)
          file.copy = row.copy
          row.copy = nil
          row.state = .resident
          volume.judge(&row, at: old)
          try settle(&file, entry, at: path, besides: [.put(row)])
          return true
        }
      }
      let isEqual = isRowsInode && row.version == entry.status.version
      if !isEqual, try !volume.isPlaceholder(path, of: id, at: "adopt.isPlaceholder") {
        row.state = .resident
      }
      row.directory = directory
      row.name = entry.name
      try settle(&row, entry, at: path, besides: [])
      return true
    }
    return false
  }

  /// Puts the row in its place, away with what had the place before, and lets its copy follow.
  private func settle(
    _ file: inout CatalogFile, _ entry: DirectoryEntry, at path: RelativePath, besides: [CatalogChange]
  ) throws(TierError) {
    let standing = try volume.catalog.file(named: entry.name, in: file.directory)
    var isStub = entry.status.kind == .symlink
    if !isStub, let id = file.copy?.archiveID {
      isStub = try volume.isPlaceholder(path, of: id, at: "adopt.isPlaceholder")
      if isStub { try take(placeholder: path) }
    }
    if isStub {
      file.state = .released
      file.observeStub(entry.status)
    } else {
      file.observe(entry.status)
    }
    volume.judge(&file, at: path)
    let displaced = standing?.id == file.id ? [] : try volume.forgetting(standing)
    let move = volume.move(for: file).map { [$0] } ?? []
    try volume.catalog.apply(displaced + besides + [.put(file)] + move)
  }

  private func write(_ changes: inout [CatalogChange]) throws(TierError) {
    try volume.catalog.apply(changes)
    changes = []
  }

  private func sharedCopy(_ id: ArchiveID) throws(TierError) -> ArchivedCopy? {
    try volume.catalog.files(withArchiveID: id).first { $0.volume == volume.id }?.copy
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
      if try status(of: old)?.inode != entry.status.inode { return candidate }
    }
    return nil
  }

  /// A name was taken for deleted while it was only on its way: takes the removal back, as far as it got.
  private func revive(
    _ id: ArchiveID, _ entry: DirectoryEntry, at path: RelativePath, in directory: DirectoryID
  ) throws(TierError) -> Bool {
    guard try volume.catalog.files(withArchiveID: id).isEmpty,
      let removal = try volume.catalog.removals(withArchiveID: id).first(where: { $0.volume == volume.id }),
      let removalID = removal.id
    else { return false }
    var file = fresh(entry, in: directory)
    file.copy = try volume.copyTakenBack(from: removal)
    try settle(&file, entry, at: path, besides: [.forgetRemoval(removalID)])
    return true
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

  // MARK: Looking

  private func status(of path: RelativePath) throws(TierError) -> FileStatus? {
    try wrapping("while looking for a renamed file") { () throws(SyscallError) in
      try volume.files.status(of: path, at: "adopt.status")
    }
  }

  /// True where what stands there says of itself that it is this copy's.
  private func names(_ id: ArchiveID, _ path: RelativePath, _ status: FileStatus) throws(TierError) -> Bool {
    switch status.kind {
    case .regular: try volume.identity(of: path, at: "adopt.attribute")?.archiveID == id
    case .symlink: try volume.isStub(path, of: id, at: "adopt.isStub")
    default: false
    }
  }

  private func linkIdentity(of path: RelativePath, _ status: FileStatus) throws(TierError) -> ArchiveID? {
    let text = try wrapping("while reading its link") { () throws(SyscallError) in
      try volume.files.readLink(path, at: "adopt.readlink")
    }
    guard let id = StubLink.parse(text)?.archiveID, try mayName(id, status, at: path) else { return nil }
    return id
  }
}

extension CatalogFile {
  /// In place of a placeholder's blocks: nobody has looked at what it holds since it got this row.
  static let unseen: Int64 = -1

  /// Takes over the stub's own inode and times; of a link, the size stays the file's.
  mutating func observeStub(_ status: FileStatus) {
    if status.kind == .regular {
      observe(status)
      allocated = Self.unseen
      return
    }
    let size = copy?.size ?? version.size
    observe(status)
    version.size = size
    if let metadata = copy?.metadata {
      mode = metadata.mode
      owner = metadata.owner
    }
  }
}
