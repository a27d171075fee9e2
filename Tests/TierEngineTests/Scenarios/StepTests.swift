import Testing
import TierCore
import TierLinux
import TierTestSupport

@testable import TierEngine

/// A call of the engine's at which an app strikes, just before it or just after it.
struct Step: Sendable, CustomTestStringConvertible {
  enum Moment: String { case before, after }
  let moment: Moment
  let site: CallSite
  var isOnTarget: Bool { site.description.hasPrefix("directory.") }

  var testDescription: String { "\(moment.rawValue) \(site)" }

  static func before(_ site: CallSite) -> Step { Step(moment: .before, site: site) }
  static func after(_ site: CallSite) -> Step { Step(moment: .after, site: site) }
}

@Suite struct StepTests {
  static let archiving: [Step] = [
    .before("archive.open"), .before("archive.status"), .before("directory.stage.create"),
    .after("directory.stage.sync"), .after("archive.recheckProbe"), .after("directory.rename"),
    .before("archive.markLease"), .before("archive.mark"), .after("archive.marked"),
  ]

  static let releasing: [Step] = [
    .before("release.open"), .after("release.lease"), .after("release.status"), .before("release.exchange"),
    .after("release.exchange"), .after("release.statusOld"), .after("release.undisturbed"),
    .before("release.lingerLease"), .after("release.lingerStatus"), .after("release.free"),
  ]

  static let restoring: [Step] = [
    .before("restore.space"), .before("restore.create"), .after("directory.size"), .after("restore.sync"),
    .before("restore.exchange"), .after("restore.exchange"), .after("restore.statusStub"),
    .after("restore.unlinkStub"), .after("restore.status"),
  ]

  @Test(arguments: archiving, Mutation.all)
  func whileItIsArchivedAFileIs(_ step: Step, _ mutation: Mutation) throws {
    try Scene(step, mutation).play { scene in
      try scene.bench.look()
      scene.bench.clock.advance(.seconds(61))
      try scene.arm()
      try scene.bench.window()
    }
  }

  @Test(arguments: releasing, Mutation.all)
  func whileItIsReleasedAFileIs(_ step: Step, _ mutation: Mutation) throws {
    try Scene(step, mutation).play { scene in
      try scene.bench.archive()
      try scene.arm()
      try scene.bench.release(Mutation.file)
    }
  }

  @Test(arguments: restoring, Mutation.all)
  func whileItIsRestoredAFileIs(_ step: Step, _ mutation: Mutation) throws {
    try Scene(step, mutation).play { scene in
      try scene.bench.archive()
      try scene.bench.release(Mutation.file)
      try scene.arm()
      _ = try scene.bench.restore(Mutation.file)
    }
  }
}

/// One mutation at one step, and the verdict on what came of it.
final class Scene: @unchecked Sendable {
  let bench: Bench
  let world: World
  private let step: Step
  private let mutation: Mutation
  private var app: OwnedThread?
  private var aftermath: (() -> Void)?

  init(_ step: Step, _ mutation: Mutation) throws {
    self.step = step
    self.mutation = mutation
    bench = try Bench()
    world = World(root: bench.cache)
    world.create(Mutation.file, "the first content of the file")
    world.create(Mutation.other, "the other file's content")
  }

  func play(_ act: (Scene) throws -> Void) throws {
    try act(self)
    #expect(app != nil, "the step was never reached")
    app?.join()
    aftermath?()
    let problems = try Verdict.problems(of: bench, world)
    #expect(problems == [])
  }

  /// From now on the step's next call is the one.
  func arm() throws {
    let plan = step.isOnTarget ? bench.targetFaults : bench.faults
    let strike: @Sendable () throws -> Void = { [self] in try act() }
    plan.at(
      step.site, occurrence: plan.count(of: step.site) + 1,
      step.moment == .before ? .before(strike) : .after(strike))
  }

  /// An app of its own: where a lease makes its open wait, the engine goes on and the app after it.
  private func act() throws {
    let done = try Wakeup()
    app = OwnedThread(name: "app") { [self] in
      aftermath = mutation.run(world)
      done.signal()
    }
    _ = done.wait(atMost: .milliseconds(60))
  }
}
