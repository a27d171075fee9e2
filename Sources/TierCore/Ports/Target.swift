/// A NAS share that files are archived to. Stateless between windows: no connection, no mount, no probe.
///
/// One contract suite (`Tests/TierTargetsTests`) runs against every implementation.
package protocol Target: Sendable {
  /// The configured name.
  var name: String { get }
  var properties: TargetProperties { get }

  /// Connects for one window, and prepares `.tierd/` where it is missing. Blocks, bounded by the target's own
  /// deadlines. Never repeats by itself: back-off is the caller's.
  ///
  /// A root that isn't a tierd target yet but holds a `.tierd/format` of a newer version is refused untouched.
  func connect() throws(TierError) -> any TargetSession
}

package struct TargetProperties: Hashable, Sendable {
  /// `nfs`, `rsync`, `directory`.
  package var kind: String
  /// For messages: `nfs://nas/volume1/tier`.
  package var address: String
  /// True where `rename` changes the name on the target; false where the old name stays until the file is
  /// archived anew (the rsync protocol has no rename).
  package var renames: Bool
  /// True where a published file has certainly reached the disks.
  package var publishesDurably: Bool
  /// True where a session is a connection that can end while nobody uses it.
  package var holdsConnection: Bool

  package init(
    kind: String, address: String, renames: Bool, publishesDurably: Bool, holdsConnection: Bool = false
  ) {
    self.kind = kind
    self.address = address
    self.renames = renames
    self.publishesDurably = publishesDurably
    self.holdsConnection = holdsConnection
  }
}

/// One window's connection. Not thread-safe: it belongs to the window's thread. Everything blocks, within the
/// target's deadlines.
///
/// Paths are below the target's root. What concerns one file comes back as that file's outcome; a thrown error
/// means that the session is over (unreachable, timed out, restarted, full) and only `close` may follow.
/// Every operation may be repeated after a crash.
package protocol TargetSession: AnyObject {
  /// Changes when the server restarted: NFS's write verifier. Nil where the protocol has none.
  var instance: UInt64? { get }

  /// Copies each file to `.tierd/tmp/<archive id>`, durably, reads it back, compares, and sets its metadata as
  /// far as the target can hold it. A leftover of that id is replaced. Several files are in flight at once;
  /// `report` is called on this thread, in any order, exactly once an upload unless the call throws.
  func stage(_ uploads: [Upload], report: (Upload, StageOutcome) -> Void) throws(TierError)

  /// Gives each staged file its final name, with the parents it needs, durably, in `publications` order.
  ///
  /// What stands at the final name: tierd's own earlier copy (`replaces` equals its size and mtime) goes to
  /// `trash`, even where it is just like the new one, or is replaced where that is nil. Anything else is somebody else's: it is renamed to
  /// `name.conflict-<time>` beside it and reported. A file already published by this id (its temporary is gone,
  /// the final name has the upload's size and mtime) counts as published.
  func publish(_ publications: [Publication], report: (Publication, PublishOutcome) -> Void)
    throws(TierError)

  /// Nil for a name that doesn't exist.
  func status(of paths: [RelativePath]) throws(TierError) -> [TargetStatus?]
  /// Streams the whole content into `download.destination` from offset 0 and hashes it on the way; the caller
  /// compares.
  func fetch(_ downloads: [Download], report: (Download, FetchOutcome) -> Void) throws(TierError)

  /// Reads each copy whole and hashes it.
  func hash(_ paths: [RelativePath], report: (RelativePath, HashOutcome) -> Void) throws(TierError)

  /// Moves a copy of ours, making parents. Where `expected` doesn't match what stands at `from`, nothing is
  /// moved. Never replaces: an existing `to` is `.conflict`. Repeating a finished move is `.done`.
  func move(_ from: RelativePath, to: RelativePath, expected: TargetStatus) throws(TierError) -> MoveOutcome
  /// Below `.tierd/` only. A missing file is no error.
  func remove(_ path: RelativePath) throws(TierError)
  /// Removes the directory and its parents as long as they are empty (NAS folders such as `@eaDir` don't
  /// count), up to the target's root. Never an error.
  func pruneEmptyDirectories(from directory: RelativePath) throws(TierError)

  /// Empty where the directory is missing. The NAS's own folders (`@eaDir`, `#recycle`, `#snapshot`) are left
  /// out.
  func list(_ directory: RelativePath) throws(TierError) -> [TargetEntry]
  /// A small file of tierd's own (manifests, format), written beside and renamed into place, durably.
  func writeRecord(_ bytes: [UInt8], to path: RelativePath) throws(TierError)
  /// Nil where it is missing. At most `limit` bytes, else an error.
  func readRecord(_ path: RelativePath, limit: Int) throws(TierError) -> [UInt8]?

  /// Leaves nothing open towards the target. Never fails; a second call does nothing.
  func close()
}

package struct TargetStatus: Hashable, Sendable {
  package var size: Int64
  /// As the target keeps it: perhaps rounded to its clock's grain.
  package var modified: FileTime
  package var isRegular: Bool

  package init(size: Int64, modified: FileTime, isRegular: Bool = true) {
    self.size = size
    self.modified = modified
    self.isRegular = isRegular
  }

  /// True where `self`, seen on the target, can be the copy that had `other`'s size and time: times compare
  /// equal when one is the other cut to milliseconds, seconds or (FAT, old servers) 2 s.
  package func matches(_ other: TargetStatus) -> Bool {
    guard isRegular, other.isRegular, size == other.size else { return false }
    if modified == other.modified { return true }
    let (coarse, fine) = modified < other.modified ? (modified, other.modified) : (other.modified, modified)
    let apart = fine.timestamp - coarse.timestamp
    if coarse.nanoseconds == 0 { return apart < .seconds(coarse.seconds % 2 == 0 ? 2 : 1) }
    for grain: UInt32 in [1_000_000, 1_000, 100] where coarse.nanoseconds % grain == 0 {
      return apart < .nanoseconds(Int64(grain))
    }
    return false
  }
}

package struct TargetEntry: Hashable, Sendable {
  package var name: FileName
  package var isDirectory: Bool
  package var status: TargetStatus

  package init(name: FileName, isDirectory: Bool, status: TargetStatus) {
    self.name = name
    self.isDirectory = isDirectory
    self.status = status
  }
}

/// One file to archive. The source stays open for reading; whether it changed meanwhile is the caller's check
/// (before and after), but a length other than `size` or a read error fails the upload here.
package struct Upload: Sendable {
  package var archiveID: ArchiveID
  package var source: any OpenFile
  /// For programs that need a name: `sourceRoot` is absolute, `sourcePath` below it.
  package var sourceRoot: [UInt8]
  package var sourcePath: RelativePath
  /// The final name; rsync needs it already here.
  package var path: RelativePath
  package var size: Int64
  package var metadata: FileMetadata

  package init(
    archiveID: ArchiveID, source: any OpenFile, sourceRoot: [UInt8], sourcePath: RelativePath,
    path: RelativePath, size: Int64, metadata: FileMetadata
  ) {
    self.archiveID = archiveID
    self.source = source
    self.sourceRoot = sourceRoot
    self.sourcePath = sourcePath
    self.path = path
    self.size = size
    self.metadata = metadata
  }
}

package enum StageOutcome: Sendable {
  /// Durable on the target as far as the protocol tells, and read back equal.
  case staged(ContentHash)
  case failed(TierError)
}

package struct Publication: Sendable {
  package var upload: Upload
  package var hash: ContentHash
  /// Our own earlier copy at the final name; nil where there should be nothing.
  package var replaces: TargetStatus?
  /// Where that earlier copy goes; nil to replace it.
  package var trash: RelativePath?
  /// Names the conflict copy: `20261123T105800Z`.
  package var conflictSuffix: String

  package init(
    upload: Upload, hash: ContentHash, replaces: TargetStatus?, trash: RelativePath?, conflictSuffix: String
  ) {
    self.upload = upload
    self.hash = hash
    self.replaces = replaces
    self.trash = trash
    self.conflictSuffix = conflictSuffix
  }
}

package enum PublishOutcome: Sendable {
  /// `conflict`: where somebody else's file, found at the final name, is now.
  case published(conflict: RelativePath?)
  /// The source was written while a protocol without staging (rsync) copied it: archive it anew.
  case sourceChanged
  case failed(TierError)
}

package struct Download: Sendable {
  package var path: RelativePath
  /// Empty, open for reading and writing.
  package var destination: any OpenFile
  /// The destination's absolute name, for programs that need one.
  package var destinationPath: [UInt8]
  package var size: Int64

  package init(path: RelativePath, destination: any OpenFile, destinationPath: [UInt8], size: Int64) {
    self.path = path
    self.destination = destination
    self.destinationPath = destinationPath
    self.size = size
  }
}

package enum FetchOutcome: Sendable {
  case fetched(ContentHash, size: Int64)
  case missing
  case failed(TierError)
}

package enum HashOutcome: Sendable {
  case hashed(ContentHash, size: Int64)
  case missing
  case failed(TierError)
}

package enum MoveOutcome: Hashable, Sendable {
  case done
  case missing
  /// What stands at `from` isn't what was expected, or `to` is taken.
  case conflict
  /// `properties.renames` is false.
  case unsupported
}
