import CTierLinux
import Glibc
import Testing
import TierCore
import TierGuard
import TierGuardSupport
import TierLinux
import TierTestSupport

/// What the guard is sent that no client of ours sends, and what it refuses to do.
@Suite(
  .serialized, .timeLimit(.minutes(2)),
  .enabled(if: GuardBench.Kind.ext4.isAvailable, "root with loop devices"))
struct HostileTests {
  private static let terms = GuardTerms(isShared: false)

  /// True once the guard has closed the connection.
  private func isClosed(by bench: GuardBench, _ packets: [([UInt8], [Int32])]) throws -> Bool {
    let number = tier_connect_packets(bench.socket)
    try #require(number >= 0)
    let socket = Descriptor(owning: number)
    for (bytes, files) in packets {
      _ = tier_send_packet(number, bytes, bytes.count, files, UInt32(files.count))
    }
    try eventually("the end") {
      var bytes = [UInt8](repeating: 0, count: 256)
      var files: [Int32] = [0, 0]
      var count: UInt32 = 2
      let size = tier_receive_packet(socket.raw, &bytes, bytes.count, &files, &count)
      for file in files.prefix(Int(count)) { close(file) }
      return size == 0 || size == -Int(ECONNRESET)
    }
    return true
  }

  @Test func brokenProtocolsAreRefusedAndNothingElseHappens() throws {
    let bench = try GuardBench(.ext4)
    try Placeholder.make(bench.path("cat"), size: 20_000)
    let (_, recaller) = try bench.protect(.wait)
    let app = App(reading: bench.path("cat"))
    try eventually("the request") { recaller.requests.count == 1 }
    let token = recaller.requests[0].token
    let root = try Placeholder.open(bench.path, O_RDONLY)
    let other = try Placeholder.open(bench.directory.path, O_RDONLY)
    let protect = ClientMessage.protect(Self.terms, group: nil).encoded
    let adopt = ClientMessage.protect(Self.terms, group: GroupID(7)).encoded
    var request = recaller.requests[0]
    request.number = .max
    let cases: [[([UInt8], [Int32])]] = [
      [([UInt8](repeating: 255, count: 4096), [])],
      [([], []), ([1], [])],
      [([9, 9, 9], [])],
      // Not before it has said what it is about.
      [(ClientMessage.answer(token, .allow).encoded, [])],
      [(ClientMessage.unprotect.encoded, [])],
      [(ClientMessage.resume.encoded, [])],
      [(protect, [])],
      [(protect, [root.raw, other.raw])],
      [(protect, [root.raw]), (protect, [root.raw])],
      [(protect, [root.raw]), (ClientMessage.giveBack(request).encoded, [])],
      // No fanotify group; and numbers that no guard has.
      [(adopt, [root.raw, other.raw])],
    ]
    for packets in cases { #expect(try isClosed(by: bench, packets)) }
    #expect(app.isBlocked)
    recaller.behave(.restore)
    #expect(try app.result().output == Placeholder.content(of: "cat", size: 20_000))
  }

  @Test func onlyOneGuardServesASocket() throws {
    let bench = try GuardBench(.ext4)
    _ = try bench.protect(.wait)
    let second = try App(GuardBench.program("tier-guard"), [bench.socket]).result()
    #expect(second.ending == .exited(75) && second.errorText.contains("another tier-guard"))
  }

  @Test(
    arguments: [
      (["--help"], 0, "usage: tier-guard"), (["--version"], 0, "tier-guard "), (["--frob"], 64, "--frob"),
      (["a", "b"], 64, "--help"), (["/dev/null/x/guard.sock"], 1, "/dev/null"),
      (["/tmp/" + String(repeating: "x", count: 120)], 78, "107"),
    ] as [([String], Int32, String)])
  func theCommandLine(_ arguments: [String], _ status: Int32, _ text: String) throws {
    let result = try App(GuardBench.program("tier-guard"), arguments).result()
    #expect(result.ending == .exited(status))
    #expect((result.errorText + String(decoding: result.output, as: UTF8.self)).contains(text))
  }

  @Test func helpAndManualAgree() throws {
    let help = String(
      decoding: try App(GuardBench.program("tier-guard"), ["--help"]).result().output, as: UTF8.self)
    let root = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3)
    let page = try SmallFile.read(root.joined(separator: "/") + "/docs/man/tier-guard.8", limit: 1 << 16)
    let manual = String(decoding: page, as: UTF8.self).replacing("\\-", with: "-")
    let codes = "0 done, 1 failed, 64 usage, 75 another guard serves the socket, 78 bad configuration"
    for text in [GuardServer.defaultSocket, codes] {
      #expect(help.contains(text) && manual.contains(text), "\(text)")
    }
  }

  @Test func theFileSystemOfTheGuardItselfIsRefused() throws {
    let bench = try GuardBench(.ext4)
    let connection = try bench.connect(root: "/")
    let error = #expect(throws: TierError.self) { try connection.protect() }
    #expect(error?.message.contains("tier-guard's own program") == true)
    // The connection can be tried again.
    #expect(throws: TierError.self) { try connection.protect() }
  }

  @Test func unprotectingLetsOpensPassUnasked() throws {
    let bench = try GuardBench(.ext4)
    try Placeholder.make(bench.path("cat"), size: 20_000)
    let (connection, recaller) = try bench.protect(.wait)
    let waiting = App(reading: bench.path("cat"))
    try eventually("the request") { recaller.requests.count == 1 }
    try connection.unprotect()
    let refused = try waiting.result()
    #expect(!refused.succeeded && refused.output == [])
    // By then no placeholder is left, says the client.
    #expect(try App(reading: bench.path("cat")).result().succeeded)
  }

  @Test func withoutAGuardProtectFailsAndSaysHowToMendIt() throws {
    let bench = try GuardBench(.ext4)
    let connection = try GuardConnection(
      socket: bench.socket, program: "/nonexistent/tier-guard", root: bench.path, terms: Self.terms)
    #expect(throws: TierError.self) { try connection.protect() }
    connection.close()
  }
}
