import GRDB
import Glibc
import Testing
import TierCore
import TierLinux
import TierTestSupport

@testable import TierCatalog

@Suite struct CatalogCrashTests {
  /// Kills a writer at ten moments of its life; each time the catalog must hold every transaction that was
  /// reported, each of them whole.
  @Test func keepsWhatItReportedThroughKills() throws {
    let directory = try TemporaryDirectory()
    var reported = 0
    for round in 1...10 {
      // Beside the test's own program.
      let own = CommandLine.arguments[0].split(separator: "/", omittingEmptySubsequences: false)
      let program = (own.dropLast() + ["catalog-crash-writer"]).joined(separator: "/")
      let writer = try ChildProcess(ChildCommand(program, [directory.path]))
      let enough = reported + round * 7
      let result = writer.wait(
        deadline: .seconds(60),
        onLine: { _, line in
          reported = Int(String(decoding: line, as: UTF8.self)) ?? reported
          if reported >= enough { writer.killNow() }
        })
      #expect(result.ending == .signalled(SIGKILL), "\(result.errorText)")
      let catalog = try SQLiteCatalog(directory: directory.path)
      defer { catalog.close() }
      let found = try wholeTransactions(in: catalog)
      #expect(found >= reported)
      #expect(try catalog.damage() == [])
      reported = found
    }
    #expect(reported >= 10 * 7)
  }

  /// A power cut may leave any part of the last writes: whatever is cut from the WAL, or damaged in it, some
  /// whole number of transactions remains, and no fewer than were in the part that is left.
  @Test func opensWithAnyPrefixOfItsLog() throws {
    let fixture = try CatalogFixture()
    let tree = try fixture.catalog.makeDirectory(at: RelativePath("tree")!, inode: 1, in: fixture.volume.id)
    for number in 1...40 {
      var file = fixture.file("file \(number)", in: tree)
      file.copy = .sample(file.name)
      try fixture.catalog.apply([
        .put(file),
        .moveDirectory(
          tree, to: fixture.volume.root, name: FileName("tree \(number)")!,
          at: Timestamp(seconds: Int64(number))),
      ])
    }
    let main = try Bytes.read(fixture.catalog.path)
    let log = try Bytes.read(fixture.catalog.path + "-wal")
    try #require(log.count > 40 * 4096, "the log must hold the transactions for this test to mean anything")
    var random = SplitMix(state: 7)
    var least = 0
    var seen: Set<Int> = []
    for part in 0...60 {
      let copy = try TemporaryDirectory()
      var rest = Array(log.prefix(log.count * part / 60))
      let isDamaged = part % 3 == 1
      if isDamaged { rest[rest.count - 1 - Int.random(in: 0..<rest.count / 10, using: &random)] ^= 0x55 }
      try Bytes.write(main, to: copy.path("catalog.sqlite"))
      try Bytes.write(rest, to: copy.path("catalog.sqlite-wal"))
      let catalog = try SQLiteCatalog(directory: copy.path)
      defer { catalog.close() }
      guard try catalog.damage() == [] else {
        Issue.record("damaged at part \(part)")
        continue
      }
      let found = try wholeTransactions(in: catalog)
      if !isDamaged {
        #expect(found >= least)
        least = found
      }
      seen.insert(found)
    }
    #expect(least == 40 && seen.count > 20, "\(seen.sorted())")
  }

  /// The number of transactions; records an issue where one is there in part. A directory's rename without the
  /// moves of all copies below would leave them under the old name.
  private func wholeTransactions(in catalog: SQLiteCatalog) throws -> Int {
    let volume = try catalog.openVolume(named: "photos")
    let directories = try catalog.children(of: volume.root).directories
    guard let tree = directories.first else { return 0 }
    let count = try catalog.files(below: tree.id, after: nil, limit: .max).count
    #expect(directories.map(\.name) == [FileName(count == 0 ? "tree" : "tree \(count)")!])
    #expect(try catalog.totals(of: volume.id).resident.files == count)
    let moves = try catalog.moves(on: "nas", limit: .max)
    #expect(moves.count == count && moves.allSatisfy { $0.queued == Timestamp(seconds: Int64(count)) })
    return count
  }
}

enum Bytes {
  static func read(_ path: String) throws -> [UInt8] {
    let file = fopen(path, "r")
    guard let file else { throw SyscallError(call: "fopen", path: path, errno: errno) }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = fread(&buffer, 1, buffer.count, file)
      if count == 0 { return bytes }
      bytes += buffer[..<count]
    }
  }

  static func write(_ bytes: [UInt8], to path: String) throws {
    let file = fopen(path, "w")
    guard let file else { throw SyscallError(call: "fopen", path: path, errno: errno) }
    defer { fclose(file) }
    guard fwrite(bytes, 1, bytes.count, file) == bytes.count else {
      throw SyscallError(call: "fwrite", path: path, errno: errno)
    }
  }
}
