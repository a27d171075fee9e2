import GRDB
import Glibc
import Synchronization
import TierCore

extension SQLiteCatalog {
  package func together<Result>(_ body: () throws(TierError) -> Result) throws(TierError) -> Result {
    if transaction.database != nil { return try write { _ in try body() } }
    return try write { db in
      transaction.open(db)
      defer { transaction.close() }
      return try body()
    }
  }
}

/// The transaction that a thread has open over several calls; only that thread's calls find it.
final class OpenTransaction: Sendable {
  /// The database is used by the thread alone. That is the `unchecked`.
  private struct Holder: @unchecked Sendable {
    let thread: pthread_t
    let database: Database
  }
  private let holder = Mutex<Holder?>(nil)

  var database: Database? {
    guard let holder = holder.withLock({ $0 }), holder.thread == pthread_self() else { return nil }
    return holder.database
  }

  func open(_ database: Database) {
    let new = Holder(thread: pthread_self(), database: database)
    holder.withLock { $0 = new }
  }

  func close() { holder.withLock { $0 = nil } }
}

extension Database {
  /// Undone alone where it throws.
  func part<Value>(_ body: (Database) throws -> Value) throws -> Value {
    var value: Value?
    try inSavepoint {
      value = try body(self)
      return .commit
    }
    return value!
  }
}
