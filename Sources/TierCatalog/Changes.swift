import GRDB
import TierCore

/// One `apply`: changes in order, and what they pushed from its place settled at the end.
///
/// A file or directory whose place another one takes is set aside under a name that no file system can give
/// (it begins with a NUL). A later change of the same call may give it a new place, so that two names can be
/// swapped. What is still aside at the end goes: files, and directories that are empty.
struct ChangeApplication {
  let db: Database
  private var asideFiles: [Int64] = []
  private var asideDirectories: [Int64] = []

  static func apply(_ changes: [CatalogChange], to db: Database) throws {
    var application = ChangeApplication(db: db)
    for change in changes { try application.apply(change) }
    try application.settle()
  }

  private init(db: Database) { self.db = db }

  private mutating func apply(_ change: CatalogChange) throws {
    switch change {
    case .put(let file): try put(file)
    case .forget(let id): try db.change("DELETE FROM files WHERE id = ?", [SQLValue(id.value)])
    case .moveDirectory(let id, let parent, let name, let now):
      try moveDirectory(id, to: parent, name: name)
      try queueMoves(below: id, at: now)
    case .forgetDirectory(let id): try forgetDirectory(id)
    case .putRemoval(let removal): try db.put(removal)
    case .forgetRemoval(let id): try db.change("DELETE FROM removals WHERE id = ?", [SQLValue(id.value)])
    case .putMove(let move): try db.put(move)
    case .forgetMove(let id): try db.change("DELETE FROM moves WHERE archive_id = ?", [.blob(id.bytes)])
    }
  }

  private mutating func put(_ file: CatalogFile) throws {
    let values = FileRows.values(file)
    if let id = file.id {
      guard let stored = try db.storedValues(ofFile: id.value) else {
        throw TierError.unknown("file \(id.value) (\(file.name))")
      }
      if stored[..<FileRows.placeCount] != values[..<FileRows.placeCount] { try pushAside(from: file) }
      try db.update(file: id.value, from: stored, to: values)
    } else {
      try pushAside(from: file)
      _ = try db.insert(FileRows.insert, values)
    }
  }

  private mutating func pushAside(from file: CatalogFile) throws {
    asideFiles += try db.rows(
      """
      UPDATE files SET name = CAST(char(0) || id AS BLOB) WHERE directory = ? AND name = ? AND id IS NOT ?
        RETURNING id
      """, [SQLValue(file.directory.value), .blob(file.name.bytes), SQLValue(file.id?.value)]
    ) { $0.int64() }
  }

  private mutating func moveDirectory(_ id: DirectoryID, to parent: DirectoryID, name: FileName) throws {
    guard let from = try place(of: id), let to = try place(of: parent) else {
      throw TierError.unknown("directory \(id.value) or \(parent.value)")
    }
    guard from.parent != nil, from.volume == to.volume, try !isWithin(parent, id) else {
      throw TierError(
        .internalFault, "a directory was to be moved into itself or to another volume", path: name.description
      )
    }
    asideDirectories += try db.rows(
      """
      UPDATE directories SET name = CAST(char(0) || id AS BLOB) WHERE parent = ? AND name = ? AND id <> ?
        RETURNING id
      """, [SQLValue(parent.value), .blob(name.bytes), SQLValue(id.value)]
    ) { $0.int64() }
    try db.change(
      "UPDATE directories SET parent = ?, name = ? WHERE id = ?",
      [SQLValue(parent.value), .blob(name.bytes), SQLValue(id.value)])
  }

  private func queueMoves(below directory: DirectoryID, at now: Timestamp) throws {
    try db.change(
      """
      \(subtree) INSERT INTO moves SELECT archive_id, copy_target, ?2
        FROM subtree CROSS JOIN files ON directory = subtree.id WHERE archive_id IS NOT NULL
        ON CONFLICT DO UPDATE SET target = excluded.target, queued = excluded.queued
      """, [SQLValue(directory.value), SQLValue(now.nanoseconds)])
  }

  private func forgetDirectory(_ id: DirectoryID) throws {
    guard let place = try place(of: id) else { return }
    guard place.parent != nil else {
      throw TierError(.internalFault, "a volume's root can't be forgotten")
    }
    let unsaved = try db.row(
      """
      \(subtree) SELECT name FROM files WHERE directory IN (SELECT id FROM subtree) AND archive_id IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM removals WHERE removals.archive_id = files.archive_id)
        AND NOT EXISTS (SELECT 1 FROM files other WHERE other.archive_id = files.archive_id
          AND other.id <> files.id)
        LIMIT 1
      """, [SQLValue(id.value)]
    ) { EscapedText.encode($0.blob()) }
    if let unsaved {
      throw TierError(
        .internalFault, "a directory was to be forgotten with a file in it whose copy nobody would know of",
        path: unsaved)
    }
    try db.change(
      "\(subtree) DELETE FROM files WHERE directory IN (SELECT id FROM subtree)", [SQLValue(id.value)])
    try db.change(
      "\(subtree) DELETE FROM directories WHERE id IN (SELECT id FROM subtree)", [SQLValue(id.value)])
  }

  private func settle() throws {
    for id in asideFiles {
      try db.change("DELETE FROM files WHERE id = ? AND substr(name, 1, 1) = x'00'", [.integer(id)])
    }
    for id in asideDirectories {
      let stillAside = "SELECT name FROM directories WHERE id = ? AND substr(name, 1, 1) = x'00'"
      guard try db.row(stillAside, [.integer(id)], { $0.blob() }) != nil else { continue }
      let hasChildren = """
        SELECT EXISTS (SELECT 1 FROM files WHERE directory = ?1)
          OR EXISTS (SELECT 1 FROM directories WHERE parent = ?1)
        """
      guard try db.row(hasChildren, [.integer(id)], { $0.bool() }) == false else {
        throw TierError(
          .internalFault, "a directory was to take the name of one that isn't empty and has no new place")
      }
      try db.change("DELETE FROM directories WHERE id = ?", [.integer(id)])
    }
  }

  private func place(of directory: DirectoryID) throws -> (volume: Int64, parent: Int64?)? {
    try db.row("SELECT volume, parent FROM directories WHERE id = ?", [SQLValue(directory.value)]) { row in
      (volume: row.int64(), parent: row.optional { $0.int64() })
    }
  }

  private func isWithin(_ directory: DirectoryID, _ ancestor: DirectoryID) throws -> Bool {
    var next: Int64? = directory.value
    while let id = next {
      if id == ancestor.value { return true }
      next = try place(of: DirectoryID(id))?.parent
    }
    return false
  }
}
