import GRDB
import TierCore

/// Writes only what differs: SQLite renews every index entry of the columns that a statement names, changed or
/// not, and most changes touch few of the ten indexes. A file that didn't change costs no write at all.
///
/// Columns go by groups, so that few different statements arise.
enum FileUpdate {
  /// Columns that share an index. Those of no group are in none, and written with any change.
  private static let groups = [
    "volume, directory, name", "state, lost, release_due, pinned_until", "inode", "size", "last_used",
    "target, archive_due, archive_by", "retry_at", "archive_id", "copy_target, archived_at", "proof",
  ].map { $0.split(separator: ", ") }

  private static let columns = FileRows.columns.split(separator: ", ")
  private static let groupOfColumn = columns.map { column in
    groups.firstIndex { $0.contains(column) } ?? groups.count
  }

  /// Nil where nothing differs. The file's id is to be bound last.
  static func statement(from stored: [SQLValue], to values: [SQLValue]) -> (sql: String, values: [SQLValue])?
  {
    let differing = values.indices.filter { values[$0] != stored[$0] }
    guard !differing.isEmpty else { return nil }
    let written = Set(differing.map { groupOfColumn[$0] }).union([groups.count])
    let chosen = values.indices.filter { written.contains(groupOfColumn[$0]) }
    let assignments = chosen.map { "\(columns[$0]) = ?" }.joined(separator: ", ")
    return ("UPDATE files SET \(assignments) WHERE id = ?", chosen.map { values[$0] })
  }
}

extension Database {
  /// As they would be written; nil where the file is unknown.
  func storedValues(ofFile id: Int64) throws -> [SQLValue]? {
    try row("\(FileRows.selectValues) WHERE id = ?", [.integer(id)]) { row in
      (0..<row.count).map { _ in row.raw() }
    }
  }

  func update(file id: Int64, from stored: [SQLValue], to values: [SQLValue]) throws {
    guard let update = FileUpdate.statement(from: stored, to: values) else { return }
    try change(update.sql, update.values + [.integer(id)])
  }
}
