import Glibc
import Testing
import TierCore
import TierGuardSupport
import TierLinux
import TierTestSupport

/// tierd, its guard and the NAS are killed, stopped and restarted while fifty readers open released files: no reader
/// ever gets a byte that isn't the file's; with tierd back all are served, else all get an error within the bound.
@Suite(.serialized, .timeLimit(.minutes(5))) struct RecallDeathTests {
  enum Blow: CaseIterable {
    case kill, killTwice, killForAWhile, freeze, terminate, killGuard, killGuardWhileFrozen
  }

  /// With `TIERD_RECALL_DEATHS` set: every blow on every file system, over NFS too, and all ways to be gone for good.
  private static let isThorough = getenv("TIERD_RECALL_DEATHS") != nil
  static let kinds = GuardBench.Kind.holdingPlaceholders.filter { isThorough || $0 == .ext4 }
  private static let blows: [Blow] = isThorough ? Blow.allCases : [.kill, .freeze, .terminate, .killGuard]
  private static let nasObstacle = NASStandIn.obstacle ?? (kinds.isEmpty ? "no file system to guard" : nil)

  @Test(arguments: kinds) func whoeverDiesAllAreServed(_ kind: GuardBench.Kind) throws {
    let site = try GuardedSite(kind)
    defer { site.close() }
    try site.start()
    try strike(site)
  }

  @Test(.enabled(if: isThorough), .enabled(if: nasObstacle == nil, "\(nasObstacle ?? "")"))
  func theSameOverNFS() throws {
    let site = try GuardedSite(.ext4, nas: NASStandIn(diskMiB: 1024))
    defer { site.close() }
    try site.start()
    try strike(site)
  }

  private func strike(_ site: GuardedSite) throws {
    let seed = UInt64.random(in: 1..<1_000_000)
    var random = SplitMix(state: seed)
    try site.write(120, large: 4, seed: seed)
    try site.archive()
    var held = 0
    for (round, blow) in Self.blows.shuffled(using: &random).enumerated() {
      try site.releaseAll()
      let app = site.readers(each: 30, seed: seed &* 100 &+ UInt64(round))
      try eventually("somebody waits") { site.waiting(app) > 0 || app.hasEnded }
      pause(atMost: 100_000)
      try deal(blow, to: site) { held += site.waiting(app) }
      let report = try ReadersReport(app)
      #expect(report.wrong == 0 && report.failed == 0, "seed \(seed), \(blow): \(report)")
      // Only an open that the dead guard had taken and told nobody of is to be repeated: one of each reader at most.
      let mayRefuse = [.killGuard, .killGuardWhileFrozen].contains(blow)
      #expect(report.refused <= (mayRefuse ? 50 : 0), "seed \(seed), \(blow): \(report)")
      #expect(report.whole + report.refused == 50 * 30, "seed \(seed), \(blow): \(report)")
    }
    #expect(held > 0, "seed \(seed): nobody was ever made to wait")
  }

  /// `look` is called when somebody has just died.
  private func deal(_ blow: Blow, to site: GuardedSite, look: () -> Void) throws {
    switch blow {
    case .kill:
      site.daemon.killNow()
      look()
      try site.start()
    case .killTwice:
      site.daemon.killNow()
      look()
      try site.start()
      pause(atMost: 300_000)
      site.daemon.killNow()
      try site.start()
    case .killForAWhile:
      site.daemon.killNow()
      pause(atMost: 3_000_000)
      look()
      try site.start()
    case .freeze:
      site.daemon.signal(SIGSTOP)
      pause(atMost: 4_000_000)
      look()
      site.daemon.signal(SIGCONT)
    case .terminate:
      site.daemon.stop()
      look()
      try site.start()
    case .killGuard:
      look()
      try site.bench.killGuard()
    case .killGuardWhileFrozen:
      site.daemon.signal(SIGSTOP)
      look()
      try site.bench.killGuard()
      pause(atMost: 2_000_000)
      site.daemon.signal(SIGCONT)
    }
  }

  // MARK: For good

  /// Each reader waits for one file; all get an error in time, and nobody's error comes early.
  private func expectErrorsInTime(_ app: App, _ least: Int, _ most: Int) throws {
    let report = try ReadersReport(app)
    #expect(report.wrong == 0 && report.whole == 0 && report.failed == 50, "\(report)")
    #expect(report.firstFailure >= .seconds(least) && report.slowest <= .seconds(most), "\(report)")
  }

  private func releasedSite(_ kind: GuardBench.Kind) throws -> GuardedSite {
    let site = try GuardedSite(kind)
    try site.start()
    try site.write(60, large: 0, seed: 3)
    try site.archive()
    try site.releaseAll()
    return site
  }

  @Test(arguments: kinds) func tierdIsGoneForGood(_ kind: GuardBench.Kind) throws {
    let site = try releasedSite(kind)
    defer { site.close() }
    site.daemon.killNow()
    let app = site.readers(each: 1, seed: 1)
    try expectErrorsInTime(app, GuardedSite.absence - 1, GuardedSite.absence + 5)
    // The next one serves them.
    try site.start()
    let report = try ReadersReport(site.readers(each: 60, seed: 2))
    #expect(report.whole == 50 * 60, "\(report)")
  }

  @Test(.enabled(if: isThorough && !kinds.isEmpty)) func tierdHangsForGood() throws {
    let site = try releasedSite(.ext4)
    defer { site.close() }
    site.daemon.signal(SIGSTOP)
    let app = site.readers(each: 1, seed: 1)
    try expectErrorsInTime(app, GuardedSite.absence - 1, GuardedSite.absence + 5)
    site.daemon.signal(SIGCONT)
    let report = try ReadersReport(site.readers(each: 60, seed: 2))
    #expect(report.whole == 50 * 60, "\(report)")
  }

  /// The NAS is switched off, hangs, or loses its cable; then it is back.
  @Test(
    .enabled(if: isThorough), .enabled(if: nasObstacle == nil, "\(nasObstacle ?? "")"),
    arguments: [0, 1, 2])
  func theNASIsGone(_ way: Int) throws {
    let nas = try NASStandIn(diskMiB: 1024)
    let site = try GuardedSite(.ext4, nas: nas, patience: 12)
    defer { site.close() }
    try site.start()
    try site.write(60, large: 2, seed: 9)
    try site.archive()
    try site.releaseAll()
    switch way {
    case 0: try nas.kill()
    case 1: try nas.freeze()
    default: try nas.setLink(up: false)
    }
    let app = site.readers(each: 1, seed: 1)
    var held = 0
    try eventually(within: .seconds(60), "the readers' end") {
      held = max(held, site.waiting(app))
      return app.hasEnded
    }
    let report = try ReadersReport(app)
    #expect(report.whole == 0 && report.wrong == 0 && report.failed + report.refused == 50, "\(report)")
    #expect(report.slowest <= .seconds(17) && held > 0, "\(report)")
    switch way {
    case 0: try nas.start()
    case 1: try nas.thaw()
    default: try nas.setLink(up: true)
    }
    try eventually(within: .seconds(60), "the NAS serves again") {
      try ReadersReport(site.readers(each: 1, seed: 2)).whole == 50
    }
    let after = try ReadersReport(site.readers(each: 62, seed: 3))
    #expect(after.whole == 50 * 62, "\(after)")
  }
}
