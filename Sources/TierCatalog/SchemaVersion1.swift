/// Version 1. Times are nanoseconds since 1970, but for a file's own (seconds, nanoseconds); inodes and write
/// verifiers are unsigned numbers kept as signed; names and paths are bytes.
///
/// What `pending`, `totals` and the candidate lists need is kept up to date by triggers and partial indexes, so
/// that none of them depends on the number of files that don't concern it.
enum SchemaVersion1 {
  static let sql = tables + indexes + triggers

  /// Before any moment; not the smallest integer, which SQL can't write.
  private static let ever = "-9223372036854775807"

  private static let copyColumns = """
    copy_target TEXT, copy_path BLOB, copy_size INTEGER, copy_mtime_s INTEGER, copy_mtime_ns INTEGER,
    hash BLOB, archived_at INTEGER, proof INTEGER, proof_instance INTEGER, copy_mode INTEGER,
    copy_owner INTEGER, copy_group INTEGER, copy_atime_s INTEGER, copy_atime_ns INTEGER, copy_attributes BLOB
    """

  private static let tables = """
    CREATE TABLE volumes (
      id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, epoch INTEGER NOT NULL,
      scan_needed INTEGER NOT NULL, scan_resume_after BLOB, scan_completed INTEGER, scan_reason TEXT NOT NULL
    ) STRICT;

    CREATE TABLE directories (
      id INTEGER PRIMARY KEY AUTOINCREMENT, volume INTEGER NOT NULL REFERENCES volumes,
      parent INTEGER REFERENCES directories CHECK (parent <> id), name BLOB NOT NULL,
      inode INTEGER NOT NULL, UNIQUE (parent, name)
    ) STRICT;

    CREATE TABLE files (
      id INTEGER PRIMARY KEY AUTOINCREMENT, volume INTEGER NOT NULL REFERENCES volumes,
      directory INTEGER NOT NULL REFERENCES directories, name BLOB NOT NULL,
      state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 2), inode INTEGER NOT NULL, size INTEGER NOT NULL,
      mtime_s INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, ctime_s INTEGER NOT NULL, ctime_ns INTEGER NOT NULL,
      links INTEGER NOT NULL, owner INTEGER NOT NULL, mode INTEGER NOT NULL, allocated INTEGER NOT NULL,
      first_seen INTEGER NOT NULL, last_used INTEGER NOT NULL, policy TEXT, target TEXT, archive_due INTEGER,
      archive_by INTEGER, release_due INTEGER, pinned_until INTEGER, held_reason TEXT, retry_at INTEGER,
      lost INTEGER NOT NULL, archive_id BLOB, \(copyColumns),
      counted_size INTEGER AS (min(size, 1125899906842624)),
      archive_at INTEGER AS (max(archive_due, ifnull(retry_at, \(ever)))),
      archive_deadline INTEGER AS (max(archive_by, ifnull(retry_at, \(ever)))),
      archive_bucket INTEGER AS (archive_by >> 38),
      held_until INTEGER AS (max(ifnull(pinned_until, \(ever)), ifnull(retry_at, \(ever)))),
      release_at INTEGER AS (max(release_due, ifnull(pinned_until, \(ever)), ifnull(retry_at, \(ever)))),
      UNIQUE (directory, name),
      CHECK (state = 0 OR archive_id IS NOT NULL),
      CHECK (state <> 2 OR archive_due IS NULL),
      CHECK ((archive_id IS NULL) = (copy_target IS NULL) AND (archive_id IS NULL) = (copy_path IS NULL)
        AND (archive_id IS NULL) = (hash IS NULL) AND (archive_id IS NULL) = (proof IS NULL)),
      CHECK ((archive_due IS NULL) = (archive_by IS NULL)),
      CHECK (archive_due IS NULL OR target IS NOT NULL),
      CHECK (target IS NULL OR policy IS NOT NULL),
      CHECK (archive_id IS NULL OR (length(archive_id) = 16 AND length(hash) = 32))
    ) STRICT;

    CREATE TABLE intents (
      id INTEGER PRIMARY KEY AUTOINCREMENT, kind INTEGER NOT NULL, step INTEGER NOT NULL,
      epoch INTEGER NOT NULL, volume INTEGER NOT NULL REFERENCES volumes, file INTEGER, path BLOB NOT NULL,
      target TEXT NOT NULL, target_path BLOB NOT NULL, new_target_path BLOB, archive_id BLOB NOT NULL,
      inode INTEGER, size INTEGER, mtime_s INTEGER, mtime_ns INTEGER, ctime_s INTEGER, ctime_ns INTEGER,
      hash BLOB, begun INTEGER NOT NULL
    ) STRICT;

    CREATE TABLE removals (
      id INTEGER PRIMARY KEY AUTOINCREMENT, stage INTEGER NOT NULL,
      volume INTEGER NOT NULL REFERENCES volumes, path BLOB NOT NULL,
      removed_at INTEGER NOT NULL, trash_path BLOB, expires INTEGER NOT NULL,
      archive_id BLOB NOT NULL, \(copyColumns),
      CHECK (stage = 0 OR trash_path IS NOT NULL)
    ) STRICT;

    CREATE TABLE moves (
      archive_id BLOB PRIMARY KEY, target TEXT NOT NULL, queued INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE windows (
      id INTEGER PRIMARY KEY AUTOINCREMENT, target TEXT NOT NULL, opened INTEGER NOT NULL, closed INTEGER,
      cause TEXT NOT NULL, archived_files INTEGER NOT NULL, archived_bytes INTEGER NOT NULL,
      restored_files INTEGER NOT NULL, restored_bytes INTEGER NOT NULL, changes_applied INTEGER NOT NULL,
      failures INTEGER NOT NULL, error TEXT
    ) STRICT;

    CREATE TABLE settings (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;

    -- Not STRICT: a sum beyond 64 bits becomes inexact instead of refusing the file.
    CREATE TABLE volume_totals (
      volume INTEGER NOT NULL, state INTEGER NOT NULL, governed INTEGER NOT NULL, lost INTEGER NOT NULL,
      files INTEGER NOT NULL, bytes INTEGER NOT NULL, PRIMARY KEY (volume, state, governed, lost)
    ) WITHOUT ROWID;

    -- due_*: the part of queued_* with archive_at up to due_until.
    CREATE TABLE target_totals (
      target TEXT PRIMARY KEY, queued_files INTEGER NOT NULL DEFAULT 0, queued_bytes INTEGER NOT NULL DEFAULT 0,
      due_until INTEGER NOT NULL DEFAULT \(ever), due_files INTEGER NOT NULL DEFAULT 0,
      due_bytes INTEGER NOT NULL DEFAULT 0, unproven INTEGER NOT NULL DEFAULT 0,
      removals INTEGER NOT NULL DEFAULT 0, moves INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID;

    """

  private static let indexes = """
    CREATE UNIQUE INDEX directories_root ON directories (volume) WHERE parent IS NULL;
    CREATE INDEX directories_inode ON directories (volume, inode);
    CREATE INDEX files_inode ON files (volume, inode);
    CREATE INDEX files_archive_id ON files (archive_id) WHERE archive_id IS NOT NULL;
    CREATE INDEX files_archive_order ON files (target, archive_bucket, directory, id, archive_at)
      WHERE archive_due IS NOT NULL;
    CREATE INDEX files_archive_at ON files (target, archive_at, counted_size) WHERE archive_due IS NOT NULL;
    CREATE INDEX files_archive_due ON files (target, archive_due) WHERE archive_due IS NOT NULL;
    CREATE INDEX files_archive_deadline ON files (target, archive_deadline) WHERE archive_due IS NOT NULL;
    CREATE INDEX files_release_at ON files (volume, release_at)
      WHERE state = 1 AND proof = 0 AND lost = 0 AND release_due IS NOT NULL;
    CREATE INDEX files_last_used ON files (volume, last_used, held_until)
      WHERE state = 1 AND proof = 0 AND lost = 0 AND release_due IS NOT NULL;
    CREATE INDEX files_unproven ON files (copy_target, archived_at) WHERE proof = 1;
    CREATE INDEX intents_file ON intents (file);
    CREATE INDEX intents_archive_id ON intents (archive_id);
    CREATE INDEX removals_due ON removals (copy_target, stage, expires);
    CREATE INDEX removals_path ON removals (volume, path);
    CREATE INDEX removals_archive_id ON removals (archive_id);
    CREATE INDEX moves_queued ON moves (target, queued, archive_id);
    CREATE INDEX windows_target ON windows (target);

    """

  private static let triggers =
    trigger("INSERT", "files", add: counted("new"))
    + trigger("DELETE", "files", remove: counted("old"))
    + trigger(
      "UPDATE", "files", add: counted("new"), remove: counted("old"),
      when: changed(["%.volume", "%.state", "(%.policy IS NULL)", "%.lost", "%.counted_size"]))
    + trigger("INSERT", "files", add: queued("new"), when: "new.archive_due IS NOT NULL")
    + trigger("DELETE", "files", remove: queued("old"), when: "old.archive_due IS NOT NULL")
    + trigger(
      "UPDATE", "files", add: queued("new"), remove: queued("old"),
      when: changed(["%.archive_at", "%.target", "%.counted_size"]))
    + tally("files", "unproven", target: "copy_target", of: "%.proof IS 1")
    + tally("removals", "removals", target: "copy_target", of: "%.stage = 0")
    + tally("moves", "moves", target: "target", of: "TRUE")

  private struct Change {
    var name: String
    /// Prepares the row that `update` changes; then `update` with + or - in place of `%`.
    var prepare: String
    var update: String
  }

  private static func counted(_ row: String) -> Change {
    let key = "\(row).volume, \(row).state, \(row).policy IS NOT NULL, \(row).lost"
    return Change(
      name: "counted", prepare: "INSERT INTO volume_totals VALUES (\(key), 0, 0) ON CONFLICT DO NOTHING;",
      update: """
        UPDATE volume_totals SET files = files % 1, bytes = bytes % \(row).counted_size
          WHERE (volume, state, governed, lost) = (\(key));
        """)
  }

  private static func queued(_ row: String) -> Change {
    let isDue = "(\(row).archive_at <= due_until)"
    return Change(
      name: "queued",
      prepare: """
        INSERT INTO target_totals (target) SELECT \(row).target WHERE \(row).archive_due IS NOT NULL
          ON CONFLICT DO NOTHING;
        """,
      update: """
        UPDATE target_totals SET queued_files = queued_files % 1,
          queued_bytes = queued_bytes % \(row).counted_size, due_files = due_files % \(isDue),
          due_bytes = due_bytes % \(isDue) * \(row).counted_size
          WHERE target = \(row).target AND \(row).archive_due IS NOT NULL;
        """)
  }

  /// Counts the rows of `table` for which `condition` holds, by target.
  private static func tally(
    _ table: String, _ column: String, target: String, of condition: String
  ) -> String {
    func change(_ row: String) -> Change {
      let holds = condition.replacing("%", with: row)
      return Change(
        name: column,
        prepare: """
          INSERT INTO target_totals (target) SELECT \(row).\(target) WHERE \(holds) ON CONFLICT DO NOTHING;
          """,
        update: """
          UPDATE target_totals SET \(column) = \(column) % 1 WHERE target = \(row).\(target) AND \(holds);
          """)
    }
    let before = condition.replacing("%", with: "old")
    let after = condition.replacing("%", with: "new")
    return trigger("INSERT", table, add: change("new"), when: after)
      + trigger("DELETE", table, remove: change("old"), when: before)
      + trigger(
        "UPDATE", table, add: change("new"), remove: change("old"),
        when: "(\(before)) IS NOT (\(after)) OR old.\(target) IS NOT new.\(target)")
  }

  private static func changed(_ expressions: [String]) -> String {
    expressions.map { $0.replacing("%", with: "old") + " IS NOT " + $0.replacing("%", with: "new") }
      .joined(separator: " OR ")
  }

  private static func trigger(
    _ event: String, _ table: String, add: Change? = nil, remove: Change? = nil,
    when condition: String = "TRUE"
  ) -> String {
    var body = ""
    if let remove { body += remove.update.replacing("%", with: "-") + "\n" }
    if let add { body += add.prepare + "\n" + add.update.replacing("%", with: "+") + "\n" }
    let name = "\(table)_\((add ?? remove)!.name)_\(event.lowercased())"
    return "CREATE TRIGGER \(name) AFTER \(event) ON \(table) WHEN \(condition)\nBEGIN\n\(body)END;\n\n"
  }
}
