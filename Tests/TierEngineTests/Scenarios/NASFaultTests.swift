import Glibc
import Synchronization
import Testing
import TierCore
import TierLinux
import TierTargets
import TierTestSupport

@testable import TierEngine

/// Something that happens to a real NFS server while a window is open, and how it is made good again.
struct NASFault: Sendable, CustomTestStringConvertible {
  let testDescription: String
  let strike: @Sendable (NASStandIn) throws -> Void
  let mend: @Sendable (NASStandIn) throws -> Void

  static let all = [
    NASFault(testDescription: "killed", strike: { try $0.kill() }, mend: { try $0.start() }),
    NASFault(testDescription: "hanging", strike: { try $0.freeze() }, mend: { try $0.thaw() }),
    NASFault(
      testDescription: "full", strike: { try $0.fillDisk(leaving: 1 << 20) }, mend: { try $0.emptyDisk() }),
    NASFault(
      testDescription: "read-only", strike: { try $0.setReadOnly(true) }, mend: { try $0.setReadOnly(false) }),
    NASFault(
      testDescription: "off the network", strike: { try $0.setLink(up: false) },
      mend: { try $0.setLink(up: true) }),
  ]
}

@Suite(.enabled(if: NASStandIn.isAvailable, Comment(rawValue: NASStandIn.skipReason)), .serialized)
struct NASFaultTests {
  /// Before the copies are made, and between a copy and its name.
  static let moments: [CallSite] = ["archive.attributes", "archive.recheck"]

  /// A rename takes no room: only what is still to be copied meets the full disk.
  static let strikes = NASFault.all.flatMap { fault in
    moments.filter { fault.testDescription != "full" || $0 == "archive.attributes" }.map { (fault, $0) }
  }

  @Test("nothing is lost when the NAS is", arguments: strikes)
  func nothingIsLost(_ fault: NASFault, _ moment: CallSite) throws {
    let nas = try NASStandIn(diskMiB: 128)
    defer { nas.close() }
    let (bench, world) = try prepare(nas)
    try bench.look()
    bench.clock.advance(.seconds(3700))
    bench.faults.at(moment, occurrence: bench.faults.count(of: moment) + 1, .before { try fault.strike(nas) })
    #expect(try bench.windows.turn() == nil, "the window was to open")
    #expect(bench.faults.closureError == nil)
    let held = try bench.row("dir/new").heldReason
    let problem = try #require(bench.windows.condition.lastError ?? held)
    #expect(problem.utf8.count > 20, "\(problem)")
    #expect(try bench.row("dir/new").state == .resident)
    // It isn't asked again at once.
    #expect(try #require(try bench.windows.turn()) > .seconds(1))
    try fault.mend(nas)
    let problems = try Verdict.problems(of: bench, world)
    #expect(problems == [])
  }

  @Test("nothing is lost when the NAS restarts between copy and name")
  func nothingIsLostByARestart() throws {
    let nas = try NASStandIn(diskMiB: 128)
    defer { nas.close() }
    let (bench, world) = try prepare(nas)
    try bench.look()
    bench.clock.advance(.seconds(3700))
    bench.faults.at(
      "archive.recheck", occurrence: bench.faults.count(of: "archive.recheck") + 1,
      .before { try nas.restart() })
    _ = try bench.windows.turn()
    let problems = try Verdict.problems(of: bench, world)
    #expect(problems == [])
  }

  /// One file archived and one released before; one that is due and larger than what a full disk leaves.
  private func prepare(_ nas: NASStandIn) throws -> (Bench, World) {
    let share = Configuration.NFS(host: nas.address, export: nas.nfsExport)
    let shelf = Shelf()
    let target = NFSTarget(
      name: "nas", share: share, timeout: .seconds(4),
      memory: TargetMemory(load: { shelf.load($0) }, store: { shelf.store($0, $1) }))
    let bench = try Bench(target: (target, nas.nfsFolder))
    let world = World(root: bench.cache)
    world.create("dir/archived", "archived before")
    world.create("dir/released", "released before")
    try bench.comeToRest()
    try bench.release("dir/released")
    world.create("dir/new", String(repeating: "0123456789abcdef", count: 1 << 20))
    world.append("dir/archived", " and changed")
    return (bench, world)
  }

  private final class Shelf: Sendable {
    private let values = Mutex<[String: [UInt8]]>([:])
    func load(_ key: String) -> [UInt8]? { values.withLock { $0[key] } }
    func store(_ key: String, _ value: [UInt8]?) { values.withLock { $0[key] = value } }
  }
}
