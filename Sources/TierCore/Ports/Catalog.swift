/// What tierd knows between scans, and its journal. An index, never the only truth: `fsck --rebuild` makes it
/// anew from the volumes' stubs and the targets' manifests.
///
/// Every call is one transaction, durable when it returns (but within `together`), and may come from any thread.
/// Memory stays bounded whatever the number of files: lists are pages.
package protocol Catalog: Sendable {
  /// All calls that `body` makes on this thread are one transaction: they see each other at once, and are durable
  /// together when this returns, or undone together where `body` throws. Other threads see the state before;
  /// those that write wait, so `body` is short and waits for nobody who may be waiting for the catalog. Within
  /// another it is a part of that one, which alone is undone where `body` throws.
  func together<Result>(_ body: () throws(TierError) -> Result) throws(TierError) -> Result

  // MARK: Volumes and directories
  /// Finds or makes the volume's row and its root directory's. `epoch` is the last one stored.
  func openVolume(named name: String) throws(TierError) -> CatalogVolume
  /// Refuses an epoch older than the stored one, as `begin` does.
  func setEpoch(_ epoch: Epoch, of volume: VolumeID) throws(TierError)
  func setScanState(_ state: ScanState, of volume: VolumeID) throws(TierError)
  /// Nil where no such directory is known.
  func directory(at path: RelativePath, in volume: VolumeID) throws(TierError) -> DirectoryID?
  /// Nil for a directory that was removed meanwhile.
  func path(of directory: DirectoryID) throws(TierError) -> RelativePath?
  /// Makes the directory and its missing parents. `inode` is recorded for the last component.
  func makeDirectory(at path: RelativePath, inode: UInt64, in volume: VolumeID) throws(TierError)
    -> DirectoryID
  /// All children of one directory.
  func children(of directory: DirectoryID) throws(TierError)
    -> (files: [CatalogFile], directories: [CatalogDirectory])
  func directories(withInode inode: UInt64, in volume: VolumeID) throws(TierError) -> [CatalogDirectory]

  // MARK: Files
  func file(_ id: FileID) throws(TierError) -> CatalogFile?
  func file(named name: FileName, in directory: DirectoryID) throws(TierError) -> CatalogFile?
  func files(withInode inode: UInt64, in volume: VolumeID) throws(TierError) -> [CatalogFile]
  func files(withArchiveID id: ArchiveID) throws(TierError) -> [CatalogFile]
  /// All changes, or none.
  func apply(_ changes: [CatalogChange]) throws(TierError)
  /// Files at or below a directory, ordered by id; at most `limit` with an id above `after`.
  func files(below directory: DirectoryID, after: FileID?, limit: Int) throws(TierError) -> [CatalogFile]

  // MARK: What is due
  /// Files for `target` with `archiveDue` up to `now`, not waiting for a retry, the earliest `archiveBy` first,
  /// files of one directory together as far as that allows.
  func archiveCandidates(for target: String, now: Timestamp, limit: Int) throws(TierError) -> [CatalogFile]
  /// Archived files with `releaseDue` up to `now`, clean, proven, not lost, not pinned, not waiting for a retry;
  /// the longest due first.
  func releaseCandidates(in volume: VolumeID, now: Timestamp, limit: Int) throws(TierError) -> [CatalogFile]
  /// The same, whatever their `releaseDue` (nil excepted), the least recently used first. For the high
  /// watermark.
  func coldestFiles(in volume: VolumeID, now: Timestamp, limit: Int) throws(TierError) -> [CatalogFile]
  /// Files on `target` whose copy awaits its proof and was archived before `before`.
  func unprovenFiles(on target: String, before: Timestamp, limit: Int) throws(TierError) -> [CatalogFile]
  func pending(for target: String, now: Timestamp) throws(TierError) -> PendingWork
  /// The earliest future moment at which another release candidate appears, nil where none will.
  func nextRelease(in volume: VolumeID, after now: Timestamp) throws(TierError) -> Timestamp?

  // MARK: Journal
  /// Gives the intents their ids, in the same order. An intent that was ended already is `notFound` for `advance`
  /// and `finish`.
  func begin(_ intents: [Intent]) throws(TierError) -> [IntentID]
  func advance(_ intents: [Intent]) throws(TierError)
  /// Ends the intents and applies what they changed, in one transaction.
  func finish(_ intents: [IntentID], applying changes: [CatalogChange]) throws(TierError)
  func openIntents(limit: Int) throws(TierError) -> [Intent]
  func openIntents(for file: FileID) throws(TierError) -> [Intent]
  func openIntents(withArchiveID id: ArchiveID) throws(TierError) -> [Intent]

  // MARK: Removals, ledger, totals
  func removals(on target: String, stage: Removal.Stage, expiringBefore: Timestamp, limit: Int)
    throws(TierError) -> [Removal]
  /// The removals of a path or of what was below it that can be taken back, the newest first; those that follow
  /// `after`, the last of the page before.
  func removals(at path: RelativePath, in volume: VolumeID, after: Removal?, limit: Int) throws(TierError)
    -> [Removal]
  /// Those that can be taken back.
  func removals(withArchiveID id: ArchiveID) throws(TierError) -> [Removal]
  /// Moves the date on which the trash lets go of each copy; back, where `shift` is negative. What was removed after
  /// `now`, as a wrong clock said, was removed now.
  func postponeExpiry(by shift: Duration, now: Timestamp) throws(TierError)
  func moves(on target: String, limit: Int) throws(TierError) -> [TargetMove]
  /// The copies at some of these places on the target whose files have other names by now, or are deleted: those
  /// that moves and pending removals are about.
  func copiesAstray(at places: [RelativePath], on target: String) throws(TierError) -> [ArchivedCopy]
  func record(_ window: WindowRecord) throws(TierError) -> WindowID
  func windows(of target: String?, limit: Int) throws(TierError) -> [WindowRecord]
  func totals(of volume: VolumeID) throws(TierError) -> VolumeTotals
  func totals(below directory: DirectoryID) throws(TierError) -> VolumeTotals
  /// Small values of the daemon's own: cached NFS root handles, the last policy fingerprint.
  func setting(_ key: String) throws(TierError) -> [UInt8]?
  func setSetting(_ key: String, to value: [UInt8]?) throws(TierError)
}

/// What one `apply` names by id and somebody else forgot meanwhile is `notFound`, and nothing of it is done;
/// only forgetting twice is no error.
///
/// A file or directory that another one takes the name of gives way. It may get a new name later in the same
/// `apply` (that is how two names are swapped); without one it is forgotten, a directory only if it is empty.
package enum CatalogChange: Hashable, Sendable {
  /// By id where it has one, else a new row (one that has the same directory and name is replaced).
  case put(CatalogFile)
  case forget(FileID)
  /// The directory only moves: all below it stays what it is. The moves of the copies of all files below are queued
  /// with it.
  case moveDirectory(DirectoryID, to: DirectoryID, name: FileName, at: Timestamp)
  /// With everything below it. Files that have a copy must have been turned into removals before: else refused.
  case forgetDirectory(DirectoryID)
  /// By id where it has one, else a new row.
  case putRemoval(Removal)
  case forgetRemoval(RemovalID)
  /// A rename that is to be applied on the target; the last one for an archive id wins.
  case putMove(TargetMove)
  case forgetMove(ArchiveID)
}

/// A copy whose name on the target is to follow its file's. The copy's own, not one file's: several may stand for
/// it (an app copied the stub), and one that no longer does must not take the move along.
package struct TargetMove: Hashable, Sendable {
  package var archiveID: ArchiveID
  package var target: String
  package var queued: Timestamp

  package init(archiveID: ArchiveID, target: String, queued: Timestamp) {
    self.archiveID = archiveID
    self.target = target
    self.queued = queued
  }
}

package struct CatalogVolume: Hashable, Sendable {
  package var id: VolumeID
  package var root: DirectoryID
  package var epoch: Epoch
  package var scan: ScanState

  package init(id: VolumeID, root: DirectoryID, epoch: Epoch, scan: ScanState) {
    self.id = id
    self.root = root
    self.epoch = epoch
    self.scan = scan
  }
}

/// Where the volume's scan stands; survives restarts.
package struct ScanState: Hashable, Sendable {
  /// Set on any doubt (first start, overflow, lost watch), cleared by a complete scan begun after it.
  package var isNeeded: Bool
  /// The last directory that the scan under way has finished, in depth-first order; nil where none is under way.
  package var resumeAfter: RelativePath?
  package var lastCompleted: Timestamp?
  package var reason: String

  package init(isNeeded: Bool, resumeAfter: RelativePath?, lastCompleted: Timestamp?, reason: String) {
    self.isNeeded = isNeeded
    self.resumeAfter = resumeAfter
    self.lastCompleted = lastCompleted
    self.reason = reason
  }
}

/// What waits for a target's next window: the planner's input.
package struct PendingWork: Hashable, Sendable {
  /// Files that may be archived now, and their bytes.
  package var dueFiles: Int
  package var dueBytes: Int64
  /// Files that will be due later.
  package var laterFiles: Int
  package var laterBytes: Int64
  /// The earliest `archiveBy` of all, due or later; `retryAt` where that is later.
  package var earliestDeadline: Timestamp?
  /// The age of the oldest change that no copy holds yet: its `archiveDue`.
  package var oldestDue: Timestamp?
  package var unprovenFiles: Int
  /// Those that are pending.
  package var removals: Int
  package var moves: Int

  package init(
    dueFiles: Int = 0, dueBytes: Int64 = 0, laterFiles: Int = 0, laterBytes: Int64 = 0,
    earliestDeadline: Timestamp? = nil, oldestDue: Timestamp? = nil, unprovenFiles: Int = 0,
    removals: Int = 0,
    moves: Int = 0
  ) {
    self.dueFiles = dueFiles
    self.dueBytes = dueBytes
    self.laterFiles = laterFiles
    self.laterBytes = laterBytes
    self.earliestDeadline = earliestDeadline
    self.oldestDue = oldestDue
    self.unprovenFiles = unprovenFiles
    self.removals = removals
    self.moves = moves
  }
}

/// Bytes are the files' own sizes (those beyond 1 PiB count as 1 PiB), not what they occupy.
package struct VolumeTotals: Hashable, Sendable {
  package struct Count: Hashable, Sendable {
    package var files: Int
    package var bytes: Int64
    package init(files: Int = 0, bytes: Int64 = 0) {
      self.files = files
      self.bytes = bytes
    }
  }
  package var resident: Count
  package var archived: Count
  package var released: Count
  /// Governed by no policy; counted above too.
  package var ungoverned: Count
  package var lost: Int

  package init(
    resident: Count = Count(), archived: Count = Count(), released: Count = Count(),
    ungoverned: Count = Count(), lost: Int = 0
  ) {
    self.resident = resident
    self.archived = archived
    self.released = released
    self.ungoverned = ungoverned
    self.lost = lost
  }
}
