import TierAPI
import TierCatalog
import TierCore
import TierEngine
import TierLinux
import TierPolicyFile
import TierServer

/// Answers the control API from the engine. The engine blocks, so every call gets a thread of its own: they are
/// few, and made by people.
struct EngineControl: Control {
  let engine: Engine
  let configuration: Configuration
  let policies: PolicySource
  let catalog: SQLiteCatalog
  let started: Timestamp

  var context: EngineContext { engine.context }
  var now: UTCTime { UTCTime(context.clock.now) }

  func status() async throws(TierError) -> StatusReport {
    try await blocking { () throws(TierError) in try statusReport() }
  }

  func files(in path: AbsolutePath, recursive: Bool, after: String?, limit: Int) async throws(TierError)
    -> FilesReport
  {
    try await blocking { () throws(TierError) in
      let page = try engine.list(path.bytes, recursive: recursive, after: after, limit: limit)
      return FilesReport(now: now, entries: page.entries.map(entry), next: page.next)
    }
  }

  func why(_ path: AbsolutePath) async throws(TierError) -> WhyReport {
    try await blocking { () throws(TierError) in
      let explanation = try engine.explain(path.bytes)
      let listed = ListedFile(path: path.bytes, status: explanation.status, row: explanation.file)
      return WhyReport(now: now, entry: entry(listed), sentences: explanation.sentences)
    }
  }

  func windows(target: String?, limit: Int) async throws(TierError) -> WindowsReport {
    try await blocking { () throws(TierError) in
      WindowsReport(
        now: now, windows: try context.catalog.windows(of: target, limit: limit).map(WindowEntry.init))
    }
  }

  func policies() async throws(TierError) -> PoliciesReport {
    PoliciesReport(
      policies: context.policies.current.policies.map(policyEntry),
      diagnostics: policies.diagnostics.map(DiagnosticEntry.init))
  }

  func explain(_ path: AbsolutePath) async throws(TierError) -> ExplainReport {
    try await blocking { () throws(TierError) in
      let explanation = try engine.explainPolicy(path.bytes)
      var winner: String?
      if case .governed(let policy) = explanation.verdict { winner = policy.name }
      return ExplainReport(path: path, policy: winner, sentences: explanation.lines)
    }
  }

  func checkPolicy(named name: String, text: String) async throws(TierError) -> PolicyCheckReport {
    let found = PolicyDirectory.check(
      Array(text.utf8), as: name, in: configuration.policyDirectory, configuration)
    return PolicyCheckReport(isValid: !found.hasErrors, diagnostics: found.map(DiagnosticEntry.init))
  }

  func usage(of path: AbsolutePath) async throws(TierError) -> UsageReport {
    try await blocking { () throws(TierError) in
      let usage = try engine.usage(of: path.bytes)
      return UsageReport(total: UsageEntry(usage.total), entries: usage.parts.map(UsageEntry.init))
    }
  }

  // MARK: Orders

  func flush(_ scope: FlushScope) async throws(TierError) -> RequestReport {
    try await blocking { () throws(TierError) in
      let selection: FileSelection =
        switch scope {
        case .everything: .everything
        case .policy(let name): .policy(name)
        case .volume(let name): .volume(name)
        case .paths(let paths): .paths(paths.map(\.bytes))
        }
      return RequestReport(try engine.flush(selection).current)
    }
  }

  func restore(_ selection: Selection, planOnly: Bool, pin: Duration?) async throws(TierError) -> ActionReport
  {
    try await blocking { () throws(TierError) in
      let files = FileSelection(selection)
      if planOnly { return ActionReport(plan: plan(.restore, try engine.planRestore(files), wakes: true)) }
      let until = pin.map { context.clock.now + $0 }
      return ActionReport(request: RequestReport(try engine.restore(files, pinUntil: until).current))
    }
  }

  func release(_ selection: Selection, planOnly: Bool) async throws(TierError) -> ActionReport {
    try await blocking { () throws(TierError) in
      let files = FileSelection(selection)
      if planOnly { return ActionReport(plan: plan(.release, try engine.planRelease(files), wakes: false)) }
      return ActionReport(request: RequestReport(try engine.release(files).current))
    }
  }

  func pin(_ paths: [AbsolutePath], for duration: Duration?) async throws(TierError) -> PinReport {
    try await blocking { () throws(TierError) in
      let until = duration.map { context.clock.now + $0 } ?? .distantFuture
      let count = try engine.pin(.paths(paths.map(\.bytes)), until: until)
      return PinReport(files: count, until: duration == nil ? nil : UTCTime(until))
    }
  }

  func unpin(_ paths: [AbsolutePath]) async throws(TierError) -> PinReport {
    try await blocking { () throws(TierError) in
      PinReport(files: try engine.pin(.paths(paths.map(\.bytes)), until: nil))
    }
  }

  func verify(_ paths: [AbsolutePath]) async throws(TierError) -> RequestReport {
    try await blocking { () throws(TierError) in
      RequestReport(try engine.verify(.paths(paths.map(\.bytes))).current)
    }
  }

  func fsck(rebuild: Bool) async throws(TierError) -> RequestReport {
    try await blocking { () throws(TierError) in
      RequestReport(
        try engine.fsck(rebuild: rebuild) { () throws(TierError) in try catalog.damage() }.current)
    }
  }

  func doctor() async throws(TierError) -> DoctorReport {
    try await blocking { () throws(TierError) in
      DoctorReport(checks: Doctor(engine: engine, configuration: configuration, policies: policies).checks())
    }
  }

  func undelete(_ path: AbsolutePath, listOnly: Bool) async throws(TierError) -> UndeleteReport {
    try await settled(path)
    return try await blocking { () throws(TierError) in
      let removed = try engine.removals(at: path.bytes).compactMap { RemovedEntry($0.removal, $0.path) }
      if listOnly { return UndeleteReport(removed: removed) }
      return UndeleteReport(
        removed: removed, request: RequestReport(try engine.undelete(path.bytes).current))
    }
  }

  func request(_ id: String, wait: Duration) async throws(TierError) -> RequestReport {
    let end = context.clock.monotonic + wait
    while true {
      guard let state = context.requests.state(of: id) else {
        throw TierError(.notFound, "no request \"\(id)\" is known; those of an earlier tierd are forgotten")
      }
      if state.ended != nil || context.clock.monotonic >= end { return RequestReport(state) }
      do {
        try await Task.sleep(for: .milliseconds(50))
      } catch {
        // The daemon is stopping: it must not wait for this answer.
        return RequestReport(state)
      }
    }
  }

  /// What was deleted a moment ago is known to be.
  private func settled(_ path: AbsolutePath) async throws(TierError) {
    let (service, _) = try engine.locate(path.bytes)
    let error = await withCheckedContinuation { continuation in
      service.settleNow(scanning: false) { continuation.resume(returning: $0) }
    }
    if let error { throw error }
  }

  private func blocking<Value: Sendable>(
    _ body: @escaping @Sendable () throws(TierError) -> Value
  ) async throws(TierError) -> Value {
    let result: Result<Value, TierError> = await withCheckedContinuation { continuation in
      _ = OwnedThread(name: "control") {
        do throws(TierError) {
          continuation.resume(returning: .success(try body()))
        } catch {
          continuation.resume(returning: .failure(error))
        }
      }
    }
    return try result.get()
  }
}
