import GRDB
import Glibc
import TierCore

/// From a path to a pool that is known to be a catalog of ours, recovered and up to date.
struct CatalogOpening {
  let path: String
  let schema: CatalogSchema

  func open() throws(TierError) -> DatabasePool {
    do {
      try refuseForeign()
      try makeFile()
      let pool = try DatabasePool(path: path, configuration: Self.configuration)
      try pool.writeWithoutTransaction { db in
        // GRDB lowers it to NORMAL while it opens, which may lose the last transactions in a power cut.
        try db.execute(sql: "PRAGMA synchronous = FULL")
        try db.execute(sql: "PRAGMA cache_size = -6144; PRAGMA journal_size_limit = 16777216")
        try schema.upgrade(db)
      }
      return pool
    } catch { throw CatalogFailure.tierError(for: error, path: path) }
  }

  static func setAside(path: String, suffix: String) throws(TierError) -> String? {
    guard access(path, F_OK) == 0 else { return nil }
    let aside = "\(path).\(suffix)"
    // The WAL first: alone, the main file is an older but whole catalog; the other way round it would be lost.
    for ending in ["-wal", "-shm", ""] where access(path + ending, F_OK) == 0 {
      guard rename(path + ending, aside + ending) == 0 else {
        throw TierError(
          .catalog, "the catalog can't be set aside", path: path + ending,
          cause: String(cString: strerror(errno)), disposition: .fatal)
      }
    }
    return aside
  }

  /// Memory is bounded here: 6 MiB of pages for the writer, 1 MiB for each reader, nothing mapped.
  private static var configuration: GRDB.Configuration {
    var configuration = GRDB.Configuration()
    configuration.maximumReaderCount = 3
    configuration.persistentReadOnlyConnections = true
    configuration.busyMode = .timeout(10)
    configuration.label = "tierd.catalog"
    configuration.prepareDatabase { db in
      try db.execute(sql: "PRAGMA cache_size = -1024; PRAGMA mmap_size = 0; PRAGMA cell_size_check = ON")
    }
    return configuration
  }

  /// Looks before anything can write: GRDB's opening of a pool does.
  private func refuseForeign() throws {
    guard let header = try readHeader(), !header.isEmpty else { return }
    guard header.starts(with: Array("SQLite format 3\0".utf8)) else {
      throw CatalogFailure.damaged(path, cause: "its first bytes are not SQLite's")
    }
    var configuration = GRDB.Configuration()
    configuration.readonly = true
    let queue = try DatabaseQueue(path: path, configuration: configuration)
    defer { try? queue.close() }
    try queue.read { db in try schema.refuseForeign(db, path: path) }
  }

  /// Nil where there is no file.
  private func readHeader() throws(TierError) -> [UInt8]? {
    let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
    if descriptor < 0, errno == ENOENT { return nil }
    guard descriptor >= 0 else {
      throw TierError(
        .catalog, "the catalog can't be read: check its owner and mode", path: path,
        cause: String(cString: strerror(errno)), disposition: .fatal)
    }
    defer { Glibc.close(descriptor) }
    var header = [UInt8](repeating: 0, count: 16)
    let count = Glibc.read(descriptor, &header, header.count)
    return Array(header[..<max(0, count)])
  }

  /// SQLite would make it readable by everyone, and gives its WAL the same mode.
  private func makeFile() throws(TierError) {
    let descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else {
      throw TierError(
        .catalog,
        "the catalog can't be opened for writing: check that its directory exists, is mounted read-write and "
          + "belongs to tierd's user", path: path, cause: String(cString: strerror(errno)),
        disposition: .fatal)
    }
    Glibc.close(descriptor)
  }
}
