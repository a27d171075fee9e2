import TierCore

extension NFSSession {
  /// In batches, each in phases of calls that are under way together: parents, a look at what stands there,
  /// moving that aside, the renames. A crash between them leaves states that a repetition understands.
  ///
  /// A rename is durable when the server answers (RFC 1813), as far as its answers can be trusted. NFSv3 has no
  /// rename that spares an existing name: what a person puts there between the look and the rename, a few
  /// milliseconds, is replaced.
  func publish(_ publications: [Publication], report: (Publication, PublishOutcome) -> Void) throws(TierError)
  {
    var rest = publications[...]
    while !rest.isEmpty {
      let batch = rest.prefix(Self.independentPrefix(of: rest))
      rest = rest.dropFirst(batch.count)
      let plans = batch.map { NFSPublishPlan($0) }
      try openParents(of: plans)
      try lookAround(for: plans)
      try lookForTrash(of: plans.filter { $0.mayBeDone && $0.isReplaced && $0.trash != nil })
      try compare(plans.filter(\.mayBeDone))
      for plan in plans { plan.decide() }
      try setAside(plans)
      try putInPlace(plans)
      for plan in plans { report(plan.publication, try plan.outcome(at: address)) }
    }
  }

  /// How many may be worked on together: those whose names have nothing to do with each other.
  private static func independentPrefix(of publications: ArraySlice<Publication>) -> Int {
    var names: Set<RelativePath> = []
    var ancestors: Set<RelativePath> = []
    var count = 0
    for publication in publications.prefix(512) {
      for path in [publication.upload.path, publication.trash].compactMap({ $0 }) {
        guard names.insert(path).inserted, !ancestors.contains(path) else { return max(count, 1) }
        var ancestor = path.parent
        while !ancestor.isRoot, ancestors.insert(ancestor).inserted {
          guard !names.contains(ancestor) else { return max(count, 1) }
          ancestor = ancestor.parent
        }
      }
      count += 1
    }
    return count
  }

  private func openParents(of plans: [NFSPublishPlan]) throws(TierError) {
    let parents = try tree.open(plans.map(\.path.parent), making: true)
    for plan in plans { plan.parent = plan.directory(parents, of: plan.path) }
  }

  /// What stands at the final names, and whether temporaries of other windows are there.
  private func lookAround(for plans: [NFSPublishPlan]) throws(TierError) {
    let open = plans.filter(\.isOpen)
    for (plan, answer) in zip(open, try tree.lookup(open.map(\.path))) {
      switch answer {
      case .success(let found): plan.standing = found
      case .failure(let refusal): plan.refuse(refusal)
      }
    }
    let strange = open.filter { !staged.contains($0.publication.upload.archiveID) }
    for (plan, answer) in zip(strange, try tree.lookup(strange.map(\.temporary))) {
      switch answer {
      case .success(let found?) where found.attributes.size != plan.publication.upload.size:
        plan.failOfOtherSize()
      case .success(let found): plan.hasTemporary = found != nil
      case .failure(let refusal): plan.refuse(refusal)
      }
    }
  }

  /// Our own older copy may be just like the new one. Where nothing lies in its place in the trash yet, it is that.
  private func lookForTrash(of plans: [NFSPublishPlan]) throws(TierError) {
    for (plan, found) in zip(plans, try status(of: plans.map { $0.trash! })) { plan.isOlder = found == nil }
  }

  /// Whether what stands there is what is to be published: a crash may have hidden that from the caller.
  private func compare(_ plans: [NFSPublishPlan]) throws(TierError) {
    try hash(plans.map(\.path)) { path, outcome in
      guard case .hashed(let hash, _) = outcome else { return }
      for plan in plans where plan.path == path { plan.isDone = hash == plan.publication.hash }
    }
  }

  private func setAside(_ plans: [NFSPublishPlan]) throws(TierError) {
    for plan in plans.filter(\.isOpen) where plan.fate == .conflict {
      plan.aside = try freeConflictPath(for: plan.publication)
      plan.asideParent = plan.parent
    }
    let trashed = plans.filter { $0.isOpen && $0.fate == .trash }
    let parents = try tree.open(trashed.map { $0.trash!.parent }, making: true)
    for (plan, answer) in zip(trashed, try tree.lookup(trashed.map { $0.trash! })) {
      plan.aside = plan.trash
      plan.asideParent = plan.directory(parents, of: plan.trash!)
      if case .success(_?) = answer { plan.failOfTakenTrash() }
    }
    let moving = plans.filter { $0.isOpen && $0.aside != nil }
    let answers = try connection.eachChange(moving) { plan, done in
      connection.rename(
        plan.name, in: plan.parent!.handle, to: plan.aside!.name!, in: plan.asideParent!.handle, then: done)
    }
    for (plan, answer) in zip(moving, answers) {
      if case .failure(let refusal) = answer {
        plan.refuse(refusal)
      } else {
        plan.parent!.noteRemoved(plan.name)
        plan.asideParent!.noteAdded(plan.aside!.name!)
      }
    }
  }

  private func freeConflictPath(for publication: Publication) throws(TierError) -> RelativePath {
    var attempt = 1
    while true {
      let path = TargetLayout.conflictPath(
        of: publication.upload.path, suffix: publication.conflictSuffix, attempt: attempt)
      if try status(of: [path])[0] == nil { return path }
      attempt += 1
    }
  }

  private func putInPlace(_ plans: [NFSPublishPlan]) throws(TierError) {
    let temporary = try directory(TargetLayout.temporary)
    let moving = plans.filter(\.isOpen)
    let answers = try connection.eachChange(moving) { plan, done in
      connection.rename(
        plan.publication.upload.archiveID.fileName, in: temporary.handle, to: plan.name,
        in: plan.parent!.handle,
        then: done)
    }
    for (plan, answer) in zip(moving, answers) {
      staged.remove(plan.publication.upload.archiveID)
      switch answer {
      case .success:
        plan.parent!.noteAdded(plan.name)
        plan.isDone = true
      case .failure(let refusal):
        if refusal.status.isStaleHandle { tree.forget() }
        plan.refuse(refusal)
      }
    }
  }
}

/// One publication on its way through the phases.
private final class NFSPublishPlan {
  /// What becomes of what stands at the final name.
  enum Fate { case nothing, replace, trash, conflict }

  let publication: Publication
  let path: RelativePath
  var parent: NFSTree.Directory?
  var standing: NFSConnection.Found?
  var hasTemporary = true
  /// Known to be our own older copy, whatever it looks like.
  var isOlder = false
  var fate = Fate.nothing
  var aside: RelativePath?
  var asideParent: NFSTree.Directory?
  var isDone = false
  private var failure: (error: TierError?, refusal: NFSRefusal?)?

  init(_ publication: Publication) {
    self.publication = publication
    path = publication.upload.path
  }

  var name: FileName { path.name! }
  var temporary: RelativePath { TargetLayout.temporary.appending(publication.upload.archiveID.fileName) }
  /// Only what may have to go there.
  var trash: RelativePath? { publication.replaces == nil ? nil : publication.trash }
  var isOpen: Bool { failure == nil && !isDone }

  private var isWanted: Bool {
    let upload = publication.upload
    let wanted = TargetStatus(size: upload.size, modified: upload.metadata.modified).clampedForNFS
    return standing?.attributes.status.matches(wanted) ?? false
  }

  var isReplaced: Bool {
    guard let replaces = publication.replaces?.clampedForNFS else { return false }
    return standing?.attributes.status.matches(replaces) ?? false
  }

  /// True where only the content can tell whether this was published before.
  var mayBeDone: Bool { isOpen && hasTemporary && isWanted && !isOlder }

  func decide() {
    let isSame = isDone
    guard failure == nil else { return }
    isDone = false
    if !hasTemporary {
      if isWanted {
        isDone = true
        return
      }
      return fail(
        TierError(
          .targetCopyMissing, "its staged copy is gone from \(TargetLayout.temporary): it is archived anew",
          path: path.escaped, disposition: .retry))
    }
    if standing == nil {
      fate = .nothing
    } else if isSame {
      fate = .replace
    } else if isReplaced {
      fate = trash == nil ? .replace : .trash
    } else {
      fate = .conflict
    }
  }

  func directory(
    _ answers: [RelativePath: Result<NFSTree.Directory?, NFSRefusal>], of path: RelativePath
  ) -> NFSTree.Directory? {
    switch answers[path.parent]! {
    case .success(let directory): return directory
    case .failure(let refusal):
      refuse(refusal)
      return nil
    }
  }

  func failOfOtherSize() {
    fail(
      TierError(
        .targetCopyDiffers,
        "its staged copy in \(TargetLayout.temporary) has another size: it is archived anew",
        path: path.escaped, disposition: .retry))
  }

  func failOfTakenTrash() {
    fail(
      TierError(
        .targetFailed, "the trash already has a file of that name, which isn't replaced",
        path: trash!.escaped,
        disposition: .retry))
  }

  func refuse(_ refusal: NFSRefusal) { if failure == nil { failure = (nil, refusal) } }
  func fail(_ error: TierError) { if failure == nil { failure = (error, nil) } }

  /// Throws what ends the session.
  func outcome(at address: String) throws(TierError) -> PublishOutcome {
    guard let failure else { return .published(conflict: fate == .conflict ? aside : nil) }
    if let error = failure.error { return .failed(error) }
    let error = TierError(failure.refusal!, path, at: address)
    if failure.refusal!.status.endsSession { throw error }
    return .failed(error)
  }
}
