import Synchronization
import TierAPI
import TierCore
import TierServer

/// Answers every call with a sample and writes down what was asked; `fail` makes the calls refuse instead.
package final class RecordingControl: Control {
  private struct State {
    var calls: [String] = []
    var failure: TierError?
    var status = Samples.status
    var requests: [RequestReport] = []
    var started: RequestReport?
  }

  private let state = Mutex(State())

  package init() {}

  package var calls: [String] { state.withLock(\.calls) }

  package func fail(_ error: TierError?) { state.withLock { $0.failure = error } }
  package func answer(status: StatusReport) { state.withLock { $0.status = status } }

  /// What work that is started answers at once, and then each `request`; the last one stays.
  package func answer(started: RequestReport?, then requests: [RequestReport]) {
    state.withLock {
      $0.started = started
      $0.requests = requests
    }
  }

  private func record(_ call: String) throws(TierError) {
    let failure = state.withLock { state in
      state.calls.append(call)
      return state.failure
    }
    if let failure { throw failure }
  }

  private func started(_ kind: RequestReport.Kind) -> RequestReport {
    state.withLock(\.started) ?? Samples.done(kind)
  }

  package func status() async throws(TierError) -> StatusReport {
    try record("status")
    return state.withLock(\.status)
  }

  package func files(in path: AbsolutePath, recursive: Bool, after: String?, limit: Int)
    async throws(TierError) -> FilesReport
  {
    try record("files \(path) recursive=\(recursive) after=\(after ?? "-") limit=\(limit)")
    // Two pages: the first entry, then the rest.
    guard recursive else { return Samples.files }
    let (entries, next) =
      after == nil ? (Samples.files.entries.prefix(1), "page two") : (Samples.files.entries.dropFirst(1), nil)
    return FilesReport(now: Samples.now, entries: Array(entries), next: next)
  }

  package func why(_ path: AbsolutePath) async throws(TierError) -> WhyReport {
    try record("why \(path)")
    return Samples.why
  }

  package func windows(target: String?, limit: Int) async throws(TierError) -> WindowsReport {
    try record("windows \(target ?? "-") limit=\(limit)")
    return Samples.windows
  }

  package func policies() async throws(TierError) -> PoliciesReport {
    try record("policies")
    return Samples.policies
  }

  package func explain(_ path: AbsolutePath) async throws(TierError) -> ExplainReport {
    try record("explain \(path)")
    return Samples.explain
  }

  package func checkPolicy(named name: String, text: String) async throws(TierError) -> PolicyCheckReport {
    try record("check \(name) \(text)")
    return text.contains("5x") ? Samples.check : PolicyCheckReport(isValid: true)
  }

  package func usage(of path: AbsolutePath) async throws(TierError) -> UsageReport {
    try record("usage \(path)")
    return Samples.usage
  }

  package func flush(_ scope: FlushScope) async throws(TierError) -> RequestReport {
    try record("flush \(scope)")
    return started(.flush)
  }

  package func restore(_ selection: Selection, planOnly: Bool, pin: Duration?) async throws(TierError)
    -> ActionReport
  {
    try record("restore \(selection) planOnly=\(planOnly) pin=\(pin.map { $0.unitText } ?? "-")")
    return planOnly ? ActionReport(plan: Samples.plan) : ActionReport(request: started(.restore))
  }

  package func release(_ selection: Selection, planOnly: Bool) async throws(TierError) -> ActionReport {
    try record("release \(selection) planOnly=\(planOnly)")
    return planOnly ? ActionReport(plan: Samples.plan) : ActionReport(request: started(.release))
  }

  package func pin(_ paths: [AbsolutePath], for duration: Duration?) async throws(TierError) -> PinReport {
    try record("pin \(paths) \(duration.map { $0.unitText } ?? "-")")
    return Samples.pin
  }

  package func unpin(_ paths: [AbsolutePath]) async throws(TierError) -> PinReport {
    try record("unpin \(paths)")
    return PinReport(files: 3)
  }

  package func verify(_ paths: [AbsolutePath]) async throws(TierError) -> RequestReport {
    try record("verify \(paths)")
    return started(.verify)
  }

  package func fsck(rebuild: Bool) async throws(TierError) -> RequestReport {
    try record("fsck rebuild=\(rebuild)")
    return started(.fsck)
  }

  package func doctor() async throws(TierError) -> DoctorReport {
    try record("doctor")
    return Samples.doctor
  }

  package func undelete(_ path: AbsolutePath, listOnly: Bool) async throws(TierError) -> UndeleteReport {
    try record("undelete \(path) listOnly=\(listOnly)")
    return UndeleteReport(
      removed: Samples.undelete.removed, request: listOnly ? nil : started(.undelete))
  }

  package func request(_ id: String, wait: Duration) async throws(TierError) -> RequestReport {
    try record("request \(id) wait=\(wait.unitText)")
    // A long poll that only the daemon's end answers.
    if id == "endless" {
      do { try await Task.sleep(for: wait) } catch { return Samples.running }
    }
    return state.withLock { state in
      if state.requests.count > 1 { return state.requests.removeFirst() }
      return state.requests.first ?? Samples.done(.restore, id: id)
    }
  }
}
