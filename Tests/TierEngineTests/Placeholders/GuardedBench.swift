import Glibc
import TierCore
import TierGuard
import TierGuardSupport
import TierLinux
import TierTestSupport

@testable import TierEngine

/// A `Bench` on a file system of its own, behind the real guard. What this process opens is tierd's own and is let
/// through; apps are other processes (`App`).
final class GuardedBench {
  let guarded: GuardBench
  let bench: Bench

  static var policy: Policy {
    var policy = Bench.policy
    policy.restore.mode = .guard
    return policy
  }

  /// `recallGrace`: a step waits for nobody.
  init(
    _ kind: GuardBench.Kind, policy: Policy = GuardedBench.policy,
    tuning: EngineTuning = EngineTuning(reserve: 1 << 20, roomPatience: .zero), recallGrace: Duration = .zero,
    faults: FaultPlan = FaultPlan(), targetFaults: FaultPlan = FaultPlan(),
    bounds: GuardBounds = GuardBounds()
  ) throws {
    let guarded = try GuardBench(kind)
    self.guarded = guarded
    let (socket, root) = (guarded.socket, guarded.path)
    let program = GuardBench.program("tier-guard")
    var tuning = tuning
    tuning.recallGrace = recallGrace
    bench = try Bench(
      policy: policy, tuning: tuning, cache: guarded.path, faults: faults, targetFaults: targetFaults,
      connectGuard: { _ throws(TierError) in
        try GuardConnection(
          socket: socket, program: program, root: root, terms: GuardTerms(isShared: false, bounds: bounds))
      })
  }

  func path(_ name: String) -> String { "\(bench.cache)/\(name)" }

  /// Written, archived, proven, released; freed as well.
  func release(_ name: String, _ text: String) throws {
    bench.write(name, text)
    try bench.archive()
    try bench.release(name)
  }

  func status(_ name: String) -> stat {
    var status = stat()
    lstat(path(name), &status)
    return status
  }

  func identity(_ name: String) throws -> IdentityState? {
    try bench.volume.identity(of: RelativePath(name)!, at: "test.identity")?.state
  }

  /// Windows until `app` has ended, as the daemon would open them.
  @discardableResult
  func serve(_ app: App, atMost seconds: Int = 20) throws -> ChildResult {
    try eventually(within: .seconds(seconds), "the app's end") {
      if app.hasEnded { return true }
      try bench.serveOnce()
      return false
    }
    return try app.result()
  }

  deinit { bench.leaveGuard() }
}
