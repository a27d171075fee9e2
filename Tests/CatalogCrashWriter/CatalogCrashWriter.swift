import Glibc
import TierCatalog
import TierCore

/// Writes to the catalog of the directory named on its command line until it is killed: transaction n puts file
/// n and renames the directory to `tree n`; then it prints n.
@main enum CatalogCrashWriter {
  static func main() throws {
    let catalog = try SQLiteCatalog(directory: CommandLine.arguments[1])
    let volume = try catalog.openVolume(named: "photos")
    let tree =
      try catalog.children(of: volume.root).directories.first?.id
      ?? catalog.makeDirectory(at: RelativePath("tree")!, inode: 1, in: volume.id)
    let done = try catalog.files(below: tree, after: nil, limit: .max).count
    for number in (done + 1)... {
      let file = CatalogFile(
        volume: volume.id, directory: tree, name: FileName("file \(number)")!, state: .resident,
        version: FileVersion(
          inode: UInt64(number), size: 1, modified: FileTime(seconds: 0, nanoseconds: 0),
          changed: FileTime(seconds: 0, nanoseconds: 0)),
        links: 1, owner: 0, mode: 0o600, allocated: 0, firstSeen: Timestamp(seconds: 0),
        lastUsed: Timestamp(seconds: 0))
      try catalog.apply([
        .put(file), .moveDirectory(tree, to: volume.root, name: FileName("tree \(number)")!),
      ])
      let line = Array("\(number)\n".utf8)
      guard write(STDOUT_FILENO, line, line.count) == line.count else { exit(1) }
    }
  }
}
