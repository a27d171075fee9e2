import GRDB
import TierCore

/// The catalog in one SQLite file of the state directory: `catalog.sqlite`, its WAL beside it, and a lock file
/// that keeps a second process out.
///
/// Every write is one transaction that has reached the disk when the call returns (`synchronous=FULL`). One
/// writer and a few readers work side by side; a reader sees everything that was committed before it began.
package final class SQLiteCatalog: Catalog {
  /// Absolute; for messages.
  package let path: String
  let pool: DatabasePool
  /// `pending` counts up to so many files afresh each time, in well under a millisecond.
  let recountLimit: Int
  let transaction = OpenTransaction()
  private let lock: CatalogLock

  /// Opens or makes the catalog of a state directory that exists, finishes what a crash left in the WAL, and
  /// brings an older schema up to date. A catalog that is newer, damaged, another program's, or in use by
  /// another process is left as it is.
  package convenience init(directory: String) throws(TierError) {
    try self.init(directory: directory, schema: .current)
  }

  init(directory: String, schema: CatalogSchema, recountLimit: Int = 2048) throws(TierError) {
    self.recountLimit = recountLimit
    path = directory + "/catalog.sqlite"
    lock = try CatalogLock(directory: directory)
    pool = try CatalogOpening(path: path, schema: schema).open()
  }

  /// Waits for calls under way; later ones throw. The file is then complete without its WAL.
  package func close() {
    // A busy reader makes SQLite refuse; the WAL then stays and the next open reads it.
    try? pool.close()
    lock.release()
  }

  /// Moves a catalog that can't be used out of the way of a new one; nothing is deleted. Returns where it is
  /// now, nil where there was none.
  package static func setAside(in directory: String, at now: Timestamp) throws(TierError) -> String? {
    let lock = try CatalogLock(directory: directory)
    defer { lock.release() }
    return try CatalogOpening.setAside(
      path: directory + "/catalog.sqlite", suffix: "set-aside-\(now.seconds)")
  }

  /// Reads every page and index. The problems found, at most 100, in SQLite's words; takes long.
  package func damage() throws(TierError) -> [String] {
    try read { db in
      try db.rows("PRAGMA integrity_check(100)") { row in row.text() }.filter { $0 != "ok" }
    }
  }

  func read<Value>(_ body: (Database) throws -> Value) throws(TierError) -> Value {
    do {
      return try transaction.database.map(body) ?? pool.read(body)
    } catch {
      throw CatalogFailure.tierError(for: error, path: path)
    }
  }

  /// One transaction, or a part of the one that `together` opened; what `body` did is undone where it throws.
  func write<Value>(_ body: (Database) throws -> Value) throws(TierError) -> Value {
    do {
      return try transaction.database.map { db in try db.part(body) } ?? pool.write(body)
    } catch {
      throw CatalogFailure.tierError(for: error, path: path)
    }
  }
}
