import Glibc
import Testing
import TierCore
import TierLinux
import TierTestSupport

@testable import TierTargets

/// A server that crashes, hangs, is full, denies, or isn't there. Each test has one of its own.
@Suite(.enabled(if: NASStandIn.isAvailable, "\(NASStandIn.skipReason)"))
struct NFSFaultTests {
  // MARK: Crashing and hanging

  @Test func aServerKilledMidFileLosesNothing() throws {
    let nas = try NASStandIn()
    let bench = try NFSBench.make(nas)
    let content = noise(48 << 20)
    let upload = try bench.upload("large", content)
    let session = try bench.target.connect()
    let faults = FaultPlan()
    faults.at("nfs.stage.read", occurrence: 20, .before { try nas.kill() })
    var doomed = upload
    doomed.source = try FaultInjectingFileSystem(bench.volume, faults).open("large", .read, at: "test")
    let error = #expect(throws: TierError.self) { try bench.stage([doomed], session) }
    #expect(error?.code == .targetUnreachable && error?.disposition == .retry, "\(String(describing: error))")
    #expect(throws: TierError.self) { try session.status(of: ["volume"]) }
    session.close()
    #expect(faults.closureError == nil)
    #expect(throws: TierError.self) { try bench.target.connect() }

    try nas.start()
    try bench.withSession { session throws in
      #expect(try bench.archive([.init(upload: upload)], session).arePublished)
      #expect(try session.list(TargetLayout.temporary).isEmpty)
    }
    #expect(try bench.nas.read(upload.path) == content)
  }

  @Test func aRestartBetweenWindowsChangesTheInstanceAndNothingElse() throws {
    let nas = try NASStandIn(diskMiB: 256)
    let bench = try NFSBench.make(nas)
    let first = try bench.withSession { $0.instance }
    let again = try bench.withSession { $0.instance }
    #expect(first != nil && first == again)
    // The stand-in's verifier counts seconds.
    let begin = time(nil)
    try eventually("the next second") { time(nil) > begin + 1 }
    try nas.restart()
    #expect(try bench.withSession { $0.instance } != first)
  }

  @Test func aHangingServerIsLeftWithinTheTimeout() throws {
    let nas = try NASStandIn(diskMiB: 256)
    let bench = try NFSBench.make(nas, timeout: .seconds(2))
    let clock = SystemClock()
    let session = try bench.target.connect()
    try nas.freeze()
    defer { try? nas.thaw() }
    let begin = clock.monotonic
    let error = #expect(throws: TierError.self) { try bench.stage([bench.upload("a", noise(5))], session) }
    #expect(error?.code == .targetTimeout && error?.disposition == .retry)
    session.close()
    let middle = clock.monotonic
    #expect(throws: TierError.self) { try bench.target.connect() }
    // A busy machine may wake late, never early.
    #expect((Duration.seconds(2)..<Duration.seconds(10)).contains(middle - begin))
    #expect((Duration.seconds(2)..<Duration.seconds(10)).contains(clock.monotonic - middle))
  }

  @Test func aPulledCableIsNoticedWhileConnecting() throws {
    let nas = try NASStandIn(diskMiB: 256)
    let bench = try NFSBench.make(nas, timeout: .seconds(2))
    try bench.withSession { _ in }
    try nas.setLink(up: false)
    let error = #expect(throws: TierError.self) { try bench.target.connect() }
    #expect(error?.code == .targetTimeout || error?.code == .targetUnreachable)
    try nas.setLink(up: true)
    try eventually { (try? bench.withSession { _ in }) != nil }
  }

  // MARK: A disk that is full, gone or read-only

  @Test func aFullDiskEndsTheSessionAndLeavesNoPieces() throws {
    let nas = try NASStandIn(diskMiB: 128)
    let bench = try NFSBench.make(nas)
    try bench.withSession { _ in }
    try nas.fillDisk(leaving: 12 << 20)
    let uploads = try (0..<4).map { try bench.upload(RelativePath("f\($0)")!, noise(8 << 20)) }
    let session = try bench.target.connect()
    let error = #expect(throws: TierError.self) { try bench.stage(uploads, session) }
    #expect(error?.code == .targetFull && error?.disposition == .retry, "\(String(describing: error))")
    session.close()
    let left = try bench.nas.list(TargetLayout.temporary, at: "test")
    #expect(left.allSatisfy { $0.status.size == 8 << 20 }, "only whole files stay: \(left)")

    try nas.emptyDisk()
    try bench.withSession { session throws in
      #expect(try bench.archive(uploads.map { .init(upload: $0) }, session).arePublished)
    }
  }

  @Test func aStaleRootHandleIsRenewedByOneMountCall() throws {
    let nas = try NASStandIn(diskMiB: 128)
    let bench = try NFSBench.make(nas)
    try bench.withSession { _ in }
    let key = "nfs.root:\(nas.address):\(nas.nfsExport)"
    let before = bench.memory.load(key)
    try nas.replaceDisk()
    // An empty disk in the target's place isn't filled.
    let error = #expect(throws: TierError.self) { try bench.target.connect() }
    #expect(error?.code == .targetUnreachable, "\(String(describing: error))")
    let after = bench.memory.load(key)
    #expect(before != nil && after != nil && before != after)

    for folder in ["", "/.tierd"] { #expect(mkdir(bench.folder + folder, 0o755) == 0 || errno == EEXIST) }
    let root = try LinuxFileSystem(root: bench.folder)
    try root.write(TargetLayout.formatText, to: TargetLayout.format)
    try bench.withSession { _ in }
    #expect(bench.memory.load(key) == after)
  }

  @Test func aReadOnlyExportIsNamedAsSuch() throws {
    let nas = try NASStandIn(diskMiB: 128)
    let bench = try NFSBench.make(nas)
    try bench.withSession { _ in }
    try nas.setReadOnly(true)
    let error = #expect(throws: TierError.self) {
      try bench.withSession { try bench.stage([bench.upload("a", noise(5))], $0) }
    }
    #expect(
      error?.code == .targetDenied && error?.message.contains("read-only") == true,
      "\(String(describing: error))")
  }

  // MARK: Squash

  @Test func aSquashingExportKeepsFilesButNotOwners() throws {
    let nas = try NASStandIn(diskMiB: 128)
    let notices = Notices()
    let bench = try NFSBench.make(nas, squashed: true, notices: notices)
    let orders = try (0..<20).map {
      TargetBench.Order(upload: try bench.upload(RelativePath("f\($0)")!, noise(9), mode: 0o4750))
    }
    try bench.withSession { session throws in
      #expect(try bench.archive(orders, session).arePublished)
    }
    for order in orders {
      let status = try #require(try bench.nas.status(of: order.upload.path, at: "test"))
      #expect(status.owner == 1024 && status.group == 100)
      #expect(status.mode == 0o750, "no setuid under another owner")
      #expect(status.modified == order.upload.metadata.modified)
    }
    #expect(notices.all.count == 1)
    #expect(notices.all.first?.contains("squash") == true)
  }

  @Test func aSquashedRootThatMayNotWriteIsTold() throws {
    let nas = try NASStandIn(diskMiB: 128)
    let bench = try NFSBench.make(nas)
    try bench.withSession { _ in }
    #expect(chmod(bench.folder + "/.tierd/tmp", 0o755) == 0)
    try nas.setSquash(.root)
    let error = #expect(throws: TierError.self) {
      try bench.withSession { try bench.stage([bench.upload("a", noise(5))], $0) }
    }
    #expect(error?.code == .targetDenied)
    #expect(error?.message.contains("no_root_squash") == true)
  }

  @Test func aHighClientPortIsToldWhereTheExportWantsALowOne() throws {
    let nas = try NFSBench.shared.get()
    let bench = try NFSBench.make()
    try bench.withSession { _ in }
    let proxy = try RPCProxy(to: nas.address, isPrivileged: false)
    defer { proxy.close() }
    let error = #expect(throws: TierError.self) { try bench.through(proxy, nas).connect() }
    #expect(error?.code == .targetDenied, "\(String(describing: error))")
    // The proxy's client has a low port; without the right to one it is told what it lacks.
    let cause = try #require(error?.cause)
    let server = NFSServer(host: "nas", numericAddress: "192.0.2.1")
    for isPrivileged in [true, false] {
      let told = server.brokenFault(cause, isPrivileged)
      #expect(told.message.contains("CAP_NET_BIND_SERVICE") == !isPrivileged)
    }
  }

  // MARK: The wrong place

  @Test func aWrongExportIsToldWithTheRightOnes() throws {
    let nas = try NFSBench.shared.get()
    let bench = try NFSBench.make { $0.export = "/volume1/tire" }
    let error = #expect(throws: TierError.self) { try bench.target.connect() }
    #expect(error?.message.contains("/volume1/tier, /volume1/squash") == true, "\(String(describing: error))")
    #expect(error?.path == "nfs://\(nas.address)/volume1/tire/\(bench.folder.split(separator: "/").last!)")
  }

  @Test func aHostOrPortThatIsNotThereIsTold() throws {
    let nobody = try NFSBench.make { $0.host = "no-such-host.invalid" }
    var error = #expect(throws: TierError.self) { try nobody.target.connect() }
    #expect(error?.code == .targetUnreachable && error?.message.contains("can't be resolved") == true)
    let closed = try NFSBench.make { $0.port = 2050 }
    error = #expect(throws: TierError.self) { try closed.target.connect() }
    #expect(
      error?.code == .targetUnreachable && error?.message.contains("nothing listens") == true,
      "\(String(describing: error))")
    let portmapped = try NFSBench.make { $0.port = 0 }
    try portmapped.withSession { _ in }
  }
}
