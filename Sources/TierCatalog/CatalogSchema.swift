import GRDB
import TierCore

/// The schema's history: step n leads from version n to n + 1. A step that was released never changes.
struct CatalogSchema: Sendable {
  /// `tier` in ASCII: tells our files from any other SQLite database.
  static let applicationID: Int64 = 0x7469_6572

  var steps: [String]

  static let current = CatalogSchema(steps: [SchemaVersion1.sql])

  var version: Int { steps.count }

  /// Passes: a catalog of a known version, and a database without any table (a crash before the first step).
  func refuseForeign(_ db: Database, path: String) throws {
    let found = try db.row("PRAGMA application_id") { $0.int64() } ?? 0
    let tables = try db.row("SELECT count(*) FROM sqlite_master") { $0.int64() } ?? 0
    if found == 0, tables == 0 { return }
    guard found == Self.applicationID else {
      throw TierError(
        .catalog,
        "this is another program's SQLite database. Nothing was changed: give tierd a stateDirectory of its own",
        path: path, disposition: .fatal)
    }
    let foundVersion = try db.row("PRAGMA user_version") { $0.int() } ?? 0
    guard foundVersion <= version else {
      throw TierError(
        .catalogTooNew,
        "the catalog was written by a newer tierd (schema \(foundVersion), this one knows up to \(version)). "
          + "Nothing was changed: install that version again, or let `tierctl fsck --rebuild` set it aside",
        path: path, disposition: .fatal)
    }
  }

  /// Each step is one transaction: a crash leaves the version before or the version after.
  func upgrade(_ db: Database) throws {
    let found = try db.row("PRAGMA user_version") { $0.int() } ?? 0
    guard found < version else { return }
    for number in found..<version {
      try db.inTransaction(.immediate) {
        try db.execute(sql: steps[number])
        try db.execute(
          sql: "PRAGMA application_id = \(Self.applicationID); PRAGMA user_version = \(number + 1)")
        return .commit
      }
    }
  }
}
