import Glibc
import Synchronization
import TierCore
import TierLinux

/// The machinery of `GuardConnection`: a thread that connects, hands over, sends and receives, and begins again when
/// the guard ends.
final class GuardClientLink: Sendable {
  /// How long a start may take before `protect` gives up.
  static let startPatience = Duration.seconds(10)
  static let startInterval = Duration.milliseconds(500)
  static let retryInterval = Duration.milliseconds(20)
  static let retryIntervalMax = Duration.seconds(2)

  let starter: GuardStarter
  let root: String
  let terms: GuardTerms
  let log: @Sendable (String) -> Void
  let state = Mutex(GuardClientState())
  let wakeup: Wakeup
  let arrivals: Wakeup
  private let thread = Mutex<OwnedThread?>(nil)
  let clock = SystemClock()

  init(
    _ starter: GuardStarter, root: String, terms: GuardTerms, log: @escaping @Sendable (String) -> Void
  ) throws(SyscallError) {
    self.starter = starter
    self.root = root
    self.terms = terms
    self.log = log
    wakeup = try Wakeup()
    arrivals = try Wakeup()
  }

  // MARK: Calls

  func protect() throws(TierError) -> GuardMode {
    let reply = try adapted { () throws(SyscallError) in try ProtectReply() }
    state.withLock { state in
      state.protecting.append(reply)
      state.mustReconnect = true
    }
    thread.withLock { thread in
      if thread == nil { thread = OwnedThread(name: "guard client") { [self] in run() } }
    }
    wakeup.signal()
    _ = reply.arrived.wait(atMost: Self.startPatience + Self.replyPatience)
    guard let result = reply.result.withLock({ $0 }) else {
      throw TierError(
        .volumeUnavailable, "the guard doesn't answer: is tier-guard stopped? See its log",
        path: starter.socket,
        disposition: .retry)
    }
    return try result.get()
  }

  func next(atMost timeout: Duration?) -> WaitingOpener? {
    let end = timeout.map { clock.monotonic + $0 }
    while true {
      if let opener = state.withLock({ $0.takeUnseen() }) { return opener }
      let left = end.map { max(.zero, $0 - clock.monotonic) }
      if left == .zero || state.withLock(\.isClosed) { return nil }
      _ = arrivals.wait(atMost: left)
    }
  }

  func answer(_ token: GuardToken, _ answer: GuardAnswer) {
    let isWaiting = state.withLock { state in
      guard state.held[token] != nil else { return false }
      state.held[token]?.answer = answer
      return true
    }
    if isWaiting { say(.answer(token, answer)) }
  }

  /// Lost with the connection, but for what is repeated on the next one.
  func say(_ message: ClientMessage, _ file: Descriptor? = nil) {
    state.withLock { state in
      if state.isConnected { state.outgoing.append((message, file)) }
    }
    wakeup.signal()
  }

  func stubbing(_ file: Int32) throws(TierError) {
    let reply = try adapted { () throws(SyscallError) in
      // A copy: it may be sent again to the next guard. It doesn't disturb a lease.
      try GuardReply(try Descriptor(duplicating: file))
    }
    let id = state.withLock { state in
      if state.isStoodInFor { reply.give(EAGAIN) }
      state.lastStubbing += 1
      state.stubbings[state.lastStubbing] = reply
      return state.lastStubbing
    }
    defer { state.withLock { $0.stubbings[id] = nil } }
    say(.stubbing(id), reply.file)
    try wait(for: reply, "the guard can't be made to ask about the file again: it keeps its content")
  }

  func unprotect() throws(TierError) {
    let reply = try adapted { () throws(SyscallError) in try GuardReply(nil) }
    state.withLock { state in
      if state.isStoodInFor { reply.give(EAGAIN) }
      state.unprotecting = reply
    }
    say(.unprotect)
    try wait(for: reply, "the guard didn't let go of the file system")
    close()
  }

  func close() {
    state.withLock { state in
      state.isClosed = true
      state.giveUp(ECANCELED)
    }
    wakeup.signal()
    arrivals.signal()
    thread.withLock { $0?.join() }
    state.withLock { $0 = GuardClientState(isClosed: true) }
  }

  private static let replyPatience = Duration.seconds(15)

  private func wait(for reply: GuardReply, _ message: String) throws(TierError) {
    // A guard that hangs must not keep the caller, who holds what others wait for.
    _ = reply.arrived.wait(atMost: Self.replyPatience)
    let errno = reply.errno.withLock { $0 ?? ETIMEDOUT }
    guard errno == 0 else {
      throw TierError(.fileSystem, message, path: root, cause: errnoText(errno), disposition: .retry)
    }
  }

  private func adapted<Value>(_ body: () throws(SyscallError) -> Value) throws(TierError) -> Value {
    do throws(SyscallError) { return try body() } catch { throw TierError(error) }
  }
}
