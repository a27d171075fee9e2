import Glibc
import Testing
import TierCore
import TierLinux
import TierTestSupport

@testable import TierTargets

/// What is NFS's own; the contract suites hold `nfs` to what every target promises.
@Suite(.enabled(if: NASStandIn.isAvailable, "\(NASStandIn.skipReason)"))
struct NFSTargetTests {
  // MARK: Calls

  @Test func aWindowMakesNoMountCallOnceTheRootHandleIsKnown() throws {
    let nas = try NFSBench.shared.get()
    let bench = try NFSBench.make()
    try bench.withSession { _ in }
    // Behind the proxy there is neither portmapper nor mount service.
    let proxy = try RPCProxy(to: nas.address)
    defer { proxy.close() }
    let session = try bench.through(proxy, nas).connect()
    defer { session.close() }
    #expect(try bench.archive([.init(upload: bench.upload("a", noise(5)))], session).arePublished)
  }

  @Test func aSmallFileTakesFourCallsAndOneToReadItBack() throws {
    let nas = try NFSBench.shared.get()
    let bench = try NFSBench.make()
    try bench.withSession { _ in }
    let proxy = try RPCProxy(to: nas.address)
    defer { proxy.close() }
    let session = try bench.through(proxy, nas).connect()
    defer { session.close() }
    proxy.forgetCalls()
    let orders = try (0..<100).map {
      TargetBench.Order(upload: try bench.upload(RelativePath("d/\($0)")!, noise(16 << 10)))
    }
    #expect(try bench.archive(orders, session).arePublished)
    let calls = proxy.calls
    #expect(
      calls.filter { $0.key != .lookup && $0.key != .mkdir } == [
        .create: 100, .write: 100, .setattr: 100, .read: 100, .rename: 100,
      ])
    // The folders' own: `volume` and `volume/d`.
    #expect(calls[.lookup, default: 0] + calls[.mkdir, default: 0] <= 6, "\(calls)")
  }

  @Test func aSmallFileThatTheServerDoesNotWriteAtOnceIsCommitted() throws {
    let nas = try NFSBench.shared.get()
    let bench = try NFSBench.make()
    try bench.withSession { _ in }
    let proxy = try RPCProxy(to: nas.address) { procedure, _, reply in
      // UNSTABLE instead of FILE_SYNC; the verifier's eight bytes follow.
      if procedure == .write { reply[reply.count - 9] = 0 }
    }
    defer { proxy.close() }
    let session = try bench.through(proxy, nas).connect()
    defer { session.close() }
    proxy.forgetCalls()
    let uploads = try (1...3).map { try bench.upload(RelativePath("f\($0)")!, noise($0)) }
    #expect(try bench.stage(uploads, session).map(\.hash) == (1...3).map { sha256(noise($0)) })
    #expect(proxy.calls[.commit] == 3)
  }

  @Test func aWindowWithoutWorkWritesNothingToTheDisk() throws {
    let nas = try NASStandIn(diskMiB: 256)
    let bench = try NFSBench.make(nas)
    try bench.withSession { _ = try bench.archive([.init(upload: bench.upload("a", noise(5)))], $0) }
    try nas.sync()
    let before = try nas.counters()
    try bench.withSession { _ = try $0.status(of: ["volume/a"]) }
    try nas.sync()
    #expect(try nas.counters().writtenBytes == before.writtenBytes)
  }

  @Test func nothingIsConnectedAfterClose() throws {
    let nas = try NASStandIn(diskMiB: 256)
    let bench = try NFSBench.make(nas)
    let session = try bench.target.connect()
    #expect(try nas.connections() == 1)
    session.close()
    try eventually { try nas.connections() == 0 }
  }

  // MARK: The write verifier

  @Test func aFileWhoseWritesTheServerMayHaveLostGoesOverAgain() throws {
    let nas = try NFSBench.shared.get()
    let bench = try NFSBench.make()
    try bench.withSession { _ in }
    let proxy = try RPCProxy(to: nas.address) { procedure, number, reply in
      if procedure == .commit, number == 3 { reply[reply.count - 1] ^= 1 }
    }
    defer { proxy.close() }
    let session = try bench.through(proxy, nas).connect()
    defer { session.close() }
    // Connecting made a COMMIT of its own.
    proxy.forgetCalls()
    let sizes = [3 << 20, 5 << 20, 4 << 20]
    let uploads = try sizes.map { try bench.upload(RelativePath("f\($0)")!, noise($0)) }
    let outcomes = try bench.stage(uploads, session)
    #expect(outcomes.map(\.hash) == sizes.map { sha256(noise($0)) }, "\(outcomes)")
    #expect(proxy.calls[.commit] == 4)
  }

  @Test func aServerThatKeepsLosingWritesEndsTheSession() throws {
    let nas = try NFSBench.shared.get()
    let bench = try NFSBench.make()
    try bench.withSession { _ in }
    let proxy = try RPCProxy(to: nas.address) { procedure, number, reply in
      if procedure == .commit { reply[reply.count - 1] ^= UInt8(truncatingIfNeeded: number) | 1 }
    }
    defer { proxy.close() }
    let session = try bench.through(proxy, nas).connect()
    defer { session.close() }
    let error = #expect(throws: TierError.self) {
      try bench.stage([bench.upload("a", noise(3 << 20))], session)
    }
    #expect(error?.code == .targetRestarted && error?.disposition == .retry)
  }

  @Test func whatComesBackOtherThanItWasSentIsNotStaged() throws {
    let nas = try NFSBench.shared.get()
    let bench = try NFSBench.make()
    try bench.withSession { _ in }
    let proxy = try RPCProxy(to: nas.address) { procedure, number, reply in
      // The first READ is the format file's.
      if procedure == .read, number == 3 { reply[reply.count - 100] ^= 1 }
    }
    defer { proxy.close() }
    let session = try bench.through(proxy, nas).connect()
    defer { session.close() }
    let outcome = try bench.stage([bench.upload("a", noise(3 << 20))], session)[0]
    #expect(outcome.error?.code == .targetCopyDiffers, "\(outcome)")
    #expect(try session.list(TargetLayout.temporary).isEmpty)
  }

  // MARK: Times

  @Test func timesBeyondNFSAreClampedAndStillKnownAsOurs() throws {
    let bench = try NFSBench.make()
    let times = [FileTime(seconds: -5, nanoseconds: 7), FileTime(seconds: 6_000_000_000, nanoseconds: 7)]
    try bench.withSession { session in
      for (index, time) in times.enumerated() {
        let path = RelativePath("t\(index)")!
        let first = try bench.upload(path, noise(10), modified: time)
        #expect(try bench.archive([.init(upload: first)], session).arePublished)
        let second = try bench.upload(path, noise(11), modified: time)
        let replaced = TargetStatus(size: 10, modified: time)
        #expect(try bench.archive([.init(upload: second, replaces: replaced)], session).arePublished)
        let expected = TargetStatus(size: 11, modified: time)
        let trash = TargetLayout.trash.appending(path)
        #expect(try session.move(second.path, to: trash, expected: expected) == .done)
      }
    }
  }
}
