import TierCore
import TierLinux

/// One file on its way through the archiver.
struct ArchiveItem: Sendable {
  var row: CatalogFile
  var volume: Volume
  var path: RelativePath
  var file: any OpenFile
  var status: FileStatus
  var intent: Intent
  var upload: Upload
  var hash: ContentHash?
  /// Set where the target's copy is already the file's content: only the file's metadata changed.
  var unchangedCopy: ArchivedCopy?
  /// Ours, at the place on the target that this one takes: the file's own older version, or the copy of another
  /// file that had the name before.
  var older: ArchivedCopy?
  /// Set once `older` lies in the trash.
  var trashed: ArchivedCopy?
}

/// The end of a batch, for the files of one volume: each is marked, and the catalog learns of its copy.
struct ArchiveConclusion: Sendable {
  let volume: Volume
  let archived: [(item: ArchiveItem, copy: ArchivedCopy)]
  /// How long a file that changed meanwhile is left alone.
  let busy: Duration

  func write() throws(TierError) {
    defer { for (item, _) in archived { item.file.close() } }
    try volume.committing { () throws(TierError) in
      var marks: [Mark] = []
      for (item, copy) in archived { marks.append(try mark(item, copy)) }
      // Each must see what became of the one before: files may share a copy.
      try volume.catalog.together { () throws(TierError) in
        for ((item, copy), mark) in zip(archived, marks) {
          try volume.catalog.apply(try settle(item, copy, mark))
        }
        try volume.catalog.finish(archived.compactMap(\.item.intent.id), applying: [])
      }
    }
  }

  /// What it means for the catalog that the file has this copy now.
  private func settle(_ item: ArchiveItem, _ copy: ArchivedCopy, _ mark: Mark) throws(TierError)
    -> [CatalogChange]
  {
    guard let id = item.row.id, var row = try volume.catalog.file(id), let path = try volume.path(of: row)
    else {
      // Deleted meanwhile: its copy goes the way of all deleted files' copies.
      var gone = item.row
      gone.copy = copy
      return try volume.removalChanges(for: gone, lastPath: item.path) + outdated(item)
    }
    var changes = try outdated(item)
    changes += try volume.successionChanges(of: row, by: copy)
    row.copy = copy
    row.isLost = false
    row.heldReason = nil
    row.retryAt = nil
    switch mark {
    case .archived(let status, let unmarked):
      row.state = .archived
      row.observe(status)
      row.heldReason = unmarked.map { "\($0)" }
    case .changed:
      row.state = .resident
      // The examination takes this away, where something did change.
      row.retryAt = volume.clock.now + busy
      volume.requestExamination(of: path)
    case .failed(let error):
      row.state = .resident
      row.heldReason = "\(error)"
      row.retryAt = volume.clock.now + .seconds(3600)
    }
    volume.judge(&row, at: path)
    changes.append(.put(row))
    if path != item.path, let move = volume.move(for: row) { changes.append(move) }
    return changes
  }

  private func outdated(_ item: ArchiveItem) throws(TierError) -> [CatalogChange] {
    guard let older = item.trashed else { return [] }
    return try volume.replacementChanges(of: older, at: item.path, file: item.row.id)
  }

  private enum Mark {
    /// With what kept it from being marked.
    case archived(FileStatus, TierError?)
    /// It is no longer what was copied, or somebody has it open.
    case changed
    case failed(TierError)
  }

  /// Marks the file as archived if it still is what was copied. Under a lease against writers, so that our own
  /// mark's new ctime can't hide somebody's change.
  private func mark(_ item: ArchiveItem, _ copy: ArchivedCopy) throws(TierError) -> Mark {
    guard let id = item.row.id, let row = try volume.catalog.file(id),
      row.version.inode == item.status.inode
    else { return .changed }
    do throws(SyscallError) {
      try item.file.takeLease(.againstWriters, at: "archive.markLease")
      defer { try? item.file.dropLease(at: "archive.markLeaseDrop") }
      guard try item.file.status(at: "archive.markStatus").version == item.status.version else {
        return .changed
      }
      let unmarked = try volume.mark(item.file, with: copy, at: "archive.mark")
      let status = try item.file.status(at: "archive.marked")
      let isSame = status.version.hasSameContent(as: item.status.version) && status.links == 1
      return isSame ? .archived(status, unmarked) : .changed
    } catch {
      return error.isBusy ? .changed : .failed(TierError(error, while: "marking it as archived"))
    }
  }
}
