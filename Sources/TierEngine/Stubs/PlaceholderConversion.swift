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
    var after: FileID?
    var converted = 0
    while true {
      let page = try volume.catalog.files(below: volume.rootDirectory, after: after, limit: 512)
      for row in page where row.state == .released {
        do throws(TierError) {
          if try volume.committing({ () throws(TierError) in try convert(row) }) { converted += 1 }
        } catch {
          guard error.isOfOnePlace, volume.isStillThere() else { throw error }
          log.error("a placeholder stays without a guard", metadata: ["error": "\(error)"])
        }
      }
      guard let last = page.last else { break }
      after = last.id
    }
    // Others may turn up under other names: whether there are any is asked at each start.
    if converted > 0 {
      log.warning(
        "placeholders became links: no guard stands before them",
        metadata: [
          "volume": "\(volume.name)", "files": "\(converted)", "reason": "\(volume.missingGuard ?? "")",
        ])
    }
  }

  private func convert(_ known: CatalogFile) throws(TierError) -> Bool {
    guard let id = known.id, var row = try volume.catalog.file(id), let copy = row.copy,
      let path = try volume.path(of: row),
      try volume.isPlaceholder(path, of: copy.archiveID, at: "convert.isPlaceholder")
    else { return false }
    if try volume.obstacleToHiding(copy.archiveID) != nil { return false }
    // Without a guard somebody may have written to it, which moves its time. Not opened: a guard that lives on, but has
    // no client, would hold tierd itself.
    let empty = try wrapping("while making a link of a placeholder") { () throws(SyscallError) in
      try volume.files.status(of: path, at: "convert.look")
    }
    guard let empty, empty.version.hasSameContent(as: row.version), copy.proof == .proven, !row.isLost else {
      throw TierError(.fileSystem, PlaceholderSettling.unknown, path: volume.absolute(path))
    }
    let hidden = volume.renewalPath(copy.archiveID)
    let stub = try links.make(copy, of: row, at: hidden, in: volume)
    let isOurs = try wrapping("while making a link of a placeholder") { () throws(SyscallError) in
      try volume.files.swap(hidden, with: path, at: "convert.exchange")
      return try volume.files.status(of: hidden, at: "convert.status")?.version.hasSameContent(
        as: empty.version)
        ?? false
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
}
