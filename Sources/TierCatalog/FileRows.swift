import GRDB
import TierCore

/// Files as rows. The order of the columns is the order in which they are written and read.
enum FileRows {
  static let columns = """
    volume, directory, name, state, inode, size, mtime_s, mtime_ns, ctime_s, ctime_ns, links, owner, mode, \
    allocated, first_seen, last_used, policy, target, archive_due, archive_by, release_due, pinned_until, \
    held_reason, retry_at, lost, archive_id, \(CopyRow.columns)
    """
  /// Volume, directory and name.
  static let placeCount = 3
  static let selectValues = "SELECT \(columns) FROM files"
  static let select = "SELECT files.id, \(columns.qualified(by: "files")) FROM files"
  static let insert = "INSERT INTO files (\(columns)) VALUES (\(placeholders(columns)))"

  static func placeholders(_ columns: String) -> String {
    columns.split(separator: ",").map { _ in "?" }.joined(separator: ", ")
  }

  static func values(_ file: CatalogFile) -> [SQLValue] {
    [
      SQLValue(file.volume.value), SQLValue(file.directory.value), .blob(file.name.bytes),
      SQLValue(file.state.rawValue), SQLValue(Optional(file.version.inode)), SQLValue(file.version.size),
      SQLValue(file.version.modified.seconds), SQLValue(file.version.modified.nanoseconds),
      SQLValue(file.version.changed.seconds), SQLValue(file.version.changed.nanoseconds),
      SQLValue(file.links), SQLValue(file.owner), SQLValue(file.mode), SQLValue(file.allocated),
      SQLValue(file.firstSeen.nanoseconds), SQLValue(file.lastUsed.nanoseconds), SQLValue(file.policy),
      SQLValue(file.target), SQLValue(file.archiveDue?.nanoseconds), SQLValue(file.archiveBy?.nanoseconds),
      SQLValue(file.releaseDue?.nanoseconds), SQLValue(file.pinnedUntil?.nanoseconds),
      SQLValue(file.heldReason), SQLValue(file.retryAt?.nanoseconds), SQLValue(file.isLost),
    ] + CopyRow.values(file.copy)
  }

  static func decode(_ row: inout RowReader) throws -> CatalogFile {
    try CatalogFile(
      id: FileID(row.int64()), volume: VolumeID(row.int64()), directory: DirectoryID(row.int64()),
      name: row.fileName(), state: row.value(FileState.init), version: row.version(), links: row.integer(),
      owner: row.integer(), mode: row.integer(), allocated: row.int64(), firstSeen: row.timestamp(),
      lastUsed: row.timestamp(), policy: row.optional { $0.text() }, target: row.optional { $0.text() },
      archiveDue: row.optional { $0.timestamp() }, archiveBy: row.optional { $0.timestamp() },
      releaseDue: row.optional { $0.timestamp() }, pinnedUntil: row.optional { $0.timestamp() },
      heldReason: row.optional { $0.text() }, retryAt: row.optional { $0.timestamp() }, isLost: row.bool()
    ).with(copy: CopyRow.decode(&row))
  }
}

extension RowReader {
  mutating func timestamp() -> Timestamp { Timestamp(nanoseconds: int64()) }

  mutating func fileTime() throws -> FileTime { try FileTime(seconds: int64(), nanoseconds: integer()) }

  mutating func version() throws -> FileVersion {
    try FileVersion(inode: uint64(), size: int64(), modified: fileTime(), changed: fileTime())
  }

  mutating func fileName() throws -> FileName {
    let bytes = blob()
    guard let name = FileName(bytes) else { throw ImpossibleValue("a name: \(EscapedText.encode(bytes))") }
    return name
  }

  mutating func path() throws -> RelativePath {
    let bytes = blob()
    guard let path = RelativePath(bytes) else {
      throw ImpossibleValue("a path: \(EscapedText.encode(bytes))")
    }
    return path
  }

  mutating func archiveID() throws -> ArchiveID {
    let bytes = blob()
    guard let id = ArchiveID(bytes: bytes) else {
      throw ImpossibleValue("an archive id of \(bytes.count) bytes")
    }
    return id
  }

  mutating func contentHash() throws -> ContentHash {
    let bytes = blob()
    guard let hash = ContentHash(bytes) else { throw ImpossibleValue("a hash of \(bytes.count) bytes") }
    return hash
  }

  mutating func value<Value>(_ make: (UInt8) -> Value?) throws -> Value {
    let raw: UInt8 = try integer()
    guard let value = make(raw) else { throw ImpossibleValue("\(raw) for a \(Value.self)") }
    return value
  }
}

extension CatalogFile {
  fileprivate func with(copy: ArchivedCopy?) -> CatalogFile {
    var file = self
    file.copy = copy
    return file
  }
}

extension ArchiveID {
  var bytes: [UInt8] {
    [high, low].flatMap { half in (0..<8).map { UInt8(truncatingIfNeeded: half >> (56 - 8 * $0)) } }
  }

  init?(bytes: [UInt8]) {
    guard bytes.count == 16 else { return nil }
    func half(_ bytes: ArraySlice<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }
    self.init(high: half(bytes[..<8]), low: half(bytes[8...]))
  }
}

extension String {
  /// `a, b` as `table.a, table.b`.
  func qualified(by table: String) -> String {
    split(separator: ", ").map { "\(table).\($0)" }.joined(separator: ", ")
  }
}
