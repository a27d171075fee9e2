import TierCore

extension Engine {
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
      let unheard = scopes.flatMap { places($0, in: service.configuration.name) }
      service.settleNow(unheard: unheard) { error in
        if let error { handle.fail("volume \(service.configuration.name): \(error)") }
        settled.partEnded()
      }
    }
    return handle
  }

  private func places(_ scope: Scope, in volume: String) -> [RelativePath] {
    switch scope {
    case .all: [.root]
    case .volume(let name): name == volume ? [.root] : []
    case .paths(let name, let paths): name == volume ? paths : []
    case .policy(let name):
      context.policies.current.policy(named: name).map { $0.volume == volume ? [$0.path] : [] } ?? []
    }
  }

  private func openWindows(for scopes: [Scope], _ handle: RequestHandle) {
    do throws(TierError) {
      var pending: [WindowService] = []
      for service in context.windowServices {
        let work = try service.pending(now: .distantFuture)
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
