import TierCore

/// Compares one directory with the catalog and writes down the difference. The only way by which what apps did
/// enters the catalog, whatever made us look: an event, a scan, a doubt.
struct Reconciler {
  let volume: Volume
  let adopter: Adopter
  private let conversion: PlaceholderConversion
  /// Called with what the catalog knows and the directory no longer shows; judged later (`MissingNames`).
  let missing: (RelativePath) -> Void

  init(volume: Volume, links: SymlinkStub, missing: @escaping (RelativePath) -> Void) {
    self.volume = volume
    conversion = PlaceholderConversion(volume: volume, links: links)
    adopter = Adopter(volume: volume)
    self.missing = missing
  }

  struct Outcome {
    /// Sorted.
    var subdirectories: [FileName] = []
    var files = 0
  }

  /// Compares all names of a directory, not below it, for a caller that is committing. Nil where there is no such
  /// directory any more.
  func directory(_ path: RelativePath) throws(TierError) -> Outcome? {
    guard let entries = try list(path) else {
      missing(path)
      return nil
    }
    let id = try directoryID(path)
    let rows = try volume.catalog.children(of: id)
    var files = Dictionary(uniqueKeysWithValues: rows.files.map { ($0.name, $0) })
    var directories = Dictionary(uniqueKeysWithValues: rows.directories.map { ($0.name, $0) })
    var changes: [CatalogChange] = []
    var isOutdated = false
    var subdirectories: [FileName] = []
    for entry in entries where path != .root || entry.name != Volume.ownFolder.name {
      guard volume.holds(entry.status) else {
        // Something is mounted over it: what it hides is still there.
        files[entry.name] = nil
        directories[entry.name] = nil
        continue
      }
      if entry.status.kind == .directory {
        subdirectories.append(entry.name)
        try settle(
          directory: entry, at: path.appending(entry.name), row: directories.removeValue(forKey: entry.name)
        )
      } else {
        var row = files.removeValue(forKey: entry.name)
        if isOutdated { row = try volume.catalog.file(named: entry.name, in: id) }
        do throws(TierError) {
          if try examine(entry, at: path.appending(entry.name), in: id, row: row, &changes) {
            isOutdated = true
          }
        } catch {
          // It was moved or deleted since it was listed.
          guard error.code == .notFound else { throw error }
          missing(path.appending(entry.name))
        }
      }
    }
    try volume.catalog.apply(changes)
    for name in files.keys { missing(path.appending(name)) }
    for name in directories.keys { missing(path.appending(name)) }
    return Outcome(
      subdirectories: subdirectories.sorted { $0.bytes.lexicographicallyPrecedes($1.bytes) },
      files: entries.count - subdirectories.count)
  }

  /// Compares one name. True where it is a directory, whose inside the caller may want to see too.
  func name(_ path: RelativePath) throws(TierError) -> Bool {
    guard let name = path.name, !path.isWithin(Volume.ownFolder) else { return false }
    return try volume.committing { () throws(TierError) in
      guard let status = try status(path) else {
        missing(path)
        return false
      }
      guard volume.holds(status) else { return false }
      let entry = DirectoryEntry(name: name, status: status)
      if status.kind == .directory {
        let parent = try volume.catalog.directory(at: path.parent, in: volume.id)
        let siblings = try parent.map { (id) throws(TierError) in try volume.catalog.children(of: id) }
        try settle(directory: entry, at: path, row: siblings?.directories.first { $0.name == name })
        return true
      }
      let parent = try directoryID(path.parent)
      let row = try volume.catalog.file(named: name, in: parent)
      var changes: [CatalogChange] = []
      _ = try examine(entry, at: path, in: parent, row: row, &changes)
      try volume.catalog.apply(changes)
      return false
    }
  }

  /// An app opened or closed the file without writing.
  func used(_ path: RelativePath) throws(TierError) {
    guard let name = path.name, !volume.isOwnUse(of: path) else { return }
    try volume.committing { () throws(TierError) in
      guard let parent = try volume.catalog.directory(at: path.parent, in: volume.id),
        var row = try volume.catalog.file(named: name, in: parent)
      else { return }
      row.lastUsed = max(row.lastUsed, volume.clock.now)
      volume.judge(&row, at: path)
      try volume.catalog.apply([.put(row)])
    }
  }

  // MARK: One entry

  /// Adds what is to be written down; true where more was written down at once, so that rows read before may be
  /// outdated.
  private func examine(
    _ entry: DirectoryEntry, at path: RelativePath, in directory: DirectoryID, row: CatalogFile?,
    _ changes: inout [CatalogChange]
  ) throws(TierError) -> Bool {
    switch entry.status.kind {
    case .regular:
      if let row = try withholding(row, entry.status, at: path), row.version.inode == entry.status.inode {
        if row.state != .released {
          changes += known(row, entry.status, at: path)
          return false
        }
        if volume.stubMode.guardian == nil, try conversion.convert(row) { return true }
        if let seen = try PlaceholderLook(volume: volume, path: path).changes(to: row, entry.status) {
          changes += seen
          return false
        }
      }
      return try adopter.regular(entry, at: path, in: directory, replacing: row, after: &changes)
    case .symlink:
      guard let row, row.isStub(entry.status) else {
        return try adopter.symlink(entry, at: path, in: directory, replacing: row, after: &changes)
      }
      changes += judged(row, at: path)
    case .directory, .fifo, .socket, .device:
      if row != nil { missing(path) }
    }
    return false
  }

  /// The row of a file that changed, as a released one's where the file says that its content is on the target: it came
  /// back as a placeholder, from a backup or with a catalog's, and what it holds must never be archived.
  private func withholding(_ row: CatalogFile?, _ status: FileStatus, at path: RelativePath) throws(TierError)
    -> CatalogFile?
  {
    guard var row, row.state != .released, row.version != status.version, volume.isPrivileged,
      let identity = try volume.identity(of: path, at: "reconcile.identity"), identity.state.withholdsContent
    else { return row }
    // Another one's: nothing that the row knows is this file's.
    guard identity.archiveID == row.copy?.archiveID else { return nil }
    try volume.guardPlaceholder(at: path)
    row.state = .released
    row.allocated = CatalogFile.unseen
    return row
  }

  private func known(_ row: CatalogFile, _ status: FileStatus, at path: RelativePath) -> [CatalogChange] {
    var known = row
    if known.version != status.version || known.links != status.links {
      known.state = .resident
      known.heldReason = nil
      known.retryAt = nil
    }
    known.observe(status)
    volume.judge(&known, at: path)
    return known == row ? [] : [.put(known)]
  }

  private func judged(_ row: CatalogFile, at path: RelativePath) -> [CatalogChange] {
    var known = row
    volume.judge(&known, at: path)
    return known == row ? [] : [.put(known)]
  }

  // MARK: Directories

  /// Finds or makes the directory's row; one that was renamed keeps its row and all below it.
  private func settle(
    directory entry: DirectoryEntry, at path: RelativePath, row: CatalogDirectory?
  ) throws(TierError) {
    if let row, row.inode == entry.status.inode || row.inode == 0 { return }
    for candidate in try volume.catalog.directories(withInode: entry.status.inode, in: volume.id) {
      guard let old = try volume.catalog.path(of: candidate.id), old != path, !path.isWithin(old) else {
        continue
      }
      if let there = try status(old), there.inode == entry.status.inode { continue }
      guard row == nil, try resembles(path, candidate) else { continue }
      let parent = try directoryID(path.parent)
      // Policies may differ at the new place, which the scan of the subtree (the caller's next step) finds.
      try volume.catalog.apply([
        .moveDirectory(candidate.id, to: parent, name: entry.name, at: volume.clock.now)
      ])
      return
    }
    _ = try volume.catalog.makeDirectory(at: path, inode: entry.status.inode, in: volume.id)
  }

  /// An inode number is soon used again: a directory is the renamed one only if something known is still in it.
  private func resembles(_ path: RelativePath, _ candidate: CatalogDirectory) throws(TierError) -> Bool {
    let known = try volume.catalog.children(of: candidate.id)
    let inodes = Set(known.files.map(\.version.inode) + known.directories.map(\.inode))
    return try list(path)?.contains { inodes.contains($0.status.inode) } ?? false
  }

  private func directoryID(_ path: RelativePath) throws(TierError) -> DirectoryID {
    if path.isRoot { return volume.rootDirectory }
    if let id = try volume.catalog.directory(at: path, in: volume.id) { return id }
    let inode = try status(path)?.inode ?? 0
    return try volume.catalog.makeDirectory(at: path, inode: inode, in: volume.id)
  }

  // MARK: Looking

  private func status(_ path: RelativePath) throws(TierError) -> FileStatus? {
    try wrapping("while comparing it with the catalog") { () throws(SyscallError) in
      try volume.files.status(of: path, at: "reconcile.status")
    }
  }

  /// Nil where there is no such directory (any more).
  private func list(_ path: RelativePath) throws(TierError) -> [DirectoryEntry]? {
    do {
      return try volume.files.list(path, at: "reconcile.list")
    } catch {
      if (error.isMissing || error.isLink) && !path.isRoot { return nil }
      throw TierError(error, while: "listing it")
    }
  }
}

extension CatalogFile {
  /// True for the stub that was last seen. The inode alone doesn't tell: an app that deletes a stub and makes
  /// something new may be given the very same one; but hardly with the file's old time as well.
  func isStub(_ status: FileStatus) -> Bool {
    state == .released && status.kind == .symlink && status.inode == version.inode
      && status.modified == version.modified
  }

  /// Takes over what was seen.
  mutating func observe(_ status: FileStatus) {
    version = status.version
    links = status.links
    owner = status.owner
    mode = status.mode
    allocated = status.allocated
  }
}

extension Volume {
  /// Lets the policies in force decide on a file: fills in policy, target and the three dates.
  func judge(_ file: inout CatalogFile, at path: RelativePath) {
    file.policy = nil
    file.target = nil
    file.archiveDue = nil
    file.archiveBy = nil
    file.releaseDue = nil
    let size = file.state == .released ? file.copy?.size ?? 0 : file.version.size
    guard case .governed(let policy) = policies.current.decide(volume: name, path: path, size: size) else {
      return
    }
    file.policy = policy.name
    file.target = policy.target
    guard file.links == 1 else { return }
    let now = clock.now
    file.firstSeen = min(file.firstSeen, now)
    file.lastUsed = min(file.lastUsed, now)
    let modified = believable(file.version.modified, now) ?? file.firstSeen
    let changed = max(modified, believable(file.version.changed, now) ?? file.firstSeen, file.firstSeen)
    let dates = policy.dates(lastChange: changed, lastUse: file.lastUsed, size: size)
    if file.state == .resident {
      file.archiveDue = dates.archiveDue
      file.archiveBy = dates.archiveBy
    }
    if file.state == .archived {
      // Our own attribute moved ctime when the file was archived: its age counts from its content and use.
      let quiet = max(modified, file.firstSeen)
      file.releaseDue = policy.dates(lastChange: quiet, lastUse: file.lastUsed, size: size).releaseDue
    }
  }

  /// Another machine's clock may be ahead a little. A time further in the future, a camera's or one from before
  /// our own clock was set right, tells nothing: taken for "now" at every look, it would postpone for ever.
  private func believable(_ time: FileTime, _ now: Timestamp) -> Timestamp? {
    time.timestamp - now > .seconds(24 * 3600) ? nil : min(time.timestamp, now)
  }

  /// The rename that a file's copy has to follow; nil where it has none.
  func move(for file: CatalogFile) -> CatalogChange? {
    file.copy.map { copy in
      .putMove(TargetMove(archiveID: copy.archiveID, target: copy.target, queued: clock.now))
    }
  }
}
