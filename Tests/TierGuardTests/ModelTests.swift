import Testing
import TierCore
import TierGuard
import TierTestSupport

@Suite struct VerdictTests {
  @Test(
    arguments: [
      (.unmarked, .allowAndIgnore),
      (.marked(.resident), .allowAndIgnore), (.marked(.archived), .allowAndIgnore),
      (.marked(.releasing), .hold), (.marked(.released), .hold), (.marked(.restoring), .hold),
      (.unreadable, .deny(.inputOutput)),
    ] as [(GuardedContent, OpeningVerdict)]) func appsGetContentOrWait(
      _ content: GuardedContent, _ verdict: OpeningVerdict
    )
  {
    #expect(OpeningVerdict.on(content, by: .app) == verdict)
    // Without an ignore mark: it would count for apps too.
    #expect(OpeningVerdict.on(content, by: .tierd) == .allow)
    #expect(OpeningVerdict.onAllowed(content) == (verdict == .allowAndIgnore ? .allow : .deny(.inputOutput)))
  }

  @Test func everyErrnoHasANearestOne() {
    for errno in Int32(1)...200 {
      let nearest = GuardErrno(nearest: errno)
      #expect(GuardErrno.allCases.contains(nearest))
      if let same = GuardErrno(rawValue: errno) { #expect(nearest == same) }
    }
    #expect(GuardErrno(nearest: 110) == .tryAgain)
    #expect(GuardErrno(nearest: 2) == .inputOutput)
  }
}

@Suite struct HeldRequestTests {
  private let bounds = GuardBounds(patience: .seconds(100), absence: .seconds(10))

  private func request(_ token: UInt64, since: Int = 0) -> GuardRequest {
    GuardRequest(
      token: GuardToken(token), number: Int32(token), pid: 1, access: .open,
      file: FileKey(device: 1, inode: token), since: .seconds(since))
  }

  @Test func eachIsToldOnceInOrderAndAgainToTheNextClient() {
    var held = HeldRequests(limit: 10)
    for token: UInt64 in [1, 2, 3] {
      let isHeld = held.hold(request(token), now: .zero)
      #expect(isHeld)
    }
    let value1 = held.takeUnsent()?.token
    #expect(value1 == GuardToken(1))
    let second = held.takeUnsent()!
    held.unsend(second.token)
    let value2 = held.takeUnsent()
    #expect(value2 == second)
    let value3 = held.take(GuardToken(3))?.number
    #expect(value3 == 3)
    let value4 = held.takeUnsent()
    #expect(value4 == nil)
    let isHeld13 = held.hold(request(4), now: .zero)
    #expect(isHeld13)
    held.connected(now: .zero, knows: [GuardToken(2)])
    let value5 = held.takeUnsent()?.token
    #expect(value5 == GuardToken(1))
    let value6 = held.takeUnsent()?.token
    #expect(value6 == GuardToken(4))
    let value7 = held.takeUnsent()
    #expect(value7 == nil)
    let value8 = held.take(GuardToken(3))
    #expect(value8 == nil)
  }

  @Test func silenceEndsAWaitAndWorkProlongsItUpToPatience() throws {
    var held = HeldRequests(limit: 10)
    let isHeld14 = held.hold(request(1), now: .zero)
    #expect(isHeld14)
    #expect(held.nextEnd(bounds) == .seconds(10))
    let value9 = held.takeExpired(now: .seconds(9), bounds)
    #expect(value9 == [])
    for second in 1...11 {
      held.stillWorking(GuardToken(1), now: .seconds(second * 9))
      #expect(held.nextEnd(bounds) == min(.seconds(100), .seconds(second * 9 + 10)))
    }
    held.connected(now: .seconds(99))
    let value10 = held.takeExpired(now: .seconds(99), bounds)
    #expect(value10 == [])
    let value11 = held.takeExpired(now: .seconds(100), bounds).map(\.number)
    #expect(value11 == [1])
    #expect(held.count == 0 && held.nextEnd(bounds) == nil)
  }

  @Test func aNewClientGetsTimeToWork() {
    var held = HeldRequests(limit: 10)
    let isHeld15 = held.hold(request(1), now: .zero)
    #expect(isHeld15)
    held.connected(now: .seconds(8))
    #expect(held.nextEnd(bounds) == .seconds(18))
  }

  @Test func thereIsALimit() {
    var held = HeldRequests(limit: 2)
    let isHeld16 = held.hold(request(1), now: .zero)
    #expect(isHeld16)
    let isHeld17 = held.hold(request(1), now: .zero)
    #expect(!isHeld17)
    let isHeld18 = held.hold(request(2), now: .zero)
    #expect(isHeld18)
    let isHeld19 = held.hold(request(3), now: .zero)
    #expect(!isHeld19)
    let value12 = held.takeAll().count
    #expect(value12 == 2)
  }
}

@Suite struct WireTests {
  private static let request = GuardRequest(
    token: GuardToken(.max), number: 17, pid: 4711, access: .range,
    file: FileKey(device: .max, inode: 1 << 60),
    offset: -1, count: .max, since: .nanoseconds(123_456_789))
  private static let terms = GuardTerms(
    identity: .user, isShared: true, bounds: GuardBounds(patience: .seconds(7), absence: .milliseconds(5)))
  private static let fromClient: [ClientMessage] = [
    .protect(terms, group: nil), .protect(terms, group: GroupID(9)), .giveBack(request), .resume,
    .answer(GuardToken(1), .allow), .stillWorking(GuardToken(2)), .stubbing(.max), .unprotect,
  ]
  private static let fromGuard: [GuardMessage] =
    [
      .protected(GuardMode(reach: .contents, answersErrno: true, ignoresResident: false), group: GroupID(1)),
      .request(request), .settled(GuardToken(3)), .ready(4, errno: 5), .unprotected,
    ] + GuardRefusal.Reason.allCases.map { .refused(GuardRefusal($0, errno: 22)) }

  @Test func messagesReadBack() throws {
    let answers = GuardErrno.allCases.map { ClientMessage.answer(GuardToken(1), .deny($0)) }
    for message in Self.fromClient + answers { #expect(try ClientMessage(message.encoded) == message) }
    for message in Self.fromGuard { #expect(try GuardMessage(message.encoded) == message) }
    let sizes = Self.fromClient.map(\.encoded.count) + Self.fromGuard.map(\.encoded.count)
    #expect(sizes.max()! <= GuardWire.packetBytesMax)
  }

  /// As it is on the wire: another version of either side must read the same.
  @Test func theBytesAreFixed() {
    #expect(ClientMessage.stillWorking(GuardToken(0x0102)).encoded == [1, 5, 2, 1, 0, 0, 0, 0, 0, 0])
    #expect(
      ClientMessage.answer(GuardToken(1), .deny(.noSpace)).encoded == [
        1, 4, 1, 0, 0, 0, 0, 0, 0, 0, 28, 0, 0, 0,
      ])
  }

  @Test func nothingElseIsRead() {
    for message in Self.fromClient {
      let bytes = message.encoded
      for length in 0..<bytes.count { refuses(Array(bytes[..<length])) }
      refuses(bytes + [0])
      refuses([2] + bytes.dropFirst())
      #expect(throws: GuardWire.Unreadable.self) { try GuardMessage(bytes) }
    }
    refuses(ClientMessage.answer(GuardToken(1), .allow).encoded.dropLast(4) + [2, 0, 0, 0])
    var random = SplitMix(state: 5)
    for _ in 0..<20_000 {
      var bytes = (0..<Int.random(in: 0...80, using: &random)).map { _ in
        UInt8.random(in: 0...255, using: &random)
      }
      if bytes.count > 1 { (bytes[0], bytes[1]) = (1, .random(in: 0...10, using: &random)) }
      // Either refused, or a message that is written just so.
      if let message = try? ClientMessage(bytes) { #expect(message.encoded == bytes) }
    }
  }

  private func refuses(_ bytes: [UInt8]) {
    #expect(throws: GuardWire.Unreadable.self, "\(bytes)") { try ClientMessage(bytes) }
  }
}
