import Logging
import TierCore
import TierLinux

/// Swaps the file with a symbolic link, a new inode, by their names. The old inode lingers under its hidden name, so
/// that a writer who had looked the name up just before loses nothing.
struct LinkRelease: ReleaseMethod {
  let volume: Volume
  let stubs: SymlinkStub
  let log: Logger

  func begin(_ file: inout Leaving) throws(TierError) -> Lingering {
    let hidden = volume.hiddenPath(file.copy.archiveID)
    let stub: FileStatus
    let old: FileStatus?
    do throws(TierError) {
      stub = try stubs.make(file.copy, of: file.row, at: hidden, in: volume)
      old = try exchange(file.path, hidden, holding: file.file)
    } catch {
      // Most likely an app was faster and the name is gone. Our own lease must not look like somebody's use.
      try? file.file.dropLease(at: "release.dropLease")
      try putBack(file.intent)
      throw .kept("\(error)")
    }
    // On GlusterFS what another client wrote a moment ago may have come to light only by the swap.
    guard let old, old.links == 1, old.version.hasSameContent(as: file.status.version) else {
      try putBack(file.intent)
      throw .kept("it was opened or replaced at the last moment")
    }
    file.row.observeStub(stub)
    return Lingering(
      intent: file.intent, place: .hidden(old.version), until: volume.clock.monotonic + volume.tuning.linger)
  }

  /// Swaps the names, durably. Gives what stands at the hidden one now; nil where somebody wants to open the file.
  private func exchange(_ path: RelativePath, _ hidden: RelativePath, holding file: any OpenFile)
    throws(TierError) -> FileStatus?
  {
    try wrapping("while putting its stub in place") { () throws(SyscallError) in
      try volume.files.swap(hidden, with: path, at: "release.exchange")
      try volume.files.syncDirectory(path.parent, at: "release.syncParent")
      let old = try volume.files.status(of: hidden, at: "release.statusOld")
      return try file.leaseIsUndisturbed(at: "release.undisturbed") ? old : nil
    }
  }

  func free(_ item: Lingering) throws(TierError) {
    let hidden = volume.hiddenPath(item.intent.archiveID)
    guard try isUntouched(hidden, item) else {
      try PutBack(volume: volume, log: log).run(item.intent)
      return
    }
    try wrapping("while freeing it") { () throws(SyscallError) in
      try volume.files.unlink(hidden, at: "release.free")
    }
    if let id = item.intent.id { try volume.catalog.finish([id], applying: []) }
  }

  /// Nobody wrote to the old inode, and nobody is about to.
  private func isUntouched(_ hidden: RelativePath, _ item: Lingering) throws(TierError) -> Bool {
    guard case .hidden(let version) = item.place else { return false }
    if try volume.isHeldOpen(hidden, at: "release.lingerIsHeldOpen") { return false }
    guard let file = try volume.openForRelease(hidden, .read) else { return false }
    defer { file.close() }
    guard try file.isGranted(.againstWriters, at: "release.lingerLease") else { return false }
    return try wrapping("before it is freed") { () throws(SyscallError) in
      try file.status(at: "release.lingerStatus").version == version
    }
  }

  func takeBack(_ item: Lingering) throws(TierError) {
    let file = try volume.openForRelease(volume.hiddenPath(item.intent.archiveID), .read)
    defer { file?.close() }
    let isQuiet = try file?.isGranted(.againstWriters, at: "release.takeBackLease") ?? false
    try putBack(item.intent)
    guard isQuiet, let file, case .hidden(let version) = item.place, let id = item.intent.file,
      var row = try volume.catalog.file(id)
    else { return }
    try recognise(file, version, &row)
    try volume.catalog.apply([.put(row)])
  }

  /// Nobody wrote to what was put back: it is still what was archived.
  private func recognise(_ file: any OpenFile, _ old: FileVersion, _ row: inout CatalogFile)
    throws(TierError)
  {
    let (status, isUndisturbed) = try wrapping("after it was put back") { () throws(SyscallError) in
      (try file.status(at: "release.takenBack"), try file.leaseIsUndisturbed(at: "release.takenBackLease"))
    }
    guard isUndisturbed, status.links == 1, row.version.inode == status.inode,
      status.version.hasSameContent(as: old)
    else { return }
    row.state = .archived
    row.observe(status)
    if let path = try volume.path(of: row) { volume.judge(&row, at: path) }
  }

  private func putBack(_ intent: Intent) throws(TierError) {
    let recovery = LocalRecovery(volume: volume, log: log)
    let failure = try recovery.attempting(intent) { () throws(TierError) in
      try PutBack(volume: volume, log: log).run(intent)
    }
    if let failure { throw failure }
  }
}
