import Glibc
import TierCore
import TierLinux

/// Which content a source had when it was hashed.
struct RsyncSourceVersion {
  var version: FileVersion
  /// False where the last change was so close that a further one need not show in the times: within the same
  /// tick of the file system's clock, or through a mapping whose pages weren't written back yet.
  var isSettled: Bool

  private static let tick = Duration.seconds(60)

  init(_ version: FileVersion, now: Timestamp) {
    self.version = version
    isSettled = version.changed.timestamp + Self.tick < now
  }
}

/// Sources that are being sent, each under a read lease: whoever opens one for writing waits, is noticed, and goes
/// on as soon as the transfer is ended.
final class RsyncSources {
  enum Guarding {
    /// Nobody can have written since.
    case leased
    /// The file system has no leases, or not for tierd: only the versions tell.
    case unguarded
  }

  private struct Source {
    var file: any OpenFile
    var version: FileVersion
    var guarding: Guarding
  }
  private var sources: [ArchiveID: Source] = [:]
  /// Those that somebody waits for.
  private(set) var disturbed: Set<ArchiveID> = []

  /// False where the source must not be sent: somebody has it open for writing, or it is no longer what was
  /// described.
  func add(_ upload: Upload) -> Bool {
    var guarding = Guarding.leased
    do throws(SyscallError) {
      try upload.source.takeLease(.againstWriters, at: "rsync.publish.lease")
    } catch {
      if error.errno == EAGAIN || error.errno == EBUSY { return false }
      guarding = .unguarded
    }
    guard let status = try? upload.source.status(at: "rsync.publish.status"), status.size == upload.size,
      status.modified == upload.metadata.modified
    else {
      try? upload.source.dropLease(at: "rsync.publish.unlease")
      return false
    }
    sources[upload.archiveID] = Source(file: upload.source, version: status.version, guarding: guarding)
    return true
  }

  /// Looks at every lease. True once one is waited for.
  func look() -> Bool {
    for (id, source) in sources where source.guarding == .leased && !disturbed.contains(id) {
      if (try? source.file.leaseIsUndisturbed(at: "rsync.publish.undisturbed")) != true {
        disturbed.insert(id)
      }
    }
    return !disturbed.isEmpty
  }

  /// Lets go of the disturbed ones; they are no sources any more.
  func dropDisturbed() -> Set<ArchiveID> {
    let dropped = disturbed
    for id in dropped { drop(id) }
    disturbed = []
    return dropped
  }

  func drop(_ id: ArchiveID) {
    guard let source = sources.removeValue(forKey: id) else { return }
    if source.guarding == .leased { try? source.file.dropLease(at: "rsync.publish.unlease") }
  }

  func dropAll() { for id in sources.keys { drop(id) } }

  func version(_ id: ArchiveID) -> FileVersion? { sources[id]?.version }

  /// True where the source still has the content of `hash`; called under its lease, when all has been sent and
  /// compared. Reads it again only where its version can't tell.
  func stillHolds(_ publication: Publication, _ hashed: RsyncSourceVersion?) -> Bool {
    let upload = publication.upload
    guard let source = sources[upload.archiveID],
      let now = try? source.file.status(at: "rsync.publish.status"), now.version == source.version
    else { return false }
    if source.guarding == .leased, let hashed, hashed.isSettled, hashed.version == now.version { return true }
    return (try? Content.hash(source.file, size: upload.size)) == publication.hash
  }
}
