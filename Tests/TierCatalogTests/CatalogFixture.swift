import Glibc
import Synchronization
import TierCore
import TierTestSupport

@testable import TierCatalog

/// An open catalog in a directory of its own, with one volume.
final class CatalogFixture {
  let directory: TemporaryDirectory
  private(set) var catalog: SQLiteCatalog
  let volume: CatalogVolume

  private let recountLimit: Int

  init(in parent: String? = nil, recountLimit: Int = 2048) throws {
    self.recountLimit = recountLimit
    directory = try TemporaryDirectory(in: parent)
    catalog = try SQLiteCatalog(directory: directory.path, schema: .current, recountLimit: recountLimit)
    volume = try catalog.openVolume(named: "photos")
  }

  func reopen() throws {
    catalog.close()
    catalog = try SQLiteCatalog(directory: directory.path, schema: .current, recountLimit: recountLimit)
  }

  deinit { catalog.close() }

  /// Puts the file and gives it back with its id.
  @discardableResult
  func put(_ file: CatalogFile) throws -> CatalogFile {
    try catalog.apply([.put(file)])
    return try unwrap(catalog.file(named: file.name, in: file.directory))
  }

  func file(_ name: String, in directory: DirectoryID? = nil) -> CatalogFile {
    .sample(name, in: directory ?? volume.root, volume: volume.id)
  }
}

struct Missing: Error {}

/// `#require` for fixtures, which are no tests.
func unwrap<Value>(_ value: Value?) throws -> Value {
  guard let value else { throw Missing() }
  return value
}

extension CatalogFile {
  /// A resident file of 100 bytes that no policy governs.
  static func sample(_ name: String, in directory: DirectoryID, volume: VolumeID) -> CatalogFile {
    CatalogFile(
      volume: volume, directory: directory, name: FileName(name)!, state: .resident,
      version: FileVersion(
        inode: .max - 7, size: 100, modified: FileTime(seconds: -3, nanoseconds: 999_999_999),
        changed: FileTime(seconds: 1_800_000_000, nanoseconds: 1)),
      links: 1, owner: .max, mode: 0o7777, allocated: 4096, firstSeen: Timestamp(seconds: 10),
      lastUsed: Timestamp(seconds: 20))
  }

  func governed(target: String = "nas", due: Int64? = nil, by: Int64? = nil) -> CatalogFile {
    var file = self
    file.policy = "photos"
    file.target = target
    file.archiveDue = due.map { Timestamp(seconds: $0) }
    file.archiveBy = by.map { Timestamp(seconds: $0) } ?? file.archiveDue
    return file
  }

  func archived(
    _ proof: Proof = .proven, at archivedAt: Int64 = 50, release: Int64? = nil, target: String = "nas"
  ) -> CatalogFile {
    var file = governed(target: target)
    file.state = .archived
    file.copy = .sample(name, archivedAt: archivedAt, proof: proof, target: target)
    file.releaseDue = release.map { Timestamp(seconds: $0) }
    return file
  }
}

extension ArchivedCopy {
  static func sample(
    _ name: FileName, archivedAt: Int64 = 50, proof: Proof = .proven, target: String = "nas"
  ) -> ArchivedCopy {
    let modified = FileTime(seconds: 5, nanoseconds: 6)
    return ArchivedCopy(
      archiveID: .random(), target: target, path: RelativePath(name), size: 100, modified: modified,
      hash: ContentHash(Array(repeating: 0xAB, count: 32))!, archivedAt: Timestamp(seconds: archivedAt),
      proof: proof,
      metadata: FileMetadata(
        mode: 0o640, owner: 1000, group: 100, modified: modified,
        accessed: FileTime(seconds: 7, nanoseconds: 8),
        attributes: [
          ExtendedAttribute(name: "user.empty", value: []),
          ExtendedAttribute(name: "user.zero", value: [0, 255, 10]),
        ]))
  }
}

extension Intent {
  static func sample(for file: CatalogFile) -> Intent {
    Intent(
      kind: .archive, epoch: Epoch(0), volume: file.volume, file: file.id, path: RelativePath(file.name),
      target: "nas", targetPath: RelativePath("photos")!.appending(file.name), archiveID: .random(),
      begun: Timestamp(seconds: 1))
  }
}

/// Raised once, seen by every thread.
final class Flag: Sendable {
  private let raised = Mutex(false)
  var value: Bool { raised.withLock { $0 } }
  func raise() { raised.withLock { $0 = true } }
}
