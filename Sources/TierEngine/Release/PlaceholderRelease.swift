import Logging
import TierCore
import TierLinux

/// Frees the blocks of the file itself, behind the guard. Its identity says so first, durably; then it lingers under
/// the lease: who was let through before the guard heard of it has come to the file by then, and is seen.
struct PlaceholderRelease: ReleaseMethod {
  let volume: Volume
  let guardian: any VolumeGuard
  let log: Logger

  func begin(_ file: inout Leaving) throws(TierError) -> Lingering {
    let placeholder = Placeholder(volume: volume, copy: file.copy, file: file.file)
    let marked: FileStatus
    do throws(TierError) {
      try volume.notePlaceholders()
      try wrapping("while marking it") { () throws(SyscallError) in
        try placeholder.mark(.releasing, at: "release.markReleasing")
        try file.file.sync(at: "release.syncMark")
      }
      try guardian.stubbing(file.file)
      marked = try wrapping("before its release") { () throws(SyscallError) in
        try file.file.status(at: "release.marked")
      }
    } catch {
      try callOff(file.intent, placeholder)
      throw .kept("\(error)")
    }
    file.row.observe(marked)
    return Lingering(
      intent: file.intent, place: .itself(placeholder, marked),
      until: volume.clock.monotonic + volume.tuning.linger)
  }

  func free(_ item: Lingering) throws(TierError) {
    guard case .itself(let placeholder, let marked) = item.place else { return }
    guard var row = try row(of: item.intent, marked), let path = try volume.path(of: row),
      try isUntouched(placeholder.file, marked)
    else { return try takeBack(item) }
    let status = try wrapping("while freeing it") { () throws(SyscallError) in
      // Whoever comes now is held by the guard. It opens the file to ask about our own calls, and must not wait for
      // our lease.
      try placeholder.file.dropLease(at: "release.dropLease")
      return try placeholder.empty(modified: marked.modified, accessed: marked.accessed)
    }
    placeholder.file.close()
    row.state = .released
    row.observe(status)
    volume.judge(&row, at: path)
    volume.noteOwnUse(of: path)
    if let id = item.intent.id { try volume.catalog.finish([id], applying: [.put(row)]) }
  }

  private func isUntouched(_ file: any OpenFile, _ marked: FileStatus) throws(TierError) -> Bool {
    try wrapping("before it is freed") { () throws(SyscallError) in
      guard try file.leaseIsUndisturbed(at: "release.undisturbed") else { return false }
      let status = try file.status(at: "release.lingerStatus")
      // Only its name may have changed, and its ctime with it.
      return status.links <= 1 && status.version.hasSameContent(as: marked.version)
    }
  }

  func takeBack(_ item: Lingering) throws(TierError) {
    guard case .itself(let placeholder, _) = item.place else { return }
    try callOff(item.intent, placeholder)
  }

  /// Nothing was freed: the file says again that it holds its content. Durably, so that a crash doesn't bring the mark
  /// back over what an app writes next.
  private func callOff(_ intent: Intent, _ placeholder: Placeholder) throws(TierError) {
    let recovery = LocalRecovery(volume: volume, log: log)
    defer { placeholder.file.close() }
    let failure = try recovery.attempting(intent) { () throws(TierError) in
      let status = try wrapping("while calling its release off") { () throws(SyscallError) in
        try placeholder.fill()
      }
      try settle(intent, status)
    }
    if let failure { throw failure }
  }

  /// Still what was archived, if it has its time and its one name: the mark moved only ctime.
  private func settle(_ intent: Intent, _ status: FileStatus) throws(TierError) {
    var changes: [CatalogChange] = []
    if var row = try row(of: intent, status), let path = try volume.path(of: row) {
      let isClean = status.links == 1 && (intent.version.map(status.version.hasSameContent) ?? false)
      row.state = isClean ? .archived : .resident
      row.observe(status)
      volume.judge(&row, at: path)
      volume.requestExamination(of: path)
      changes = [.put(row)]
    }
    if let id = intent.id { try volume.catalog.finish([id], applying: changes) }
  }

  /// Nil where the file was deleted, or something else has its name, and with it the row, by now.
  private func row(of intent: Intent, _ file: FileStatus) throws(TierError) -> CatalogFile? {
    guard let id = intent.file, let row = try volume.catalog.file(id), row.version.inode == file.inode,
      row.copy?.archiveID == intent.archiveID
    else { return nil }
    return row
  }
}
