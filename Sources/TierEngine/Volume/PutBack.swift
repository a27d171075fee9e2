import Logging
import TierCore
import TierLinux

/// Undoes a release: the old inode, at its hidden name, gets its own name back. Whatever happened to that name
/// meanwhile, the content is kept.
struct PutBack {
  let volume: Volume
  let log: Logger

  /// `stubInode`: nil where only the identity can tell the stub (after a crash).
  func run(_ intent: Intent, stubInode: UInt64? = nil) throws(TierError) {
    let hidden = volume.hiddenPath(intent.archiveID)
    try wrapping("while undoing a release") { () throws(SyscallError) in
      try volume.files.settleSwap(of: hidden, with: intent.path)
    }
    if try stubStands(intent, stubInode) { try swapBack(intent, hidden) }
    switch try kind(of: hidden) {
    case .symlink:
      // Out of its place again, or it never came there.
      try wrapping("while removing its unused stub") { () throws(SyscallError) in
        try volume.files.unlink(hidden, at: "putBack.unlinkStub")
      }
    case nil: break
    default: try keepBeside(intent, hidden)
    }
    try settleRow(intent)
  }

  /// An app may be faster once more: its file, swapped out, is swapped in again.
  private func swapBack(_ intent: Intent, _ hidden: RelativePath) throws(TierError) {
    try wrapping("while putting it back") { () throws(SyscallError) in
      try volume.files.swap(hidden, with: intent.path, at: "putBack.exchange")
      let out = try volume.files.status(of: hidden, at: "putBack.status")
      if let out, out.kind != .symlink {
        try volume.files.swap(hidden, with: intent.path, at: "putBack.exchangeAgain")
      }
    }
  }

  private func stubStands(_ intent: Intent, _ stubInode: UInt64?) throws(TierError) -> Bool {
    if let stubInode {
      return try status(of: intent.path)?.inode == stubInode
    }
    return try volume.isStub(intent.path, of: intent.archiveID, at: "putBack.isStub")
  }

  /// The name is free, or somebody else's now: the old inode must not replace that, nor be dropped.
  private func keepBeside(_ intent: Intent, _ hidden: RelativePath) throws(TierError) {
    let suffix = ".tierd-kept-" + intent.archiveID.description.prefix(8)
    let name = intent.path.name.flatMap { FileName(Array($0.bytes.prefix(230)) + Array(suffix.utf8)) }
    guard let name else { return }
    let places = [intent.path, intent.path.parent.appending(name), Volume.ownFolder.appending(name)]
    for place in places {
      do throws(SyscallError) {
        try volume.files.rename(hidden, to: place, .keepExisting, at: "putBack.keepBeside")
        log.warning(
          "kept a file that was opened while it was released",
          metadata: ["path": "\(volume.absolute(place))"])
        return
      } catch {
        guard error.isTaken || error.isMissing else {
          throw TierError(error, while: "keeping a file that was opened while it was released")
        }
      }
    }
  }

  /// Its row says what the next window must check: perhaps changed, with the copy as its older version.
  private func settleRow(_ intent: Intent) throws(TierError) {
    var changes: [CatalogChange] = []
    if let id = intent.file, var row = try volume.catalog.file(id), let status = try status(of: intent.path),
      status.kind == .regular
    {
      row.state = .resident
      row.observe(status)
      volume.judge(&row, at: intent.path)
      changes = [.put(row)]
    }
    volume.requestExamination(of: intent.path)
    if let id = intent.id { try volume.catalog.finish([id], applying: changes) }
  }

  private func kind(of path: RelativePath) throws(TierError) -> FileKind? { try status(of: path)?.kind }

  private func status(of path: RelativePath) throws(TierError) -> FileStatus? {
    try wrapping("while undoing a release") { () throws(SyscallError) in
      try volume.files.status(of: path, at: "putBack.look")
    }
  }
}
