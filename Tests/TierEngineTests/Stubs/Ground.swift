import Glibc
import TierCore
import TierGuard
import TierGuardSupport
import TierTestSupport

@testable import TierEngine

/// A file system of its own with one kind of stubs, on which scenarios play one after the other. One that fails
/// leaves nothing that the next could stumble over: that gets a new one.
final class Ground {
  let stub: Stub
  let place: Place
  let bench: Bench
  private let mounted: Mounted
  let faults = FaultPlan()
  let targetFaults = FaultPlan()

  static func policy(_ stub: Stub) -> Policy {
    var policy = Bench.policy
    policy.restore.mode = stub == .placeholder ? .guard : .link
    return policy
  }

  /// `change`: what its policy says else. `recallGrace` is real time: a step waits for nobody.
  init(_ place: Place, _ stub: Stub, change: (inout Policy) -> Void = { _ in }) throws {
    self.stub = stub
    self.place = place
    let mounted = try Mounted(place)
    self.mounted = mounted
    let (socket, root) = (mounted.guarded?.socket ?? "", mounted.path)
    let program = GuardBench.program("tier-guard")
    var connect: (@Sendable (any FileSystem) throws(TierError) -> GuardConnection)?
    if stub == .placeholder {
      connect = { _ throws(TierError) in
        try GuardConnection(
          socket: socket, program: program, root: root,
          terms: GuardTerms(isShared: false, bounds: GuardBounds()))
      }
    }
    var policy = Self.policy(stub)
    change(&policy)
    bench = try Bench(
      policy: policy, tuning: EngineTuning(reserve: 1 << 20, roomPatience: .zero, recallGrace: .zero),
      cache: mounted.path, faults: faults, targetFaults: targetFaults, connectGuard: connect)
  }

  deinit { bench.leaveGuard() }

  /// Of a file system where placeholders are played.
  var guarded: GuardBench {
    guard let guarded = mounted.guarded else { preconditionFailure("no guard stands on \(place)") }
    return guarded
  }

  /// Why there can be no stubs of this kind here; nil where there can.
  var obstacle: String? {
    if stub == .placeholder, case .links(let reason) = bench.volume.stubMode { reason } else { nil }
  }

  static func outcomes(of scenarios: [Scenario], on place: Place, _ stub: Stub) throws -> [Scenario.Outcome] {
    var ground: Ground?
    var outcomes: [Scenario.Outcome] = []
    for (number, scenario) in scenarios.enumerated() {
      guard scenario.stubs.contains(stub) else {
        outcomes.append(.notHere)
        continue
      }
      let here = try ground ?? Ground(place, stub)
      let stage = Stage(here, folder: "s\(number)")
      ground = nil
      do {
        try scenario.body(stage)
        try stage.finish()
        ground = here
        outcomes.append(.ok)
      } catch is NotHere {
        if (try? stage.clear()) != nil { ground = here }
        outcomes.append(.notHere)
      } catch {
        outcomes.append(.failed("\(error)"))
      }
    }
    return outcomes
  }
}
