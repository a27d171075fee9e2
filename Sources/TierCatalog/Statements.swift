import GRDB
import GRDBSQLite

/// Binding and reading without boxing each value: rows of files are wide, and a scan moves a million of them.
enum SQLValue: Equatable {
  case null
  case integer(Int64)
  case text(String)
  case blob([UInt8])

  init(_ value: Int64?) { self = value.map(Self.integer) ?? .null }
  init(_ value: UInt64?) { self = value.map { .integer(Int64(bitPattern: $0)) } ?? .null }
  init(_ value: String?) { self = value.map(Self.text) ?? .null }
  init(_ value: [UInt8]?) { self = value.map(Self.blob) ?? .null }
  init(_ value: some BinaryInteger) { self = .integer(Int64(value)) }
  init(_ value: Bool) { self = .integer(value ? 1 : 0) }
}

/// The current row's columns, taken from left to right.
struct RowReader {
  private let statement: OpaquePointer
  private var column: Int32 = 0

  fileprivate init(_ statement: OpaquePointer) { self.statement = statement }

  private mutating func next() -> Int32 {
    defer { column += 1 }
    return column
  }

  mutating func int64() -> Int64 { sqlite3_column_int64(statement, next()) }
  mutating func int() -> Int { Int(int64()) }
  mutating func bool() -> Bool { int64() != 0 }
  mutating func uint64() -> UInt64 { UInt64(bitPattern: int64()) }

  /// A narrower integer; throws where the value doesn't fit.
  mutating func integer<Value: FixedWidthInteger>(_ type: Value.Type = Value.self) throws -> Value {
    let wide = int64()
    guard let value = Value(exactly: wide) else { throw ImpossibleValue("\(wide) for a \(Value.self)") }
    return value
  }

  mutating func text() -> String { String(decoding: blob(), as: UTF8.self) }

  mutating func blob() -> [UInt8] {
    let column = next()
    guard let start = sqlite3_column_blob(statement, column) else { return [] }
    return Array(UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(statement, column))))
  }

  /// Nil, and one column taken, where the next column is NULL.
  mutating func optional<Value>(_ read: (inout RowReader) throws -> Value) rethrows -> Value? {
    if sqlite3_column_type(statement, column) == SQLITE_NULL {
      column += 1
      return nil
    }
    return try read(&self)
  }

  var count: Int { Int(sqlite3_column_count(statement)) }

  /// Whatever it is.
  mutating func raw() -> SQLValue {
    switch sqlite3_column_type(statement, column) {
    case SQLITE_NULL: optional { $0.raw() } ?? .null
    case SQLITE_INTEGER: .integer(int64())
    case SQLITE_TEXT: .text(text())
    default: .blob(blob())
    }
  }

  mutating func skip(_ count: Int32) { column += count }
}

extension Database {
  func rows<Value>(
    _ sql: String, _ values: [SQLValue] = [], _ decode: (inout RowReader) throws -> Value
  ) throws -> [Value] {
    var found: [Value] = []
    try forEachRow(sql, values) { row in
      found.append(try decode(&row))
      return true
    }
    return found
  }

  /// The first row of a query.
  func row<Value>(
    _ sql: String, _ values: [SQLValue] = [], _ decode: (inout RowReader) throws -> Value
  ) throws -> Value? {
    var found: Value?
    try forEachRow(sql, values) { row in
      found = try decode(&row)
      return false
    }
    return found
  }

  /// The number of rows that the statement itself changed, without those of triggers.
  @discardableResult
  func change(_ sql: String, _ values: [SQLValue] = []) throws -> Int {
    try forEachRow(sql, values) { _ in true }
    return changesCount
  }

  /// The new row's id. Not by `RETURNING`: SQLite checks foreign keys when a statement ends, and one that is
  /// left after its first row doesn't.
  func insert(_ sql: String, _ values: [SQLValue]) throws -> Int64 {
    try change(sql, values)
    return lastInsertedRowID
  }

  /// Goes on until `body` returns false: only queries may be left early.
  func forEachRow(_ sql: String, _ values: [SQLValue], _ body: (inout RowReader) throws -> Bool) throws {
    let statement = try cachedStatement(sql: sql).sqliteStatement
    defer {
      sqlite3_reset(statement)
      sqlite3_clear_bindings(statement)
    }
    for (index, value) in values.enumerated() { try bind(value, to: statement, at: Int32(index + 1)) }
    while true {
      switch sqlite3_step(statement) {
      case SQLITE_ROW:
        var row = RowReader(statement)
        if try !body(&row) { return }
      case SQLITE_DONE:
        return
      default:
        throw lastError()
      }
    }
  }

  private func bind(_ value: SQLValue, to statement: OpaquePointer, at index: Int32) throws {
    // SQLite copies at once what it is given with this destructor.
    let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)
    let code =
      switch value {
      case .null: sqlite3_bind_null(statement, index)
      case .integer(let integer): sqlite3_bind_int64(statement, index, integer)
      case .text(let text): sqlite3_bind_text(statement, index, text, Int32(text.utf8.count), transient)
      case .blob(let bytes):
        bytes.isEmpty
          ? sqlite3_bind_zeroblob(statement, index, 0)
          : sqlite3_bind_blob(statement, index, bytes, Int32(bytes.count), transient)
      }
    if code != SQLITE_OK { throw lastError() }
  }

  private func lastError() -> DatabaseError {
    DatabaseError(
      resultCode: ResultCode(rawValue: sqlite3_extended_errcode(sqliteConnection)),
      message: sqlite3_errmsg(sqliteConnection).map { String(cString: $0) })
  }
}
