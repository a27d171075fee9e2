import TierCore
import TierLinux

/// A selection of files: places in volumes, all of one policy, or everything.
package enum FileSelection: Hashable, Sendable {
  case everything
  case policy(String)
  case volume(String)
  case paths([[UInt8]])
}

/// What a restore or release would do.
package struct OrderPlan: Sendable {
  package struct Part: Hashable, Sendable {
    package var files = 0
    package var bytes: Int64 = 0
  }
  /// By target.
  package var parts: [String: Part] = [:]
  package var skippedFiles = 0
  /// The first ones: absolute path and reason.
  package var skipped: [(path: String, reason: String)] = []

  mutating func skip(_ path: String, _ reason: String) {
    skippedFiles += 1
    if skipped.count < 20 { skipped.append((path, reason)) }
  }
}

extension Engine {
  // MARK: Flush

  /// Archives everything that waits in the selection, whatever its age, and applies deletions and renames.
  /// Without anything pending no target is contacted.
  package func flush(_ selection: FileSelection) throws(TierError) -> RequestHandle {
    let scopes = try scopes(selection)
    let handle = context.requests.open("flush")
    let services = context.volumeServices.filter { service in
      scopes.contains { $0.concerns(service.configuration.name) }
    }
    let settled = Countdown(services.count) { [self] in openWindows(for: scopes, handle) }
    for service in services {
      service.settleNow { error in
        if let error { handle.fail("volume \(service.configuration.name): \(error)") }
        settled.partEnded()
      }
    }
    return handle
  }

  private func openWindows(for scopes: [Scope], _ handle: RequestHandle) {
    do throws(TierError) {
      var pending: [WindowService] = []
      for service in context.windowServices {
        let work = try context.catalog.pending(for: service.target.name, now: .distantFuture)
        let waiting = try waiting(in: scopes, of: work, for: service.target.name)
        guard waiting.files + work.removals + work.moves > 0 else { continue }
        handle.expect(files: waiting.files, bytes: waiting.bytes)
        pending.append(service)
      }
      if pending.isEmpty { handle.note("nothing was pending: no target was contacted") }
      let ended = Countdown(pending.count) { handle.finish() }
      let cause = "tierctl flush " + (scopes.first?.words ?? "") + (scopes.count > 1 ? " and others" : "")
      for service in pending {
        service.flush(
          FlushOrder(scopes: scopes, cause: cause, progress: handle) { error in
            if let error { handle.fail("target \(service.target.name): \(error)") }
            ended.partEnded()
          })
      }
    } catch {
      handle.finish(error)
    }
  }

  private func waiting(in scopes: [Scope], of work: PendingWork, for target: String) throws(TierError)
    -> (files: Int, bytes: Int64)
  {
    if scopes.contains(.all) { return (work.dueFiles + work.laterFiles, work.dueBytes + work.laterBytes) }
    var sum = (files: 0, bytes: Int64(0))
    for var walk in try ScopeWalk.over(scopes, target: target, engine: context) {
      let part = try walk.count()
      sum.files += part.files
      sum.bytes += part.bytes
    }
    return sum
  }

  // MARK: Restore

  package func planRestore(_ selection: FileSelection) throws(TierError) -> OrderPlan {
    var plan = OrderPlan()
    try each(selection) { file, _, _ in
      guard file.state == .released, let copy = file.copy else { return }
      plan.parts[copy.target, default: .init()].files += 1
      plan.parts[copy.target, default: .init()].bytes += copy.size
    }
    return plan
  }

  /// Brings released files back, ordered by place; files that are there already count as done.
  package func restore(_ selection: FileSelection, pinUntil: Timestamp?) throws(TierError) -> RequestHandle {
    let handle = context.requests.open("restore")
    var orders: [(CatalogFile, RelativePath)] = []
    var resident = 0
    try each(selection) { (file, path, volume) throws(TierError) in
      if file.state == .released {
        orders.append((file, path))
      } else {
        resident += 1
        if let pinUntil { try pin(file, until: pinUntil, in: volume) }
      }
    }
    if resident > 0 { handle.note("\(HumanText.files(resident)) in the cache already") }
    handle.expect(files: orders.count, bytes: orders.reduce(0) { $0 + ($1.0.copy?.size ?? 0) })
    let ended = Countdown(orders.count) { handle.finish() }
    for (target, group) in Dictionary(grouping: orders, by: { $0.0.copy?.target ?? "" }) {
      guard let service = context.windowService(target) else {
        for (_, path) in group {
          handle.fail(
            "\(path): its target \"\(target)\" is no longer configured: add it to targets in tierd.yaml")
          ended.partEnded()
        }
        continue
      }
      let sorted = group.sorted { ($0.0.copy?.path ?? .root) < ($1.0.copy?.path ?? .root) }
      restore(sorted.map { ($0.0, restoreOrder($0.0, $0.1, pinUntil, handle, ended)) }, by: service)
    }
    return handle
  }

  /// What was released seconds ago still lingers: it comes back without the target.
  private func restore(_ orders: [(CatalogFile, RestoreOrder)], by service: WindowService) {
    for (volume, group) in Dictionary(grouping: orders, by: \.0.volume) {
      guard let loop = context.volumeServices.first(where: { $0.volume?.id == volume }) else { continue }
      let lingering = group.filter { file, _ in
        let intents = file.id.flatMap { try? context.catalog.openIntents(for: $0) } ?? []
        return intents.contains { $0.kind == .release }
      }.map(\.1)
      let waiting = Set(lingering.map(\.file))
      service.restore(group.map(\.1).filter { !waiting.contains($0.file) })
      if lingering.isEmpty { continue }
      loop.enqueue { loop in
        for order in lingering {
          guard case .success(let loop) = loop,
            (try? loop.takeBack(order.file, pinUntil: order.pinUntil)) == true
          else {
            service.restore([order])
            continue
          }
          order.done(.success(0))
        }
      }
    }
  }

  private func restoreOrder(
    _ file: CatalogFile, _ path: RelativePath, _ pinUntil: Timestamp?, _ handle: RequestHandle,
    _ ended: Countdown
  ) -> RestoreOrder {
    // A window that fails answers all its orders, those that were served before it failed as well.
    let first = Countdown(1) {}
    return RestoreOrder(file: file.id!, cause: "tierctl restore \(path)", pinUntil: pinUntil) { result in
      guard first.partEnded() else { return }
      switch result {
      case .success(let bytes): handle.advance(files: 1, bytes: bytes)
      case .failure(let error): handle.fail(error.path == nil ? "\(path): \(error)" : "\(error)")
      }
      ended.partEnded()
    }
  }

  // MARK: Release, pin

  package func planRelease(_ selection: FileSelection) throws(TierError) -> OrderPlan {
    var plan = OrderPlan()
    try each(selection) { (file, path, volume) throws(TierError) in
      if let reason = releaseRefusal(file) {
        if file.state != .released { plan.skip(volume.absolute(path), reason) }
      } else if let copy = file.copy {
        plan.parts[copy.target, default: .init()].files += 1
        plan.parts[copy.target, default: .init()].bytes += file.allocated
      }
    }
    return plan
  }

  private func releaseRefusal(_ file: CatalogFile) -> String? {
    switch file.state {
    case .released: return "it is released already"
    case .resident: return "it isn't archived yet: tierctl flush PATH archives it now"
    case .archived: break
    }
    if file.copy?.proof != .proven {
      return "its copy must first be found unharmed by a later window: tierctl verify PATH opens one"
    }
    if let until = file.pinnedUntil, until > context.clock.now { return "it is pinned: tierctl unpin PATH" }
    return nil
  }

  package func release(_ selection: FileSelection) throws(TierError) -> RequestHandle {
    let handle = context.requests.open("release")
    var byVolume: [VolumeID: [(CatalogFile, String)]] = [:]
    try each(selection) { (file, path, volume) throws(TierError) in
      guard file.state != .released else { return }
      if let reason = releaseRefusal(file) { return handle.fail("\(volume.absolute(path)): \(reason)") }
      byVolume[volume.id, default: []].append((file, volume.absolute(path)))
    }
    let all = byVolume.values.flatMap { $0 }
    handle.expect(files: all.count, bytes: all.reduce(0) { $0 + $1.0.allocated })
    let ended = Countdown(byVolume.count) { handle.finish() }
    for (id, files) in byVolume {
      guard let service = context.volumeServices.first(where: { $0.volume?.id == id }) else {
        ended.partEnded()
        continue
      }
      let names = Dictionary(files.compactMap { file, name in file.id.map { ($0, name) } }) { first, _ in
        first
      }
      service.enqueue { loop in
        switch loop {
        case .success(let loop):
          for outcome in loop.release(files.map(\.0)) {
            switch outcome {
            case .released(_, let bytes): handle.advance(files: 1, bytes: bytes)
            case .held(let file, let reason): handle.fail("\(names[file] ?? "?"): \(reason)")
            }
          }
        case .failure(let error):
          handle.fail("\(error)")
        }
        ended.partEnded()
      }
    }
    return handle
  }

  /// `until` nil takes pins away. Gives the number of files.
  package func pin(_ selection: FileSelection, until: Timestamp?) throws(TierError) -> Int {
    var count = 0
    try each(selection) { (file, _, volume) throws(TierError) in
      try pin(file, until: until, in: volume)
      count += 1
    }
    return count
  }

  private func pin(_ file: CatalogFile, until: Timestamp?, in volume: Volume) throws(TierError) {
    try volume.committing { () throws(TierError) in
      guard let id = file.id, var row = try context.catalog.file(id) else { return }
      row.pinnedUntil = until
      try context.catalog.apply([.put(row)])
    }
  }

  // MARK: Verify, undelete

  /// Reads each archived copy on the target and compares it with what was archived.
  package func verify(_ selection: FileSelection) throws(TierError) -> RequestHandle {
    let handle = context.requests.open("verify")
    var byTarget: [String: [CatalogFile]] = [:]
    try each(selection) { file, _, _ in
      if let copy = file.copy { byTarget[copy.target, default: []].append(file) }
    }
    let files = byTarget.values.flatMap { $0 }
    handle.expect(files: files.count, bytes: files.reduce(0) { $0 + ($1.copy?.size ?? 0) })
    if files.isEmpty { handle.note("no file here has a copy: no target was contacted") }
    let ended = Countdown(byTarget.count) { handle.finish() }
    for (target, files) in byTarget {
      guard let service = context.windowService(target) else {
        handle.fail("target \"\(target)\" is no longer configured: add it to targets in tierd.yaml")
        ended.partEnded()
        continue
      }
      let once = Countdown(1) { ended.partEnded() }
      service.run(
        Errand(cause: "tierctl verify") { [context] session throws(TierError) in
          try CopyCheck(context: context, session: session, progress: handle).run(files)
          once.partEnded()
        } failed: { error in
          handle.fail("target \(target): \(error)")
          once.partEnded()
        })
    }
    return handle
  }

  package func removals(at absolute: [UInt8]) throws(TierError) -> [(removal: Removal, path: String)] {
    let (service, path) = try locate(absolute)
    let volume = try present(service)
    return try context.catalog.removals(at: path, in: volume.id, limit: 1000).map {
      ($0, volume.absolute($0.path))
    }
  }

  /// Brings back what apps deleted at or below a path: each name once, the newest version. Names that exist again
  /// are left alone.
  package func undelete(_ absolute: [UInt8]) throws(TierError) -> RequestHandle {
    let (service, _) = try locate(absolute)
    let volume = try present(service)
    let handle = context.requests.open("undelete")
    var seen: Set<RelativePath> = []
    var orders: [(CatalogFile, RelativePath)] = []
    for (removal, shown) in try removals(at: absolute) where seen.insert(removal.path).inserted {
      do throws(TierError) {
        orders.append((try Undelete(volume: volume, context: context).revive(removal), removal.path))
      } catch {
        handle.fail("\(shown): \(error.message)")
      }
    }
    handle.expect(files: orders.count, bytes: orders.reduce(0) { $0 + ($1.0.copy?.size ?? 0) })
    let ended = Countdown(orders.count) { handle.finish() }
    for (file, path) in orders {
      guard let target = file.copy?.target, let window = context.windowService(target) else {
        handle.fail("\(volume.absolute(path)): its target is no longer configured")
        ended.partEnded()
        continue
      }
      window.restore([restoreOrder(file, path, nil, handle, ended)])
    }
    return handle
  }

  // MARK: Selections

  private func scopes(_ selection: FileSelection) throws(TierError) -> [Scope] {
    switch selection {
    case .everything:
      return [.all]
    case .policy(let name):
      guard context.policies.current.policy(named: name) != nil else { throw unknownPolicy(name) }
      return [.policy(name)]
    case .volume(let name):
      guard context.volumeService(name) != nil else { throw unknownVolume(name) }
      return [.volume(name)]
    case .paths(let paths):
      var byVolume: [String: [RelativePath]] = [:]
      for absolute in paths {
        let (service, path) = try locate(absolute)
        byVolume[service.configuration.name, default: []].append(path)
      }
      return byVolume.sorted { $0.key < $1.key }.map { .paths(volume: $0.key, $0.value) }
    }
  }

  /// Every file of the selection with its path.
  func each(
    _ selection: FileSelection, _ body: (CatalogFile, RelativePath, Volume) throws(TierError) -> Void
  ) throws(TierError) {
    switch selection {
    case .everything:
      for service in context.volumeServices { try each(.root, in: service, nil, body) }
    case .volume(let name):
      guard let service = context.volumeService(name) else { throw unknownVolume(name) }
      try each(.root, in: service, nil, body)
    case .policy(let name):
      guard let policy = context.policies.current.policy(named: name) else { throw unknownPolicy(name) }
      guard let service = context.volumeService(policy.volume) else { throw unknownVolume(policy.volume) }
      try each(policy.path, in: service, name, body)
    case .paths(let paths):
      for absolute in paths {
        let (service, path) = try locate(absolute)
        try each(path, in: service, nil, body)
      }
    }
  }

  private func each(
    _ path: RelativePath, in service: VolumeService, _ policy: String?,
    _ body: (CatalogFile, RelativePath, Volume) throws(TierError) -> Void
  ) throws(TierError) {
    let volume = try present(service)
    try files(at: path, in: volume) { (page) throws(TierError) in
      for file in page where policy == nil || file.policy == policy {
        if let path = try volume.path(of: file) { try body(file, path, volume) }
      }
    }
  }

  private func unknownPolicy(_ name: String) -> TierError {
    let known = context.policies.current.policies.map(\.name).sorted().joined(separator: ", ")
    return TierError(.notFound, "no policy is named \"\(name)\" (there are: \(known))")
  }

  private func unknownVolume(_ name: String) -> TierError {
    let known = context.volumeServices.map(\.configuration.name).joined(separator: ", ")
    return TierError(.notFound, "no volume is named \"\(name)\" (there are: \(known))")
  }
}

extension Scope {
  func concerns(_ volume: String) -> Bool {
    switch self {
    case .all, .policy: true
    case .volume(let name), .paths(let name, _): name == volume
    }
  }

  /// For the ledger.
  var words: String {
    switch self {
    case .all: "of everything"
    case .policy(let name): "of \(name)"
    case .volume(let name): "of volume \(name)"
    case .paths(_, let paths):
      "of " + (paths.first?.description ?? "") + (paths.count > 1 ? " and others" : "")
    }
  }
}
