import Logging
import TierCore
import TierLinux

/// Undoes a release: the old inode, at its hidden name, gets its own name back. Whatever happened to that name
/// meanwhile, the content is kept.
struct PutBack {
  let volume: Volume
  let log: Logger

  func run(_ intent: Intent) throws(TierError) {
    let hidden = volume.hiddenPath(intent.archiveID)
    let place = try volume.place(of: intent)
    try wrapping("while undoing a release") { () throws(SyscallError) in
      try volume.files.settleSwap(of: hidden, with: place)
    }
    if try status(of: hidden) != nil, try !isOurStub(hidden, intent), try isOurStub(place, intent) {
      try swapBack(hidden, place, intent)
    }
    if try status(of: hidden) != nil {
      // A stub: out of its place again, or it never came there.
      let isStub = try isOurStub(hidden, intent)
      let isSpare = try isUntouched(hidden, intent)
      if isStub || isSpare {
        try wrapping("while undoing a release") { () throws(SyscallError) in
          try volume.files.unlink(hidden, at: "putBack.unlink")
        }
      } else {
        try keep(hidden, beside: place, intent.archiveID)
      }
    }
    try settleRow(intent, at: place)
  }

  /// An app may be faster once more: its file, swapped out, is swapped in again.
  private func swapBack(_ hidden: RelativePath, _ place: RelativePath, _ intent: Intent) throws(TierError) {
    try swap(hidden, place, "putBack.exchange")
    if try !isOurStub(hidden, intent) { try swap(hidden, place, "putBack.exchangeAgain") }
  }

  private func swap(_ hidden: RelativePath, _ place: RelativePath, _ site: CallSite) throws(TierError) {
    try wrapping("while putting it back") { () throws(SyscallError) in
      try volume.files.swap(hidden, with: place, at: site)
    }
  }

  private func isOurStub(_ path: RelativePath, _ intent: Intent) throws(TierError) -> Bool {
    try volume.isStub(path, of: intent.archiveID, at: "putBack.isStub")
  }

  /// The old inode as it was released, whose stub went elsewhere or was deleted: its copy is proven.
  private func isUntouched(_ hidden: RelativePath, _ intent: Intent) throws(TierError) -> Bool {
    guard let old = try status(of: hidden), old.kind == .regular, let version = intent.version,
      old.version.hasSameContent(as: version)
    else { return false }
    return try !volume.isBeingWritten(hidden)
  }

  /// The name is free, or somebody else's now: the old inode must not replace that, nor be dropped.
  func keep(_ hidden: RelativePath, beside path: RelativePath, _ id: ArchiveID) throws(TierError) {
    let suffix = ".tierd-kept-" + id.description.prefix(8)
    let name = path.name.flatMap { FileName(Array($0.bytes.prefix(230)) + Array(suffix.utf8)) }
    guard let name else { return }
    let places = [path, path.parent.appending(name), Volume.ownFolder.appending(name)]
    for place in places {
      do throws(SyscallError) {
        try volume.files.rename(hidden, to: place, .keepExisting, at: "putBack.keepBeside")
        log.warning(
          "kept a file that was opened or replaced while tierd moved it",
          metadata: ["path": "\(volume.absolute(place))"])
        return
      } catch {
        guard error.isTaken || error.isMissing || error.isLink else {
          throw TierError(error, while: "keeping a file that was opened or replaced while tierd moved it")
        }
      }
    }
  }

  /// Its row says what the next window must check: perhaps changed, with the copy as its older version.
  private func settleRow(_ intent: Intent, at place: RelativePath) throws(TierError) {
    var changes: [CatalogChange] = []
    if let id = intent.file, var row = try volume.catalog.file(id), let status = try status(of: place),
      status.kind == .regular, row.version.inode == status.inode || intent.version?.inode == status.inode
    {
      row.state = .resident
      row.observe(status)
      volume.judge(&row, at: place)
      changes = [.put(row)]
    }
    volume.requestExamination(of: place)
    volume.requestExamination(of: intent.path)
    if let id = intent.id { try volume.catalog.finish([id], applying: changes) }
  }

  private func status(of path: RelativePath) throws(TierError) -> FileStatus? {
    try wrapping("while undoing a release") { () throws(SyscallError) in
      try volume.files.status(of: path, at: "putBack.look")
    }
  }
}
