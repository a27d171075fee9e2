import GRDB
import TierCore

extension SQLiteCatalog {
  package func file(_ id: FileID) throws(TierError) -> CatalogFile? {
    try read { db in try db.row("\(FileRows.select) WHERE id = ?", [SQLValue(id.value)], FileRows.decode) }
  }

  package func file(named name: FileName, in directory: DirectoryID) throws(TierError) -> CatalogFile? {
    try read { db in
      try db.row(
        "\(FileRows.select) WHERE directory = ? AND name = ?",
        [SQLValue(directory.value), .blob(name.bytes)],
        FileRows.decode)
    }
  }

  package func files(withInode inode: UInt64, in volume: VolumeID) throws(TierError) -> [CatalogFile] {
    try read { db in
      try db.rows(
        "\(FileRows.select) WHERE volume = ? AND inode = ? ORDER BY id",
        [SQLValue(volume.value), SQLValue(Optional(inode))], FileRows.decode)
    }
  }

  package func files(withArchiveID id: ArchiveID) throws(TierError) -> [CatalogFile] {
    try read { db in
      try db.rows("\(FileRows.select) WHERE archive_id = ? ORDER BY id", [.blob(id.bytes)], FileRows.decode)
    }
  }

  package func apply(_ changes: [CatalogChange]) throws(TierError) {
    guard !changes.isEmpty else { return }
    try write { db in try ChangeApplication.apply(changes, to: db) }
  }

  package func files(below directory: DirectoryID, after: FileID?, limit: Int) throws(TierError)
    -> [CatalogFile]
  {
    let after = after?.value ?? 0
    return try read { db in
      let ids =
        try db.pageByRow(below: directory, after: after, limit: limit)
        ?? db.pageByDirectory(below: directory, after: after, limit: limit)
      return try ids.compactMap { id in
        try db.row("\(FileRows.select) WHERE id = ?", [.integer(id)], FileRows.decode)
      }
    }
  }
}

extension Database {
  /// Walks all files by id and keeps those of the subtree: the cheap way for a large one. Nil where too many of
  /// others stood in between.
  fileprivate func pageByRow(below directory: DirectoryID, after: Int64, limit: Int) throws -> [Int64]? {
    guard limit > 0 else { return [] }
    var page: [Int64] = []
    var strangers = 0
    let strangerLimit = max(2048, min(limit, 1 << 20) * 8)
    var membership = SubtreeMembership(root: directory.value)
    try forEachRow("SELECT id, directory FROM files WHERE id > ? ORDER BY id", [.integer(after)]) { row in
      let id = row.int64()
      if try membership.contains(row.int64(), in: self) { page.append(id) } else { strangers += 1 }
      return page.count < limit && strangers < strangerLimit
    }
    return strangers < strangerLimit ? page : nil
  }

  /// Collects the subtree's ids, which all stand in one index, and sorts them.
  fileprivate func pageByDirectory(below directory: DirectoryID, after: Int64, limit: Int) throws -> [Int64] {
    try rows(
      """
      \(subtree) SELECT files.id FROM subtree CROSS JOIN files ON files.directory = subtree.id
        WHERE files.id > ?2 ORDER BY files.id LIMIT ?3
      """, [SQLValue(directory.value), .integer(after), SQLValue(limit)]
    ) { $0.int64() }
  }
}

/// Answers by the chain of parents, and remembers a bounded number of answers.
private struct SubtreeMembership {
  private static let rememberedLimit = 4096
  private var known: [Int64: Bool]
  private let root: Int64

  init(root: Int64) {
    self.root = root
    known = [:]
  }

  mutating func contains(_ directory: Int64, in db: Database) throws -> Bool {
    var chain: [Int64] = []
    var next: Int64? = directory
    var answer = false
    while let id = next {
      if let remembered = id == root ? true : known[id] {
        answer = remembered
        break
      }
      chain.append(id)
      next = try db.row("SELECT parent FROM directories WHERE id = ?", [.integer(id)]) { row in
        row.optional { $0.int64() }
      }.flatMap(\.self)
    }
    if known.count + chain.count > Self.rememberedLimit { known = [:] }
    for id in chain.prefix(Self.rememberedLimit) { known[id] = answer }
    return answer
  }
}
