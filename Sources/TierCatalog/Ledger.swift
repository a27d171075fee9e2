import GRDB
import TierCore

extension SQLiteCatalog {
  package func removals(on target: String, stage: Removal.Stage, expiringBefore: Timestamp, limit: Int)
    throws(TierError) -> [Removal]
  {
    // Before the distant future means all, those that are kept for ever too.
    let limits = expiringBefore == .distantFuture ? "expires <= ?" : "expires < ?"
    return try read { db in
      try db.rows(
        "\(RemovalRow.select) WHERE copy_target = ? AND stage = ? AND \(limits) ORDER BY expires, id LIMIT ?",
        [.text(target), SQLValue(stage.rawValue), SQLValue(expiringBefore.nanoseconds), SQLValue(limit)],
        RemovalRow.decode)
    }
  }

  package func removals(at path: RelativePath, in volume: VolumeID, after: Removal?, limit: Int)
    throws(TierError) -> [Removal]
  {
    // What is below a path begins with it and a slash.
    let condition = path.isRoot ? "TRUE" : "(path = ?5 OR (path > ?6 AND path < ?7))"
    let bounds = [path.bytes, path.bytes + [.slash], path.bytes + [.slash + 1]].map(SQLValue.blob)
    let start = [
      SQLValue(after?.removedAt.nanoseconds ?? .max), SQLValue(after?.id.map(\.value) ?? .max),
    ]
    return try read { db in
      try db.rows(
        """
        \(RemovalRow.select) WHERE volume = ?1 AND stage < 2 AND (removed_at, id) < (?3, ?4) AND \(condition)
          ORDER BY removed_at DESC, id DESC LIMIT ?2
        """, [SQLValue(volume.value), SQLValue(limit)] + start + (path.isRoot ? [] : bounds),
        RemovalRow.decode)
    }
  }

  package func removals(withArchiveID id: ArchiveID) throws(TierError) -> [Removal] {
    try read { db in
      try db.rows(
        "\(RemovalRow.select) WHERE archive_id = ? AND stage < 2 ORDER BY id", [.blob(id.bytes)],
        RemovalRow.decode)
    }
  }

  package func postponeExpiry(by shift: Duration, now: Timestamp) throws(TierError) {
    // The years 1824 to 2116: a sum beyond an integer would become a floating-point number.
    let bound = Int64.max / 2
    let nanoseconds = min(max(shift.nanoseconds, -bound), bound)
    try write { db in
      try db.change(
        "UPDATE removals SET expires = expires + ? WHERE expires BETWEEN ? AND ?",
        [SQLValue(nanoseconds), SQLValue(-bound), SQLValue(bound)])
      try db.change(
        "UPDATE removals SET removed_at = ?1 WHERE removed_at > ?1", [SQLValue(now.nanoseconds)])
    }
  }

  package func moves(on target: String, limit: Int) throws(TierError) -> [TargetMove] {
    try read { db in
      try db.rows(
        """
        SELECT archive_id, target, queued FROM moves WHERE target = ? ORDER BY queued, archive_id LIMIT ?
        """, [.text(target), SQLValue(limit)]
      ) { row in
        try TargetMove(archiveID: row.archiveID(), target: row.text(), queued: row.timestamp())
      }
    }
  }

  package func copiesAstray(at places: [RelativePath], on target: String) throws(TierError)
    -> [ArchivedCopy]
  {
    if places.isEmpty { return [] }
    let among = "copy_path IN (\(places.map { _ in "?" }.joined(separator: ", ")))"
    let columns = "archive_id, \(CopyRow.columns)"
    let bound = [SQLValue.text(target)] + places.map { .blob($0.bytes) }
    let copies = try read { db in
      try db.rows(
        """
        SELECT \(columns.qualified(by: "files")) FROM moves CROSS JOIN files USING (archive_id)
          WHERE moves.target = ? AND \(among)
        """, bound
      ) { try CopyRow.decode(&$0) }
        + db.rows(
          "SELECT \(columns) FROM removals WHERE copy_target = ? AND stage = 0 AND \(among)", bound
        ) { try CopyRow.decode(&$0) }
    }
    return Dictionary(copies.compactMap { $0 }.map { ($0.archiveID, $0) }) { first, _ in first }
      .values.sorted { $0.path < $1.path }
  }

  /// The newest 10,000 windows are kept.
  package func record(_ window: WindowRecord) throws(TierError) -> WindowID {
    try write { db in
      if let id = window.id {
        let changed = try db.change(WindowRow.update, WindowRow.values(window) + [SQLValue(id.value)])
        guard changed == 1 else { throw TierError.unknown("window \(id.value)") }
        return id
      }
      let id = try db.insert(WindowRow.insert, WindowRow.values(window))
      try db.change("DELETE FROM windows WHERE id <= ?", [.integer(id - 10_000)])
      return WindowID(id)
    }
  }

  package func windows(of target: String?, limit: Int) throws(TierError) -> [WindowRecord] {
    try read { db in
      let condition = target == nil ? "" : "WHERE target = ?2"
      return try db.rows(
        "\(WindowRow.select) \(condition) ORDER BY id DESC LIMIT ?1",
        [SQLValue(limit)] + (target.map { [.text($0)] } ?? []), WindowRow.decode)
    }
  }

  package func totals(of volume: VolumeID) throws(TierError) -> VolumeTotals {
    try read { db in
      try db.totals(
        "SELECT state, governed, lost, files, bytes FROM volume_totals WHERE volume = ?", volume.value)
    }
  }

  package func totals(below directory: DirectoryID) throws(TierError) -> VolumeTotals {
    try read { db in
      let rootOf = "SELECT volume FROM directories WHERE id = ? AND parent IS NULL"
      if let volume = try db.row(rootOf, [SQLValue(directory.value)], { $0.int64() }) {
        return try db.totals(
          "SELECT state, governed, lost, files, bytes FROM volume_totals WHERE volume = ?", volume)
      }
      return try db.totals(
        """
        \(subtree) SELECT state, policy IS NOT NULL AS governed, lost, count(*), sum(counted_size)
          FROM subtree CROSS JOIN files ON directory = subtree.id GROUP BY state, governed, lost
        """, directory.value)
    }
  }

  package func setting(_ key: String) throws(TierError) -> [UInt8]? {
    try read { db in try db.row("SELECT value FROM settings WHERE key = ?", [.text(key)]) { $0.blob() } }
  }

  package func setSetting(_ key: String, to value: [UInt8]?) throws(TierError) {
    try write { db in
      guard let value else {
        try db.change("DELETE FROM settings WHERE key = ?", [.text(key)])
        return
      }
      try db.change(
        "INSERT INTO settings VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
        [.text(key), .blob(value)])
    }
  }
}

extension Database {
  func put(_ removal: Removal) throws {
    guard let id = removal.id else {
      _ = try insert(RemovalRow.insert, RemovalRow.values(removal))
      return
    }
    let changed = try change(RemovalRow.update, RemovalRow.values(removal) + [SQLValue(id.value)])
    guard changed == 1 else { throw TierError.unknown("removal \(id.value) (\(removal.path.escaped))") }
  }

  func put(_ move: TargetMove) throws {
    try change(
      """
      INSERT INTO moves VALUES (?, ?, ?) ON CONFLICT DO UPDATE
        SET target = excluded.target, queued = excluded.queued
      """, [.blob(move.archiveID.bytes), .text(move.target), SQLValue(move.queued.nanoseconds)])
  }

  fileprivate func totals(_ select: String, _ id: Int64) throws -> VolumeTotals {
    var totals = VolumeTotals()
    try forEachRow(select, [.integer(id)]) { row in
      let state = try row.value(FileState.init)
      let isGoverned = row.bool()
      let isLost = row.bool()
      let files = row.int()
      let bytes = row.int64()
      func add(to count: inout VolumeTotals.Count) {
        count.files += files
        count.bytes += bytes
      }
      switch state {
      case .resident: add(to: &totals.resident)
      case .archived: add(to: &totals.archived)
      case .released: add(to: &totals.released)
      }
      if !isGoverned { add(to: &totals.ungoverned) }
      if isLost { totals.lost += files }
      return true
    }
    return totals
  }
}

private enum RemovalRow {
  static let columns = """
    stage, volume, path, removed_at, trash_path, expires, archive_id, \(CopyRow.columns)
    """
  static let select = "SELECT id, \(columns) FROM removals"
  static let insert =
    "INSERT INTO removals (\(columns)) VALUES (\(FileRows.placeholders(columns)))"
  static let update =
    "UPDATE removals SET (\(columns)) = (\(FileRows.placeholders(columns))) WHERE id = ?"

  static func values(_ removal: Removal) -> [SQLValue] {
    [
      SQLValue(removal.stage.rawValue), SQLValue(removal.volume.value), .blob(removal.path.bytes),
      SQLValue(removal.removedAt.nanoseconds), SQLValue(removal.trashPath?.bytes),
      SQLValue(removal.expires.nanoseconds),
    ] + CopyRow.values(removal.copy)
  }

  static func decode(_ row: inout RowReader) throws -> Removal {
    let id = RemovalID(row.int64())
    let stage = try row.value(Removal.Stage.init)
    let volume = VolumeID(row.int64())
    let path = try row.path()
    let removedAt = row.timestamp()
    let trashPath = try row.optional { try $0.path() }
    let expires = row.timestamp()
    guard let copy = try CopyRow.decode(&row) else { throw ImpossibleValue("a removal without a copy") }
    return Removal(
      id: id, stage: stage, volume: volume, path: path, copy: copy, removedAt: removedAt,
      trashPath: trashPath, expires: expires)
  }
}

private enum WindowRow {
  static let columns = """
    target, opened, closed, cause, archived_files, archived_bytes, restored_files, restored_bytes, \
    changes_applied, failures, error
    """
  static let select = "SELECT id, \(columns) FROM windows"
  static let insert =
    "INSERT INTO windows (\(columns)) VALUES (\(FileRows.placeholders(columns)))"
  static let update =
    "UPDATE windows SET (\(columns)) = (\(FileRows.placeholders(columns))) WHERE id = ?"

  static func values(_ window: WindowRecord) -> [SQLValue] {
    [
      .text(window.target), SQLValue(window.opened.nanoseconds), SQLValue(window.closed?.nanoseconds),
      .text(window.cause), SQLValue(window.archivedFiles), SQLValue(window.archivedBytes),
      SQLValue(window.restoredFiles), SQLValue(window.restoredBytes), SQLValue(window.changesApplied),
      SQLValue(window.failures), SQLValue(window.error),
    ]
  }

  static func decode(_ row: inout RowReader) throws -> WindowRecord {
    WindowRecord(
      id: WindowID(row.int64()), target: row.text(), opened: row.timestamp(),
      closed: row.optional { $0.timestamp() }, cause: row.text(), archivedFiles: row.int(),
      archivedBytes: row.int64(), restoredFiles: row.int(), restoredBytes: row.int64(),
      changesApplied: row.int(), failures: row.int(), error: row.optional { $0.text() })
  }
}
