import GRDB
import Glibc
import Testing
import TierCore
import TierTestSupport

@testable import TierCatalog

@Suite struct CatalogOpeningTests {
  @Test func isForItsOwnerOnly() throws {
    let fixture = try CatalogFixture()
    for ending in ["", "-wal", "-shm"] {
      var status = stat()
      #expect(stat(fixture.catalog.path + ending, &status) == 0 && status.st_mode & 0o777 == 0o600)
    }
  }

  @Test func syncsEveryCommit() throws {
    let fixture = try CatalogFixture()
    let level = try fixture.catalog.write { db in try db.row("PRAGMA synchronous") { $0.int() } }
    #expect(level == 2)
  }

  @Test func refusesASecondHolder() throws {
    let fixture = try CatalogFixture()
    let error = try #require(refusal(of: fixture.directory.path))
    #expect(error.disposition == .fatal)
    #expect(error.description.contains("process \(getpid()) has this catalog open"))
    fixture.catalog.close()
    try SQLiteCatalog(directory: fixture.directory.path).close()
  }

  @Test func refusesCallsAfterItsClose() throws {
    let fixture = try CatalogFixture()
    fixture.catalog.close()
    fixture.catalog.close()
    #expect(throws: TierError.self) { try fixture.catalog.totals(of: fixture.volume.id) }
    #expect(throws: TierError.self) { try fixture.catalog.setSetting("a", to: []) }
  }

  @Test func namesAMissingDirectory() throws {
    let error = try #require(refusal(of: "/nonexistent/state"))
    #expect(error.description.contains("/nonexistent/state/catalog.lock"))
    #expect(error.description.contains("check that the directory exists"))
  }

  /// The header is behind: the newer version is in the WAL alone, as after a crash right behind an upgrade.
  @Test(arguments: [false, true]) func leavesANewerSchemaUntouched(inLogOnly: Bool) throws {
    let fixture = try CatalogFixture()
    let other = try TemporaryDirectory()
    try fixture.catalog.write { db in try db.execute(sql: "PRAGMA user_version = 99") }
    let log = try Bytes.read(fixture.catalog.path + "-wal")
    if !inLogOnly { fixture.catalog.close() }
    let main = try Bytes.read(fixture.catalog.path)
    try Bytes.write(main, to: other.path("catalog.sqlite"))
    if inLogOnly { try Bytes.write(log, to: other.path("catalog.sqlite-wal")) }

    let error = try #require(refusal(of: other.path))
    #expect(error.code == .catalogTooNew && error.disposition == .fatal)
    #expect(error.message.contains("schema 99, this one knows up to 1"))
    #expect(try Bytes.read(other.path("catalog.sqlite")) == main)
    if inLogOnly { #expect(try Bytes.read(other.path("catalog.sqlite-wal")) == log) }
  }

  @Test func leavesAnotherProgramsDatabaseUntouched() throws {
    let directory = try TemporaryDirectory()
    let queue = try DatabaseQueue(path: directory.path("catalog.sqlite"))
    try queue.write { db in try db.execute(sql: "CREATE TABLE songs (id INTEGER)") }
    try queue.close()
    let before = try Bytes.read(directory.path("catalog.sqlite"))
    let error = try #require(refusal(of: directory.path))
    #expect(error.message.contains("another program's SQLite database"))
    #expect(try Bytes.read(directory.path("catalog.sqlite")) == before)
  }

  @Test(arguments: [[0], Array("photos of 2026\n".utf8), [UInt8](repeating: 0, count: 8192)] as [[UInt8]])
  func leavesWhatIsNoDatabaseUntouched(_ bytes: [UInt8]) throws {
    let directory = try TemporaryDirectory()
    try Bytes.write(bytes, to: directory.path("catalog.sqlite"))
    let error = try #require(refusal(of: directory.path))
    #expect(error.code == .catalog && error.disposition == .fatal)
    #expect(error.message.contains("tierctl fsck --rebuild") && error.message.contains("Nothing was moved"))
    #expect(try Bytes.read(directory.path("catalog.sqlite")) == bytes)
  }

  @Test func startsAnewAfterACrashBeforeTheFirstStep() throws {
    let directory = try TemporaryDirectory()
    try Bytes.write([], to: directory.path("catalog.sqlite"))
    try SQLiteCatalog(directory: directory.path).close()
  }

  @Test func setsAsideWithoutDeleting() throws {
    let directory = try TemporaryDirectory()
    try Bytes.write(Array("rubbish".utf8), to: directory.path("catalog.sqlite"))
    let aside = try SQLiteCatalog.setAside(in: directory.path, at: Timestamp(seconds: 1_800_000_000))
    #expect(aside == directory.path("catalog.sqlite.set-aside-1800000000"))
    #expect(try Bytes.read(try #require(aside)) == Array("rubbish".utf8))
    let catalog = try SQLiteCatalog(directory: directory.path)
    #expect(throws: TierError.self, "in use") {
      try SQLiteCatalog.setAside(in: directory.path, at: Timestamp(seconds: 0))
    }
    catalog.close()
    let empty = try TemporaryDirectory()
    #expect(try SQLiteCatalog.setAside(in: empty.path, at: Timestamp(seconds: 0)) == nil)
  }

  @Test func migratesForwardStepByStep() throws {
    let fixture = try CatalogFixture()
    let file = try fixture.put(fixture.file("a").archived())
    fixture.catalog.close()
    let path = fixture.directory.path

    let failing = CatalogSchema(
      steps: CatalogSchema.current.steps + ["CREATE TABLE extra (x); CREATE nonsense"])
    #expect(throws: TierError.self) { try SQLiteCatalog(directory: path, schema: failing) }
    try fixture.reopen()
    #expect(try fixture.catalog.file(named: file.name, in: file.directory) == file)
    fixture.catalog.close()

    let next = CatalogSchema(steps: CatalogSchema.current.steps + ["CREATE TABLE extra (x INTEGER) STRICT"])
    let catalog = try SQLiteCatalog(directory: path, schema: next)
    #expect(try catalog.file(named: file.name, in: file.directory) == file)
    #expect(try catalog.read { db in try db.row("PRAGMA user_version") { $0.int() } } == 2)
    catalog.close()
    #expect(refusal(of: path)?.code == .catalogTooNew)
  }

  private func refusal(of directory: String) -> TierError? {
    do throws(TierError) {
      try SQLiteCatalog(directory: directory).close()
      return nil
    } catch { return error }
  }
}

/// Damage below the header: noticed when opened, or by the query that needs the page, or by `damage`.
@Suite struct CatalogDamageTests {
  private let main: [UInt8]

  init() throws {
    let fixture = try CatalogFixture()
    for part in 0..<20 {
      let directory = try fixture.catalog.makeDirectory(
        at: RelativePath("d\(part)/e")!, inode: 1, in: fixture.volume.id)
      try fixture.catalog.apply(
        (0..<40).map { .put(fixture.file("f\($0)", in: directory).archived(release: 5)) })
    }
    fixture.catalog.close()
    main = try Bytes.read(fixture.catalog.path)
  }

  @Test func refusesAFileThatWasCutOff() throws {
    for part in 1..<12 {
      let error = try exercise(Array(main.prefix(main.count * part / 12)), mustThrow: true)
      #expect(error?.disposition == .fatal && error?.message.contains("fsck --rebuild") == true)
    }
  }

  @Test func findsEveryZeroedPage() throws {
    for page in stride(from: 1, to: main.count / 4096, by: 5) {
      var bytes = main
      bytes.replaceSubrange(page * 4096..<(page + 1) * 4096, with: repeatElement(0, count: 4096))
      try exercise(bytes, mustThrow: false)
    }
  }

  @Test func findsRandomDamageOrStaysRight() throws {
    var random = SplitMix(state: 3)
    for _ in 0..<60 {
      var bytes = main
      let start = Int.random(in: 4096..<bytes.count - 64, using: &random)
      for offset in start..<start + 64 { bytes[offset] = random.next() }
      _ = try exercise(bytes, mustThrow: false, mustFind: false)
    }
  }

  /// Uses the catalog in every way. Nothing but a clear error may come of it, and nothing may be deleted.
  @discardableResult
  private func exercise(_ bytes: [UInt8], mustThrow: Bool, mustFind: Bool = true) throws -> TierError? {
    let directory = try TemporaryDirectory()
    try Bytes.write(bytes, to: directory.path("catalog.sqlite"))
    do throws(TierError) {
      let catalog = try SQLiteCatalog(directory: directory.path)
      defer { catalog.close() }
      if mustFind, !mustThrow {
        let damage = (try? catalog.damage()) ?? ["unreadable"]
        #expect(damage != [], "integrity_check must find it")
      }
      let volume = try catalog.openVolume(named: "photos")
      _ = try catalog.files(below: volume.root, after: nil, limit: .max)
      _ = try catalog.releaseCandidates(in: volume.id, now: .distantFuture, limit: 1000)
      _ = try catalog.coldestFiles(in: volume.id, now: .distantFuture, limit: 1000)
      _ = try catalog.pending(for: "nas", now: .distantFuture)
      for file in try catalog.files(below: volume.root, after: nil, limit: 50) {
        _ = try catalog.path(of: file.directory)
        try catalog.apply([.put(file), .forget(file.id!)])
      }
      #expect(!mustThrow)
      return nil
    } catch {
      #expect(access(directory.path("catalog.sqlite"), F_OK) == 0)
      return error
    }
  }
}

@Suite(.enabled(if: LoopFileSystem.Kind.tmpfs.isAvailable, "mounting needs root"))
struct CatalogDiskTests {
  @Test func survivesAFullDisk() throws {
    let disk = try LoopFileSystem(.tmpfs, mebibytes: 2)
    let fixture = try CatalogFixture(in: disk.path)
    var stored = 0
    var failure: TierError?
    while failure == nil {
      do throws(TierError) {
        let range = stored..<stored + 50
        try fixture.catalog.apply(range.map { .put(fixture.file("file \($0)").archived()) })
        stored += 50
      } catch { failure = error }
    }
    #expect(failure?.code == .catalog && failure?.disposition == .retry)
    #expect(failure?.message.contains("disk that holds the catalog is full") == true)
    #expect(stored > 0)
    #expect(try fixture.catalog.totals(of: fixture.volume.id).archived.files == stored)

    // With room again, it goes on; here by forgetting, which SQLite's own free pages make possible.
    let files = try fixture.catalog.files(below: fixture.volume.root, after: nil, limit: 100)
    for file in files { _ = try? fixture.catalog.apply([.forget(try #require(file.id))]) }
    let left = try fixture.catalog.files(below: fixture.volume.root, after: nil, limit: .max).count
    #expect(try fixture.catalog.totals(of: fixture.volume.id).archived.files == left)
    #expect(try fixture.catalog.damage() == [])
  }

  @Test func namesAReadOnlyDisk() throws {
    let disk = try LoopFileSystem(.tmpfs, mebibytes: 4)
    let directory = try TemporaryDirectory(in: disk.path)
    try SQLiteCatalog(directory: directory.path).close()
    try disk.remountReadOnly()
    let error = #expect(throws: TierError.self) { try SQLiteCatalog(directory: directory.path) }
    #expect(error?.disposition == .fatal && error?.message.contains("mounted read-write") == true)
  }
}
