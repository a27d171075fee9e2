import Synchronization
import TierCore
import TierGuard
import TierLinux

/// A volume while it is there: its file system, its rows, its rules. Shared by the volume's own thread and by
/// the windows of its targets.
package final class Volume: Sendable {
  package let name: String
  package let configuration: Configuration.Volume
  package let id: VolumeID
  package let rootDirectory: DirectoryID
  package let epoch: Epoch
  package let files: any FileSystem
  /// `trusted.tierd`, which no app can forge, or `user.tierd` where tierd isn't privileged.
  package let identityAttribute: String
  /// How released files are kept, and come back.
  package let stubMode: StubMode
  package let catalog: any Catalog
  package let clock: any TierClock
  package let policies: PolicyBook
  package let tuning: EngineTuning
  private let root: FileStatus
  private let commit: CommitLock
  private let openedByUs = Mutex(OwnUses())
  private let examinations = Mutex<Set<RelativePath>>([])
  let unfinished = Unfinished()
  /// In this life.
  let placeholdersAreNoted = Atomic(false)

  /// tierd's own folder at the volume's root; apps never see their files move through theirs.
  package static let ownFolder = RelativePath(".tierd")!
  package static let hiddenFolder = RelativePath(".tierd/tmp")!
  static let marker = RelativePath(".tierd/volume")!
  /// What the file system and our rights allow is tried on it. One name, so that a crash leaves one file for the next
  /// start to take away.
  static let probe = RelativePath(".tierd/tmp/probe")!

  init(
    configuration: Configuration.Volume, row: CatalogVolume, epoch: Epoch, files: any FileSystem,
    identityAttribute: String, stubMode: StubMode, root: FileStatus, commit: CommitLock, catalog: any Catalog,
    clock: any TierClock, policies: PolicyBook, tuning: EngineTuning
  ) {
    name = configuration.name
    self.configuration = configuration
    id = row.id
    rootDirectory = row.root
    self.epoch = epoch
    self.files = files
    self.identityAttribute = identityAttribute
    self.stubMode = stubMode
    self.root = root
    self.commit = commit
    self.catalog = catalog
    self.clock = clock
    self.policies = policies
    self.tuning = tuning
  }

  /// `committing`, with all that is written in one transaction. In this order only: whoever has the catalog never
  /// waits for somebody who is committing.
  func committingTogether<Result>(_ body: () throws(TierError) -> Result) throws(TierError) -> Result {
    try committing { () throws(TierError) in try catalog.together(body) }
  }

  /// What must not interleave: looking at files and writing what was seen into the catalog. Held for one
  /// portion of a scan or one batch; never while a target is waited for.
  func committing<Result>(_ body: () throws(TierError) -> Result) throws(TierError) -> Result {
    var result: Swift.Result<Result, TierError>?
    commit.mutex.withLock { _ in
      do throws(TierError) { result = .success(try body()) } catch { result = .failure(error) }
    }
    return try result!.get()
  }

  /// Which file, as the guard counts. Nil: not this volume's.
  func isHome(of file: FileKey) -> Bool { file.device == root.device }

  /// False for what another mount shows, be it a bind mount of this very file system: it is not the volume's.
  func holds(_ status: FileStatus) -> Bool { status.device == root.device && status.mount == root.mount }

  /// Where an intent's hidden file stands: a new copy on its way in, or an old inode on its way out.
  func hiddenPath(_ id: ArchiveID) -> RelativePath { Self.hiddenFolder.appending(id.fileName) }

  /// Where a renamed file's stub is made anew: beside the above, which may be in use.
  func renewalPath(_ id: ArchiveID) -> RelativePath {
    Self.hiddenFolder.appending(FileName(trusted: id.fileName.bytes + Array(".stub".utf8)))
  }

  /// Where a file's copy belongs, below the target's root.
  package func targetPath(of path: RelativePath) -> RelativePath {
    TargetLayout.place(of: path, in: FileName(name)!)
  }

  func path(of file: CatalogFile) throws(TierError) -> RelativePath? {
    try catalog.path(of: file.directory)?.appending(file.name)
  }

  /// Where the intent's file is by now, as far as the catalog knows.
  func place(of intent: Intent) throws(TierError) -> RelativePath {
    guard let id = intent.file, let row = try catalog.file(id) else { return intent.path }
    return try path(of: row) ?? intent.path
  }

  func isBeingWritten(_ path: RelativePath) throws(TierError) -> Bool {
    try wrapping("while looking for writers") { () throws(SyscallError) in
      do throws(SyscallError) {
        if try files.isHeldOpen(path, at: "recovery.isHeldOpen") { return true }
        let file = try files.open(path, .read, at: "recovery.open")
        defer { file.close() }
        return try file.isOpenForWriting(at: "recovery.lease")
      } catch {
        if error.isBusy { return true }
        throw error
      }
    }
  }

  /// The absolute name, for messages.
  package func absolute(_ path: RelativePath) -> String {
    let root = EscapedText.encode(files.rootPath)
    return path.isRoot ? root : root + "/" + path.escaped
  }

  /// Writes down why a file could not be archived, released or restored; for `why`. Without `retryAfter`
  /// something else decides when it is tried again. A file that is gone by now needs no reason.
  func note(_ id: FileID?, reason: String, retryAfter: Duration? = nil) {
    try? committing { () throws(TierError) in noteWhileCommitting(id, reason: reason, retryAfter: retryAfter)
    }
  }

  func noteWhileCommitting(_ id: FileID?, reason: String, retryAfter: Duration? = nil) {
    guard let id, var row = try? catalog.file(id) else { return }
    row.heldReason = reason
    if let retryAfter { row.retryAt = clock.now + retryAfter }
    try? catalog.apply([.put(row)])
  }

  // MARK: Our own footprints

  /// Our own opens come back as events; they must not count as an app's use.
  func noteOwnUse(of path: RelativePath) {
    let now = clock.monotonic
    openedByUs.withLock { $0.note(path, until: now + configuration.settle + .seconds(30), now: now) }
  }

  func isOwnUse(of path: RelativePath) -> Bool {
    let now = clock.monotonic
    return openedByUs.withLock { $0.holds(path, now: now) }
  }

  // MARK: Names that another thread wants looked at

  func requestExamination(of path: RelativePath) { examinations.withLock { _ = $0.insert(path) } }

  var hasExaminations: Bool { examinations.withLock { !$0.isEmpty } }

  func takeExaminations() -> Set<RelativePath> {
    examinations.withLock { waiting in
      let taken = waiting
      waiting = []
      return taken
    }
  }
}

/// Held while one volume is looked at and written down. It outlives an unmount: a window may still be at work on
/// the volume as it was before.
package final class CommitLock: Sendable {
  fileprivate let mutex = Mutex(())
  package init() {}
}

/// What tierd opened itself a moment ago.
struct OwnUses: Sendable {
  private var until: [RelativePath: Duration] = [:]
  private var cleanUpAt = 4096

  /// Cleans up each time that the number has doubled: so the cost of one note stays the same.
  mutating func note(_ path: RelativePath, until end: Duration, now: Duration) {
    until[path] = end
    guard until.count >= cleanUpAt else { return }
    until = until.filter { $0.value > now }
    cleanUpAt = max(4096, 2 * until.count)
  }

  var count: Int { until.count }

  func holds(_ path: RelativePath, now: Duration) -> Bool { until[path].map { $0 > now } ?? false }
}

/// The policies in force, replaced as a whole by a reload.
package final class PolicyBook: Sendable {
  private let policies: Mutex<PolicySet>

  package init(_ policies: PolicySet) { self.policies = Mutex(policies) }

  package var current: PolicySet { policies.withLock { $0 } }

  package func replace(with policies: PolicySet) { self.policies.withLock { $0 = policies } }
}
