import GRDB
import TierCore

extension SQLiteCatalog {
  package func archiveCandidates(for target: String, now: Timestamp, limit: Int) throws(TierError)
    -> [CatalogFile]
  {
    // A bucket is 275 s of `archiveBy`: within it the order goes by directory.
    try read { db in
      try db.rows(
        """
        \(FileRows.select) INDEXED BY files_archive_order
          WHERE target = ? AND archive_due IS NOT NULL AND archive_at <= ?
          ORDER BY archive_bucket, directory, id LIMIT ?
        """, [.text(target), SQLValue(now.nanoseconds), SQLValue(limit)], FileRows.decode)
    }
  }

  package func releaseCandidates(in volume: VolumeID, now: Timestamp, limit: Int) throws(TierError)
    -> [CatalogFile]
  {
    try read { db in
      try db.rows(
        """
        \(FileRows.select) INDEXED BY files_release_at WHERE volume = ? AND release_at <= ? AND \(releasable)
          ORDER BY release_at LIMIT ?
        """, [SQLValue(volume.value), SQLValue(now.nanoseconds), SQLValue(limit)], FileRows.decode)
    }
  }

  package func coldestFiles(in volume: VolumeID, now: Timestamp, limit: Int) throws(TierError)
    -> [CatalogFile]
  {
    try read { db in
      try db.rows(
        """
        \(FileRows.select) INDEXED BY files_last_used WHERE volume = ? AND held_until <= ? AND \(releasable)
          ORDER BY last_used LIMIT ?
        """, [SQLValue(volume.value), SQLValue(now.nanoseconds), SQLValue(limit)], FileRows.decode)
    }
  }

  package func unprovenFiles(on target: String, before: Timestamp, limit: Int) throws(TierError)
    -> [CatalogFile]
  {
    try read { db in
      try db.rows(
        """
        \(FileRows.select) INDEXED BY files_unproven WHERE copy_target = ? AND proof = 1 AND archived_at < ?
          ORDER BY archived_at LIMIT ?
        """, [.text(target), SQLValue(before.nanoseconds), SQLValue(limit)], FileRows.decode)
    }
  }

  package func nextRelease(in volume: VolumeID, after now: Timestamp) throws(TierError) -> Timestamp? {
    try read { db in
      try db.row(
        """
        SELECT release_at FROM files INDEXED BY files_release_at
          WHERE volume = ? AND release_at > ? AND release_at < ? AND \(releasable)
          ORDER BY release_at LIMIT 1
        """,
        [SQLValue(volume.value), SQLValue(now.nanoseconds), SQLValue(Timestamp.distantFuture.nanoseconds)]
      ) { $0.timestamp() }
    }
  }

  package func pending(for target: String, now: Timestamp) throws(TierError) -> PendingWork {
    let (pending, newlyDue) = try read { db in try db.pending(for: target, now: now) }
    if newlyDue > recountLimit {
      // Saves the next calls from counting the same files; the answer is right without it.
      do { try write { db in try db.countDue(for: target, until: now) } } catch {}
    }
    return pending
  }
}

/// Must be the partial indexes' own condition, word for word.
private let releasable = "state = 1 AND proof = 0 AND lost = 0 AND release_due IS NOT NULL"

extension Database {
  /// Also tells how many files became due (or not due, where the clock went back) since they were last counted.
  fileprivate func pending(for target: String, now: Timestamp) throws -> (PendingWork, newlyDue: Int) {
    let select = """
      SELECT queued_files, queued_bytes, due_until, due_files, due_bytes, unproven, removals, moves
        FROM target_totals WHERE target = ?
      """
    var pending = PendingWork()
    var dueUntil: Int64?
    try forEachRow(select, [.text(target)]) { row in
      pending.laterFiles = row.int()
      pending.laterBytes = row.int64()
      dueUntil = row.int64()
      pending.dueFiles = row.int()
      pending.dueBytes = row.int64()
      pending.unprovenFiles = row.int()
      pending.removals = row.int()
      pending.moves = row.int()
      return false
    }
    guard let dueUntil else { return (pending, newlyDue: 0) }
    let drift = try dueDrift(for: target, from: dueUntil, to: now.nanoseconds)
    pending.dueFiles += drift.files
    pending.dueBytes += drift.bytes
    pending.laterFiles -= pending.dueFiles
    pending.laterBytes -= pending.dueBytes
    pending.earliestDeadline = try earliest("archive_deadline", for: target)
    pending.oldestDue = try earliest("archive_due", for: target)
    return (pending, newlyDue: abs(drift.files))
  }

  /// What to add to the files counted as due until `from`, to have those due until `to`.
  private func dueDrift(for target: String, from: Int64, to: Int64) throws -> (files: Int, bytes: Int64) {
    let sum = try row(
      """
      SELECT count(*), ifnull(sum(counted_size), 0) FROM files INDEXED BY files_archive_at
        WHERE target = ? AND archive_due IS NOT NULL AND archive_at > ? AND archive_at <= ?
      """, [.text(target), .integer(min(from, to)), .integer(max(from, to))]
    ) { row in (files: row.int(), bytes: row.int64()) }
    guard let sum else { return (0, 0) }
    return to >= from ? sum : (files: -sum.files, bytes: -sum.bytes)
  }

  fileprivate func countDue(for target: String, until now: Timestamp) throws {
    let from = try row("SELECT due_until FROM target_totals WHERE target = ?", [.text(target)]) { $0.int64() }
    guard let from else { return }
    let drift = try dueDrift(for: target, from: from, to: now.nanoseconds)
    try change(
      """
      UPDATE target_totals SET due_until = ?, due_files = due_files + ?, due_bytes = due_bytes + ?
        WHERE target = ?
      """,
      [SQLValue(now.nanoseconds), SQLValue(drift.files), SQLValue(drift.bytes), .text(target)])
  }

  private func earliest(_ column: String, for target: String) throws -> Timestamp? {
    try row(
      """
      SELECT \(column) FROM files INDEXED BY files_\(column)
        WHERE target = ? AND archive_due IS NOT NULL ORDER BY \(column) LIMIT 1
      """, [.text(target)]
    ) { $0.timestamp() }
  }
}
