import GRDB
import TierCore

extension SQLiteCatalog {
  package func begin(_ intents: [Intent]) throws(TierError) -> [IntentID] {
    guard !intents.isEmpty else { return [] }
    return try write { db in
      try intents.map { intent in
        try db.refuse(intent.epoch, olderThanOf: intent.volume)
        return IntentID(try db.insert(IntentRow.insert, IntentRow.values(intent)))
      }
    }
  }

  package func advance(_ intents: [Intent]) throws(TierError) {
    guard !intents.isEmpty else { return }
    try write { db in
      for intent in intents {
        guard let id = intent.id else {
          throw TierError(
            .internalFault, "an intent can't advance before it began", path: intent.path.escaped)
        }
        let changed = try db.change(IntentRow.update, IntentRow.values(intent) + [SQLValue(id.value)])
        guard changed == 1 else { throw TierError.unknown("intent \(id.value)") }
      }
    }
  }

  package func finish(_ intents: [IntentID], applying changes: [CatalogChange]) throws(TierError) {
    guard !intents.isEmpty || !changes.isEmpty else { return }
    try write { db in
      for id in intents {
        let changed = try db.change("DELETE FROM intents WHERE id = ?", [SQLValue(id.value)])
        guard changed == 1 else { throw TierError.unknown("intent \(id.value)") }
      }
      try ChangeApplication.apply(changes, to: db)
    }
  }

  package func openIntents(limit: Int) throws(TierError) -> [Intent] {
    try read { db in
      try db.rows("\(IntentRow.select) ORDER BY id LIMIT ?", [SQLValue(limit)], IntentRow.decode)
    }
  }

  package func openIntents(for file: FileID) throws(TierError) -> [Intent] {
    try read { db in
      try db.rows("\(IntentRow.select) WHERE file = ? ORDER BY id", [SQLValue(file.value)], IntentRow.decode)
    }
  }

  package func openIntents(withArchiveID id: ArchiveID) throws(TierError) -> [Intent] {
    try read { db in
      try db.rows(
        "\(IntentRow.select) WHERE archive_id = ? ORDER BY id", [.blob(id.bytes)], IntentRow.decode)
    }
  }
}

private enum IntentRow {
  static let columns = """
    kind, step, epoch, volume, file, path, target, target_path, new_target_path, archive_id, inode, size, \
    mtime_s, mtime_ns, ctime_s, ctime_ns, hash, begun
    """
  static let select = "SELECT id, \(columns) FROM intents"
  static let insert =
    "INSERT INTO intents (\(columns)) VALUES (\(FileRows.placeholders(columns)))"
  static let update =
    "UPDATE intents SET (\(columns)) = (\(FileRows.placeholders(columns))) WHERE id = ?"

  static func values(_ intent: Intent) -> [SQLValue] {
    let version = intent.version
    return [
      SQLValue(intent.kind.rawValue), SQLValue(intent.step), SQLValue(intent.epoch.value),
      SQLValue(intent.volume.value), SQLValue(intent.file?.value), .blob(intent.path.bytes),
      .text(intent.target), .blob(intent.targetPath.bytes), SQLValue(intent.newTargetPath?.bytes),
      .blob(intent.archiveID.bytes), SQLValue(version?.inode), SQLValue(version?.size),
      SQLValue(version?.modified.seconds), SQLValue((version?.modified.nanoseconds).map(Int64.init)),
      SQLValue(version?.changed.seconds), SQLValue((version?.changed.nanoseconds).map(Int64.init)),
      SQLValue(intent.hash?.bytes), SQLValue(intent.begun.nanoseconds),
    ]
  }

  static func decode(_ row: inout RowReader) throws -> Intent {
    var intent = try Intent(
      id: IntentID(row.int64()), kind: row.value(Intent.Kind.init), step: row.integer(),
      epoch: Epoch(row.int64()), volume: VolumeID(row.int64()), file: row.optional { FileID($0.int64()) },
      path: row.path(), target: row.text(), targetPath: row.path(),
      newTargetPath: row.optional { try $0.path() }, archiveID: row.archiveID(), begun: Timestamp(seconds: 0))
    if let inode = row.optional({ $0.uint64() }) {
      intent.version = try FileVersion(
        inode: inode, size: row.int64(), modified: row.fileTime(), changed: row.fileTime())
    } else {
      row.skip(5)
    }
    intent.hash = try row.optional { try $0.contentHash() }
    intent.begun = row.timestamp()
    return intent
  }
}
