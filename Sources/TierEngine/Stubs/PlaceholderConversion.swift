import Logging
import TierCore
import TierLinux

/// Turns placeholders into symbolic links, where no guard can stand before them (any more): a link that leads nowhere
/// is an error to whoever opens it, a placeholder without a guard would be zeros. Needs no target.
struct PlaceholderConversion {
  let volume: Volume
  let links: SymlinkStub
  let log: Logger

  /// All of the volume's. Does nothing where it never had any.
  func run() throws(TierError) {
    guard try volume.hasPlaceholders() else { return }
    log.warning(
      "placeholders become links: no guard stands before them",
      metadata: ["volume": "\(volume.name)", "reason": "\(volume.missingGuard ?? "")"])
    var after: FileID?
    var converted = 0
    var failures = 0
    while true {
      let page = try volume.catalog.files(below: volume.rootDirectory, after: after, limit: 512)
      for row in page where row.state == .released {
        do throws(TierError) {
          if try volume.committing({ () throws(TierError) in try convert(row) }) { converted += 1 }
        } catch {
          guard error.isOfOnePlace, volume.isStillThere() else { throw error }
          failures += 1
          log.error("a placeholder stays without a guard", metadata: ["error": "\(error)"])
        }
      }
      guard let last = page.last else { break }
      after = last.id
    }
    log.info("placeholders became links", metadata: ["volume": "\(volume.name)", "files": "\(converted)"])
    if failures == 0 { try volume.noteNoPlaceholders() }
  }

  private func convert(_ known: CatalogFile) throws(TierError) -> Bool {
    guard let id = known.id, var row = try volume.catalog.file(id), let copy = row.copy,
      let path = try volume.path(of: row),
      try volume.isPlaceholder(path, of: copy.archiveID, at: "convert.isPlaceholder")
    else { return false }
    if try volume.obstacleToHiding(copy.archiveID) != nil { return false }
    let hidden = volume.renewalPath(copy.archiveID)
    let stub = try links.make(copy, of: row, at: hidden, in: volume)
    let isOurs = try wrapping("while making a link of a placeholder") { () throws(SyscallError) in
      try volume.files.swap(hidden, with: path, at: "convert.exchange")
      return try volume.files.status(of: hidden, at: "convert.status")?.inode == row.version.inode
    }
    guard isOurs, try volume.isPlaceholder(hidden, of: copy.archiveID, at: "convert.isOurs") else {
      try wrapping("while making a link of a placeholder") { () throws(SyscallError) in
        try volume.files.swap(hidden, with: path, at: "convert.exchangeBack")
        try volume.files.unlink(hidden, at: "convert.unlinkLink")
      }
      return false
    }
    try wrapping("while making a link of a placeholder") { () throws(SyscallError) in
      try volume.files.unlink(hidden, at: "convert.unlink")
      try volume.files.syncDirectory(path.parent, at: "convert.syncParent")
    }
    row.observeStub(stub)
    volume.judge(&row, at: path)
    try volume.catalog.apply([.put(row)])
    return true
  }
}

extension Volume {
  static func placeholderKey(_ name: String) -> String { "volume/\(name)/placeholders" }

  private var placeholderKey: String { Self.placeholderKey(name) }

  /// Whether it may have any: then its guard is needed, whatever the policies say now.
  func hasPlaceholders() throws(TierError) -> Bool { try catalog.setting(placeholderKey) != nil }

  /// Before the first one is made.
  func notePlaceholders() throws(TierError) {
    if try !hasPlaceholders() { try catalog.setSetting(placeholderKey, to: [0x31]) }
  }

  func noteNoPlaceholders() throws(TierError) { try catalog.setSetting(placeholderKey, to: nil) }
}
