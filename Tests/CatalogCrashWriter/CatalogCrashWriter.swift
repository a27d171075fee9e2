import Glibc
import TierCatalog
import TierCore

/// Writes to the catalog of the directory named on its command line until it is killed: transaction n puts file
/// n, which has a copy, and renames the directory to `tree n`; then it prints n.
@main enum CatalogCrashWriter {
  static func main() throws {
    let catalog = try SQLiteCatalog(directory: CommandLine.arguments[1])
    let volume = try catalog.openVolume(named: "photos")
    let tree =
      try catalog.children(of: volume.root).directories.first?.id
      ?? catalog.makeDirectory(at: RelativePath("tree")!, inode: 1, in: volume.id)
    let done = try catalog.files(below: tree, after: nil, limit: .max).count
    for number in (done + 1)... {
      try catalog.apply([
        .put(file(number, in: tree, of: volume.id)),
        .moveDirectory(
          tree, to: volume.root, name: FileName("tree \(number)")!, at: Timestamp(seconds: Int64(number))),
      ])
      let line = Array("\(number)\n".utf8)
      guard write(STDOUT_FILENO, line, line.count) == line.count else { exit(1) }
    }
  }

  private static func file(_ number: Int, in directory: DirectoryID, of volume: VolumeID) -> CatalogFile {
    let (epoch, time) = (Timestamp(seconds: 0), FileTime(seconds: 0, nanoseconds: 0))
    let name = FileName("file \(number)")!
    let copy = ArchivedCopy(
      archiveID: .random(), target: "nas", path: RelativePath(name), size: 1, modified: time,
      hash: ContentHash([UInt8](repeating: 1, count: 32))!, archivedAt: epoch, proof: .proven,
      metadata: FileMetadata(mode: 0o600, owner: 0, group: 0, modified: time, accessed: time))
    return CatalogFile(
      volume: volume, directory: directory, name: name, state: .resident,
      version: FileVersion(inode: UInt64(number), size: 1, modified: time, changed: time), links: 1, owner: 0,
      mode: 0o600, allocated: 0, firstSeen: epoch, lastUsed: epoch, copy: copy)
  }
}
