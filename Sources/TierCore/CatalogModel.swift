package struct VolumeID: Hashable, Sendable {
  package let value: Int64; package init(_ value: Int64) { self.value = value }
}
package struct DirectoryID: Hashable, Sendable {
  package let value: Int64; package init(_ value: Int64) { self.value = value }
}
package struct FileID: Hashable, Sendable {
  package let value: Int64; package init(_ value: Int64) { self.value = value }
}
package struct IntentID: Hashable, Sendable {
  package let value: Int64; package init(_ value: Int64) { self.value = value }
}
package struct RemovalID: Hashable, Sendable {
  package let value: Int64; package init(_ value: Int64) { self.value = value }
}
package struct WindowID: Hashable, Sendable {
  package let value: Int64; package init(_ value: Int64) { self.value = value }
}

/// Where a file's content is. A change under way is an `Intent` beside it, never a state of its own that a
/// crash could strand: `archiving`, `releasing` and `restoring` are what `displayState` derives from both.
package enum FileState: UInt8, Sendable {
  /// In the cache only; or the cache copy is newer than the target's (`copy` is then the older version).
  case resident
  /// In the cache, and on the target the same.
  case archived
  /// On the target only; a stub stands in the cache.
  case released
}

/// How sure it is that a target's copy has reached its disks.
package enum Proof: Hashable, Sendable {
  /// A sync on the target answered for it, or a later window found it unharmed: may be released.
  case proven
  /// Written, answered for, read back; the target may still lose it in a power cut. `instance` is the server's
  /// write verifier at that time, nil where the protocol has none.
  case awaiting(instance: UInt64?)
}

/// The target's copy of a file.
package struct ArchivedCopy: Hashable, Sendable {
  package var archiveID: ArchiveID
  /// The target's configured name.
  package var target: String
  /// Below the target's root.
  package var path: RelativePath
  package var size: Int64
  package var modified: FileTime
  package var hash: ContentHash
  package var archivedAt: Timestamp
  package var proof: Proof
  /// As the file was when it was archived; what a restore brings back. `metadata.modified` is `modified`.
  package var metadata: FileMetadata

  package init(
    archiveID: ArchiveID, target: String, path: RelativePath, size: Int64, modified: FileTime,
    hash: ContentHash, archivedAt: Timestamp, proof: Proof, metadata: FileMetadata
  ) {
    self.archiveID = archiveID
    self.target = target
    self.path = path
    self.size = size
    self.modified = modified
    self.hash = hash
    self.archivedAt = archivedAt
    self.proof = proof
    self.metadata = metadata
  }
}

/// One regular file, or a stub of ours, as last seen. Nothing else stands in the catalog.
package struct CatalogFile: Hashable, Sendable {
  /// Nil until the catalog gave one.
  package var id: FileID?
  package var volume: VolumeID
  package var directory: DirectoryID
  package var name: FileName
  package var state: FileState
  /// As last seen in the cache. Of a released file: the stub's own inode and times, the file's own size.
  package var version: FileVersion
  package var links: UInt32
  package var owner: UInt32
  package var mode: UInt16
  /// Bytes on the cache's disk.
  package var allocated: Int64
  package var firstSeen: Timestamp
  /// The last open or close that a hint told of; `firstSeen` where none did.
  package var lastUsed: Timestamp
  /// The deciding policy's name; nil where none governs the file.
  package var policy: String?
  /// The target that the policy names; with `policy`.
  package var target: String?
  /// From when on it may be archived; nil where it need not or must not be.
  package var archiveDue: Timestamp?
  /// By when it is to be archived; nil with `archiveDue`.
  package var archiveBy: Timestamp?
  /// From when on it may be released; nil where it must stay.
  package var releaseDue: Timestamp?
  /// A person's pin: not released before; `.distantFuture` for "until unpinned".
  package var pinnedUntil: Timestamp?
  package var copy: ArchivedCopy?
  /// Why the last attempt to archive or release came to nothing; for `why`. Nil after a success.
  package var heldReason: String?
  /// After a failure: not tried again before.
  package var retryAt: Timestamp?
  /// The target's copy was found missing or wrong; for `status`, `why` and `fsck`.
  package var isLost: Bool

  package init(
    id: FileID? = nil, volume: VolumeID, directory: DirectoryID, name: FileName, state: FileState,
    version: FileVersion, links: UInt32, owner: UInt32, mode: UInt16, allocated: Int64, firstSeen: Timestamp,
    lastUsed: Timestamp, policy: String? = nil, target: String? = nil, archiveDue: Timestamp? = nil,
    archiveBy: Timestamp? = nil, releaseDue: Timestamp? = nil, pinnedUntil: Timestamp? = nil,
    copy: ArchivedCopy? = nil, heldReason: String? = nil, retryAt: Timestamp? = nil, isLost: Bool = false
  ) {
    self.id = id
    self.volume = volume
    self.directory = directory
    self.name = name
    self.state = state
    self.version = version
    self.links = links
    self.owner = owner
    self.mode = mode
    self.allocated = allocated
    self.firstSeen = firstSeen
    self.lastUsed = lastUsed
    self.policy = policy
    self.target = target
    self.archiveDue = archiveDue
    self.archiveBy = archiveBy
    self.releaseDue = releaseDue
    self.pinnedUntil = pinnedUntil
    self.copy = copy
    self.heldReason = heldReason
    self.retryAt = retryAt
    self.isLost = isLost
  }
}

package struct CatalogDirectory: Hashable, Sendable {
  package var id: DirectoryID
  package var parent: DirectoryID
  package var name: FileName
  package var inode: UInt64

  package init(id: DirectoryID, parent: DirectoryID, name: FileName, inode: UInt64) {
    self.id = id
    self.parent = parent
    self.name = name
    self.inode = inode
  }
}

/// A change that was begun and must be finished or undone after a crash. Written before its first effect.
package struct Intent: Hashable, Sendable {
  package enum Kind: UInt8, Sendable, CaseIterable { case archive, release, restore, rename }

  package var id: IntentID?
  package var kind: Kind
  /// How far it got; each kind's service defines its own steps, in order, from 0.
  package var step: UInt8
  package var epoch: Epoch
  package var volume: VolumeID
  package var file: FileID?
  /// The file's place in the volume when it began.
  package var path: RelativePath
  package var target: String
  package var targetPath: RelativePath
  /// With `rename`: the new place on the target.
  package var newTargetPath: RelativePath?
  package var archiveID: ArchiveID
  package var version: FileVersion?
  package var hash: ContentHash?
  package var begun: Timestamp

  package init(
    id: IntentID? = nil, kind: Kind, step: UInt8 = 0, epoch: Epoch, volume: VolumeID, file: FileID?,
    path: RelativePath, target: String, targetPath: RelativePath, newTargetPath: RelativePath? = nil,
    archiveID: ArchiveID, version: FileVersion? = nil, hash: ContentHash? = nil, begun: Timestamp
  ) {
    self.id = id
    self.kind = kind
    self.step = step
    self.epoch = epoch
    self.volume = volume
    self.file = file
    self.path = path
    self.target = target
    self.targetPath = targetPath
    self.newTargetPath = newTargetPath
    self.archiveID = archiveID
    self.version = version
    self.hash = hash
    self.begun = begun
  }
}

/// A file that apps deleted while the target held a copy: first pending, then in the target's trash, then condemned,
/// when nobody can take it back any more, then gone.
package struct Removal: Hashable, Sendable {
  package enum Stage: UInt8, Sendable { case pending, trashed, condemned }

  package var id: RemovalID?
  package var stage: Stage
  package var volume: VolumeID
  /// Its last place in the volume.
  package var path: RelativePath
  package var copy: ArchivedCopy
  package var removedAt: Timestamp
  /// Its place in the target's trash, once there.
  package var trashPath: RelativePath?
  /// How long the trash keeps it.
  package var expires: Timestamp

  package init(
    id: RemovalID? = nil, stage: Stage, volume: VolumeID, path: RelativePath, copy: ArchivedCopy,
    removedAt: Timestamp, trashPath: RelativePath? = nil, expires: Timestamp
  ) {
    self.id = id
    self.stage = stage
    self.volume = volume
    self.path = path
    self.copy = copy
    self.removedAt = removedAt
    self.trashPath = trashPath
    self.expires = expires
  }
}

/// One window, as the ledger keeps it.
package struct WindowRecord: Hashable, Sendable {
  package var id: WindowID?
  package var target: String
  package var opened: Timestamp
  package var closed: Timestamp?
  /// Why it was opened, in words.
  package var cause: String
  package var archivedFiles: Int
  package var archivedBytes: Int64
  package var restoredFiles: Int
  package var restoredBytes: Int64
  /// Removals and renames applied.
  package var changesApplied: Int
  package var failures: Int
  /// The error that ended it early.
  package var error: String?

  package init(
    id: WindowID? = nil, target: String, opened: Timestamp, closed: Timestamp? = nil, cause: String,
    archivedFiles: Int = 0, archivedBytes: Int64 = 0, restoredFiles: Int = 0, restoredBytes: Int64 = 0,
    changesApplied: Int = 0, failures: Int = 0, error: String? = nil
  ) {
    self.id = id
    self.target = target
    self.opened = opened
    self.closed = closed
    self.cause = cause
    self.archivedFiles = archivedFiles
    self.archivedBytes = archivedBytes
    self.restoredFiles = restoredFiles
    self.restoredBytes = restoredBytes
    self.changesApplied = changesApplied
    self.failures = failures
    self.error = error
  }
}
