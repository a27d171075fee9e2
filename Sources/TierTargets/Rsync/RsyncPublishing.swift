import TierCore
import TierLinux

// Copying to the target under the final names.
extension RsyncSession {
  /// Sent by one run: bounds how much is sent again when a source is written meanwhile, and how long its lease is
  /// held.
  private static let filesPerBatch = 2048
  private static let bytesPerBatch: Int64 = 1 << 30

  /// Nothing goes over yet: the protocol could not rename it afterwards.
  func stage(_ uploads: [Upload], report: (Upload, StageOutcome) -> Void) throws(TierError) {
    _ = try scratch()
    try inParallel(uploads, width: 4) { upload in
      Self.hash(upload)
    } onResult: { upload, result throws(TierError) in
      switch result {
      case .success(let (hash, version)):
        hashedVersions[upload.archiveID] = version
        report(upload, .staged(hash))
      case .failure(let error):
        report(upload, .failed(error))
      }
    }
  }

  private static func hash(_ upload: Upload) -> Result<(ContentHash, RsyncSourceVersion), TierError> {
    let version: RsyncSourceVersion
    do throws(SyscallError) {
      let status = try upload.source.status(at: "rsync.stage.status")
      version = RsyncSourceVersion(status.version, now: SystemClock().now)
    } catch { return .failure(TierError(error)) }
    do throws(Content.Failure) {
      return .success((try Content.hash(upload.source, size: upload.size), version))
    } catch { return .failure(TierError(reading: error, upload.path)) }
  }

  func publish(_ publications: [Publication], report: (Publication, PublishOutcome) -> Void)
    throws(TierError)
  {
    for portion in publications.portions(of: Self.filesPerBatch, Self.bytesPerBatch, { $0.upload.size }) {
      let batch = try RsyncBatch(portion, self)
      // Whatever ends it, no app is kept waiting.
      defer { batch.end() }
      try batch.run()
      for publication in portion { report(publication, batch.outcome(of: publication)) }
    }
  }
}

/// Some publications on their way.
///
/// Every source is held by a read lease from before the first byte is sent until the copy has been compared. Who
/// opens one for writing meanwhile ends the run at once, so that nothing torn gets its name, and waits no longer;
/// the others go on without it.
final class RsyncBatch {
  let session: RsyncSession
  private let scratch: RsyncScratch
  /// Links to the sources' descriptors, by final path.
  private let tree: RelativePath
  private let sources = RsyncSources()
  private let all: [Publication]
  private var pending: [ArchiveID: Publication] = [:]
  private var outcomes: [ArchiveID: PublishOutcome] = [:]
  /// Where somebody else's file went, or is just being moved.
  private var conflicts: [ArchiveID: RelativePath] = [:]
  /// Given their final name by this batch, perhaps.
  private var sent: Set<ArchiveID> = []

  init(_ publications: [Publication], _ session: RsyncSession) throws(TierError) {
    self.session = session
    all = publications
    scratch = try session.scratch()
    tree = try scratch.makeFolder()
  }

  func outcome(of publication: Publication) -> PublishOutcome {
    outcomes[publication.upload.archiveID]
      ?? .failed(TierError(.internalFault, "no outcome", path: publication.upload.path.escaped))
  }

  func end() {
    sources.dropAll()
    scratch.remove(tree)
  }

  func run() throws(TierError) {
    for publication in all { take(publication) }
    // Each round ends with an outcome for all, or with a disturbed source less.
    while !pending.isEmpty {
      let standing = try look()
      guard try round(standing) else {
        try settle(sources.dropDisturbed())
        continue
      }
    }
  }

  private func take(_ publication: Publication) {
    let upload = publication.upload
    guard sources.add(upload) else {
      outcomes[upload.archiveID] = .sourceChanged
      return
    }
    do throws(TierError) {
      let place = tree.appending(upload.path)
      try scratch.ensureDirectory(place.parent)
      try scratch.link(place, to: upload.source)
      pending[upload.archiveID] = publication
    } catch {
      finish(publication, .failed(error))
    }
  }

  private func finish(_ publication: Publication, _ outcome: PublishOutcome) {
    let id = publication.upload.archiveID
    outcomes[id] = outcome
    pending[id] = nil
    sources.drop(id)
  }

  // MARK: One round

  /// False where a source was disturbed.
  private func round(_ standing: [RelativePath: RsyncText.Listed]) throws(TierError) -> Bool {
    let similar = pending.values.filter { publication in
      guard let there = standing[publication.upload.path]?.status else { return false }
      // Our own older copy may be just like the new one; it is that where its place in the trash is free.
      let isOlder =
        publication.replaces.map(there.matches) == true
        && publication.trash.map { standing[$0] == nil } == true
      return !isOlder && there.matches(publication.wanted)
    }
    guard let differing = try compare(similar) else { return false }
    try conclude(similar.filter { !differing.contains($0.upload.path) })

    var plan = RsyncPlan()
    for publication in pending.values {
      do throws(TierError) {
        try plan.add(publication, standing: standing)
      } catch { finish(publication, .failed(error)) }
    }
    for conflict in try plan.nameConflicts(session) { conflicts[conflict.key] = conflict.value }
    for (publication, error) in plan.refused { finish(publication, .failed(error)) }
    for (publication, trash) in plan.toCopyToTrash {
      try session.copy(
        publication.upload.path, to: trash, size: standing[publication.upload.path]?.status.size ?? 0)
    }
    var complaints: [[UInt8]] = []
    for transfer in plan.transfers {
      sent.formUnion(transfer.publications.map(\.upload.archiveID))
      let outcome = try session.send(
        transfer.publications.map(\.upload.path), from: tree, transfer.options,
        bytes: transfer.publications.reduce(0) { $0 + $1.upload.size }, disturbed: sources.look)
      if outcome.stopped { return false }
      complaints += outcome.complaints
    }
    let transferred = Array(pending.values)
    guard let broken = try compare(transferred) else { return false }
    for publication in transferred where broken.contains(publication.upload.path) {
      finish(publication, .failed(Self.failure(publication, complaints)))
    }
    try conclude(transferred.filter { !broken.contains($0.upload.path) })
    return true
  }

  private static func failure(_ publication: Publication, _ complaints: [[UInt8]]) -> TierError {
    let path = publication.upload.path
    let error = RsyncTrouble.ofFile(path, complaints, otherwise: "the rsync server did not take it")
    guard error.cause == nil else { return error }
    return TierError(
      .targetCopyDiffers, "what stands on the target afterwards is not what was sent: it is tried again",
      path: path.escaped, disposition: .retry)
  }

  /// What stands at the names that matter. Publications below what is no folder end here.
  private func look() throws(TierError) -> [RelativePath: RsyncText.Listed] {
    var names: Set<RelativePath> = []
    for publication in pending.values {
      names.insert(publication.upload.path)
      if publication.replaces != nil, let trash = publication.trash { names.insert(trash) }
      names.formUnion(publication.upload.path.ancestors.filter { !session.knownDirectories.contains($0) })
    }
    let standing = try session.listed(names)
    for publication in Array(pending.values) {
      let obstacle = publication.upload.path.ancestors.first { standing[$0]?.isDirectory == false }
      if let obstacle { finish(publication, .failed(DirectoryFailure.inTheWay(obstacle).error)) }
    }
    return standing
  }

  /// Compares by checksum, on both sides. The paths whose content isn't there; nil where a source was disturbed.
  private func compare(_ publications: [Publication]) throws(TierError) -> Set<RelativePath>? {
    guard !publications.isEmpty else { return [] }
    let outcome = try session.send(
      publications.map(\.upload.path), from: tree,
      ["--dry-run", "--checksum", "--itemize-changes"].asArguments,
      bytes: publications.reduce(0) { $0 + $1.upload.size }, disturbed: sources.look)
    return outcome.stopped
      ? nil : Set(outcome.output.compactMap(RsyncText.sent))
  }

  // MARK: Outcomes

  /// The copies equal their sources; do the sources still equal what was hashed?
  private func conclude(_ publications: [Publication]) throws(TierError) {
    var doubtful: [Publication] = []
    for publication in publications {
      let id = publication.upload.archiveID
      session.knownDirectories.formUnion(publication.upload.path.ancestors)
      let holds = sources.stillHolds(publication, session.hashedVersions[id])
      _ = sources.look()
      if holds, !sources.disturbed.contains(id) {
        finish(publication, .published(conflict: conflicts[id]))
      } else {
        doubtful.append(publication)
      }
    }
    for publication in doubtful { sources.drop(publication.upload.archiveID) }
    try judge(doubtful)
  }

  /// The run has ended, the writers go on: what did the target get?
  private func settle(_ disturbed: Set<ArchiveID>) throws(TierError) {
    try judge(disturbed.compactMap { pending[$0] })
  }

  /// Without the source: the target's copy comes back and is hashed. One that isn't what was to be published, but
  /// was sent by this batch, goes.
  private func judge(_ publications: [Publication]) throws(TierError) {
    guard !publications.isEmpty else { return }
    let standing = try session.statuses(of: Set(publications.map(\.upload.path)))
    let present = publications.filter { standing[$0.upload.path]?.matches($0.wanted) == true }
    var whole: Set<ArchiveID> = []
    try session.hash(present.map(\.upload.path)) { path, outcome in
      guard case .hashed(let hash, _) = outcome else { return }
      for publication in present where publication.upload.path == path && publication.hash == hash {
        whole.insert(publication.upload.archiveID)
      }
    }
    for publication in publications {
      let id = publication.upload.archiveID
      if whole.contains(id) {
        finish(publication, .published(conflict: conflicts[id]))
        continue
      }
      let isPresent = present.contains { $0.upload.archiveID == id }
      if isPresent, sent.contains(id) { try session.delete(publication.upload.path) }
      finish(publication, .sourceChanged)
    }
  }
}

extension Publication {
  /// What the target's copy will look like.
  var wanted: TargetStatus { TargetStatus(size: upload.size, modified: upload.metadata.modified) }
}

extension RelativePath {
  /// From the topmost folder to the parent, without the root.
  var ancestors: [RelativePath] {
    var ancestors: [RelativePath] = []
    var place = parent
    while !place.isRoot {
      ancestors.append(place)
      place = place.parent
    }
    return ancestors.reversed()
  }
}

extension [String] {
  var asArguments: [[UInt8]] { map { [UInt8]($0.utf8) } }
}

extension TierError {
  /// Of a file of this machine that was to be read.
  init(reading failure: Content.Failure, _ path: RelativePath) {
    switch failure {
    case .source(let error), .destination(let error): self.init(error)
    case .length, .differs: self = DirectoryFailure(failure, path: path).error
    }
  }
}
