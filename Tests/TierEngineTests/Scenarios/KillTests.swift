import Glibc
import Testing
import TierCore
import TierLinux
import TierTestSupport

@testable import TierEngine

/// A call at which the engine's process is killed.
struct KillPoint: Sendable, Codable, CustomTestStringConvertible {
  let side: String
  let site: String
  let occurrence: Int
  let isAfter: Bool

  var plan: String { "\(site):\(occurrence):\(isAfter ? "kill-after" : "kill")" }
  var testDescription: String {
    "\(isAfter ? "after" : "before") \(site)\(occurrence > 1 ? ", time \(occurrence)" : "") (\(side))"
  }
}

/// The life of two files: archived, one released, their directory renamed, the stub restored, the other deleted,
/// the first changed and archived again. Ends by `kill -9` at each call of the engine's in turn.
@Suite struct KillTests {
  private enum Act {
    case app(@Sendable (World) -> Void)
    case engine(@Sendable (Bench) throws -> Void)
  }

  private static let life: [Act] = [
    .app { $0.create("dir/file", "the first content of the file") },
    .app { $0.create("dir/other", "the other file's content") },
    .engine { try $0.archive() },
    .engine { try $0.release("dir/file") },
    .app { $0.rename("dir", "moved") },
    .engine { bench in
      try bench.look()
      try bench.window()
    },
    .engine { _ = try $0.restore("moved/file") },
    .app { $0.unlink("moved/other") },
    .app { $0.append("moved/file", ", and more") },
    .engine { try $0.archive() },
    .engine { try $0.release("moved/file") },
    .app { $0.unlink("moved/file") },
    .engine { bench in
      try bench.look()
      try bench.window()
    },
  ]

  /// Notes in `progress` how many of the apps' acts were done.
  private static func live(_ bench: Bench) throws {
    let world = World(root: bench.cache)
    let progress = open(bench.folder.path("progress"), O_WRONLY | O_CREAT | O_APPEND, 0o600)
    for act in life {
      switch act {
      case .app(let run):
        run(world)
        _ = write(progress, ".", 1)
      case .engine(let run): try run(bench)
      }
    }
    close(progress)
  }

  /// Every call of an unhurt life: before the first one and the last one at each site, and after the last one.
  static let points: [KillPoint] = {
    guard let bench = try? Bench(), (try? live(bench)) != nil else { return [] }
    func points(_ side: String, _ plan: FaultPlan) -> [KillPoint] {
      plan.sitesSeen.flatMap { site in
        let last = plan.counts[site] ?? 1
        let places = last == 1 ? [(1, false), (1, true)] : [(1, false), (last, false), (last, true)]
        return places.map { KillPoint(side: side, site: site, occurrence: $0.0, isAfter: $0.1) }
      }
    }
    return points("volume", bench.faults) + points("target", bench.targetFaults)
  }()

  @Test("many places to die at are known")
  func manyPlacesAreKnown() { #expect(Set(Self.points.map(\.site)).count >= 30) }

  @Test("nothing is lost by a kill", arguments: points)
  func nothingIsLostByAKill(_ point: KillPoint) async throws {
    let folder = try TemporaryDirectory()
    let path = folder.path
    await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String, point = point as KillPoint] in
      let plan = try #require(FaultPlan(parsing: point.plan))
      let isVolume = point.side == "volume"
      try Self.live(
        Bench(
          in: TemporaryDirectory(borrowing: path), faults: isVolume ? plan : FaultPlan(),
          targetFaults: isVolume ? FaultPlan() : plan))
    }
    let world = try Self.worldSoFar(in: folder)
    let bench = try Bench(in: folder)
    let problems = try Verdict.problems(of: bench, world)
    #expect(problems == [])
  }

  /// What the apps had done when the process died: the same acts, on a tree of their own.
  private static func worldSoFar(in folder: TemporaryDirectory) throws -> World {
    var status = stat()
    var left = stat(folder.path("progress"), &status) == 0 ? Int(status.st_size) : 0
    mkdir(folder.path("replay"), 0o755)
    let world = World(root: folder.path("replay"))
    for case .app(let run) in life where left > 0 {
      run(world)
      left -= 1
    }
    world.take(folder.path("cache"))
    return world
  }
}
