import GRDB
import TierCore

extension SQLiteCatalog {
  package func openVolume(named name: String) throws(TierError) -> CatalogVolume {
    try write { db in
      try db.change(
        """
        INSERT INTO volumes (name, epoch, scan_needed, scan_reason) VALUES (?, 0, 1, 'first start')
          ON CONFLICT DO NOTHING
        """, [.text(name)])
      let select =
        "SELECT id, epoch, scan_needed, scan_resume_after, scan_completed, scan_reason FROM volumes"
      let volume = try db.row("\(select) WHERE name = ?", [.text(name)]) { row in
        try CatalogVolume(
          id: VolumeID(row.int64()), root: DirectoryID(0), epoch: Epoch(row.int64()),
          scan: ScanState(
            isNeeded: row.bool(), resumeAfter: row.optional { try $0.path() },
            lastCompleted: row.optional { $0.timestamp() }, reason: row.text()))
      }
      guard var volume else { throw ImpossibleValue("no row for the volume just made") }
      volume.root = try db.root(of: volume.id) ?? db.makeDirectory(Array(), in: nil, volume: volume.id)
      return volume
    }
  }

  package func setEpoch(_ epoch: Epoch, of volume: VolumeID) throws(TierError) {
    try write { db in
      try db.refuse(epoch, olderThanOf: volume)
      try db.change(
        "UPDATE volumes SET epoch = ? WHERE id = ?", [SQLValue(epoch.value), SQLValue(volume.value)])
    }
  }

  package func setScanState(_ state: ScanState, of volume: VolumeID) throws(TierError) {
    try write { db in
      let changed = try db.change(
        """
        UPDATE volumes SET scan_needed = ?, scan_resume_after = ?, scan_completed = ?, scan_reason = ?
          WHERE id = ?
        """,
        [
          SQLValue(state.isNeeded), SQLValue(state.resumeAfter?.bytes),
          SQLValue(state.lastCompleted?.nanoseconds),
          .text(state.reason), SQLValue(volume.value),
        ])
      guard changed == 1 else { throw TierError.unknown("volume \(volume.value)") }
    }
  }

  package func directory(at path: RelativePath, in volume: VolumeID) throws(TierError) -> DirectoryID? {
    try read { db in
      guard var directory = try db.root(of: volume) else { return nil }
      for name in path.components {
        guard let child = try db.directory(named: name.bytes, in: directory) else { return nil }
        directory = child
      }
      return directory
    }
  }

  package func path(of directory: DirectoryID) throws(TierError) -> RelativePath? {
    try read { db in try db.path(of: directory) }
  }

  package func makeDirectory(at path: RelativePath, inode: UInt64, in volume: VolumeID) throws(TierError)
    -> DirectoryID
  {
    try write { db in
      guard var directory = try db.root(of: volume) else { throw TierError.unknown("volume \(volume.value)") }
      for name in path.components {
        directory =
          try db.directory(named: name.bytes, in: directory)
          ?? db.makeDirectory(name.bytes, in: directory, volume: volume)
      }
      try db.change(
        "UPDATE directories SET inode = ?1 WHERE id = ?2 AND inode <> ?1",
        [SQLValue(Optional(inode)), SQLValue(directory.value)])
      return directory
    }
  }

  package func children(of directory: DirectoryID) throws(TierError)
    -> (files: [CatalogFile], directories: [CatalogDirectory])
  {
    try read { db in
      let id = SQLValue(directory.value)
      return (
        files: try db.rows("\(FileRows.select) WHERE directory = ? ORDER BY name", [id], FileRows.decode),
        directories: try db.rows("\(directoryColumns) WHERE parent = ? ORDER BY name", [id], decodeDirectory)
      )
    }
  }

  package func directories(withInode inode: UInt64, in volume: VolumeID) throws(TierError)
    -> [CatalogDirectory]
  {
    try read { db in
      try db.rows(
        "\(directoryColumns) WHERE volume = ? AND inode = ? ORDER BY id",
        [SQLValue(volume.value), SQLValue(Optional(inode))], decodeDirectory)
    }
  }
}

private let directoryColumns = "SELECT id, ifnull(parent, id), name, inode FROM directories"

/// The root's parent is itself, its name is empty.
private func decodeDirectory(_ row: inout RowReader) throws -> CatalogDirectory {
  CatalogDirectory(
    id: DirectoryID(row.int64()), parent: DirectoryID(row.int64()), name: FileName(trusted: row.blob()),
    inode: row.uint64())
}

/// The ids of the directory that is bound as `?1` and of all below it, however deep.
let subtree = """
  WITH RECURSIVE subtree (id) AS (
    VALUES (?1) UNION ALL SELECT directories.id FROM directories JOIN subtree ON parent = subtree.id)
  """

extension Database {
  func root(of volume: VolumeID) throws -> DirectoryID? {
    try row("SELECT id FROM directories WHERE volume = ? AND parent IS NULL", [SQLValue(volume.value)]) {
      DirectoryID($0.int64())
    }
  }

  func directory(named name: [UInt8], in parent: DirectoryID) throws -> DirectoryID? {
    try row(
      "SELECT id FROM directories WHERE parent = ? AND name = ?", [SQLValue(parent.value), .blob(name)]
    ) { DirectoryID($0.int64()) }
  }

  /// Nil where the directory or one above it is gone.
  func path(of directory: DirectoryID) throws -> RelativePath? {
    var names: [[UInt8]] = []
    var next: Int64? = directory.value
    while let id = next {
      let found = try row("SELECT parent, name FROM directories WHERE id = ?", [.integer(id)]) { row in
        (parent: row.optional { $0.int64() }, name: row.blob())
      }
      guard let found else { return nil }
      if found.parent != nil { names.append(found.name) }
      next = found.parent
    }
    let bytes = Array(names.reversed().joined(separator: [.slash]))
    guard let path = RelativePath(bytes) else {
      throw ImpossibleValue("a path: \(EscapedText.encode(bytes))")
    }
    return path
  }

  fileprivate func makeDirectory(_ name: [UInt8], in parent: DirectoryID?, volume: VolumeID) throws
    -> DirectoryID
  {
    let sql = "INSERT INTO directories (volume, parent, name, inode) VALUES (?, ?, ?, 0)"
    return DirectoryID(try insert(sql, [SQLValue(volume.value), SQLValue(parent?.value), .blob(name)]))
  }

  func refuse(_ epoch: Epoch, olderThanOf volume: VolumeID) throws {
    let stored = try row("SELECT epoch FROM volumes WHERE id = ?", [SQLValue(volume.value)]) { $0.int64() }
    guard let stored else { throw TierError.unknown("volume \(volume.value)") }
    guard epoch.value >= stored else {
      throw TierError(
        .catalog,
        "the volume has a newer owner (epoch \(stored), this is \(epoch.value)): nothing is done for the old one",
        disposition: .fatal)
    }
  }
}

extension TierError {
  /// For ids that no longer name anything: somebody else forgot it meanwhile.
  static func unknown(_ what: String) -> TierError {
    TierError(.notFound, "the catalog has no \(what) any more")
  }
}
