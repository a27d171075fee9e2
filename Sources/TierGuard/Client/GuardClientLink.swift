import CTierLinux
import Glibc
import Synchronization
import TierCore
import TierLinux

/// The machinery of `GuardConnection`: a thread that connects, hands over, sends and receives, and begins again when
/// the guard ends.
final class GuardClientLink: Sendable {
  private struct Held {
    var opener: WaitingOpener
    /// Said already, but not confirmed: a guard that took over is told again.
    var answer: GuardAnswer?
  }

  private struct State {
    var group: (id: GroupID, descriptor: Descriptor)?
    /// Everybody who waits, as far as this side knows.
    var held: [GuardToken: Held] = [:]
    /// Those that `next` hasn't given yet.
    var unseen: [GuardToken] = []
    var outgoing: [(message: ClientMessage, file: Descriptor?)] = []
    var stubbings: [UInt64: Reply] = [:]
    var unprotecting: Reply?
    var protecting: [ProtectReply] = []
    var lastStubbing: UInt64 = 0
    var isConnected = false
    var mustReconnect = false
    var isClosed = false

    mutating func takeUnseen() -> WaitingOpener? {
      while !unseen.isEmpty {
        if let held = held[unseen.removeFirst()] { return held.opener }
      }
      return nil
    }
  }

  /// What a waiting caller gets.
  final class Reply: Sendable {
    let errno = Mutex<Int32?>(nil)
    let arrived: Wakeup
    /// To be sent again to a guard that takes over.
    let file: Descriptor?

    init(_ file: Descriptor?) throws(SyscallError) {
      self.file = file
      arrived = try Wakeup()
    }

    func give(_ number: Int32) {
      errno.withLock { $0 = number }
      arrived.signal()
    }
  }

  final class ProtectReply: Sendable {
    let result = Mutex<Result<GuardMode, TierError>?>(nil)
    let arrived: Wakeup

    init() throws(SyscallError) { arrived = try Wakeup() }

    func give(_ value: Result<GuardMode, TierError>) {
      result.withLock { $0 = value }
      arrived.signal()
    }
  }

  /// How long a start may take before `protect` gives up.
  private static let startPatience = Duration.seconds(10)
  private static let startInterval = Duration.milliseconds(500)
  private static let retryInterval = Duration.milliseconds(20)
  private static let retryIntervalMax = Duration.seconds(2)

  private let starter: GuardStarter
  private let root: String
  private let terms: GuardTerms
  private let log: @Sendable (String) -> Void
  private let state = Mutex(State())
  private let wakeup: Wakeup
  private let arrivals: Wakeup
  private let thread = Mutex<OwnedThread?>(nil)
  private let clock = SystemClock()

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
    _ = reply.arrived.wait(atMost: nil)
    return try reply.result.withLock { $0! }.get()
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
      try Reply(try Descriptor(duplicating: file))
    }
    let id = state.withLock { state in
      state.lastStubbing += 1
      state.stubbings[state.lastStubbing] = reply
      return state.lastStubbing
    }
    defer { state.withLock { $0.stubbings[id] = nil } }
    say(.stubbing(id), reply.file)
    try wait(for: reply, "the guard can't be made to ask about the file again: it keeps its content")
  }

  func unprotect() throws(TierError) {
    let reply = try adapted { () throws(SyscallError) in try Reply(nil) }
    state.withLock { $0.unprotecting = reply }
    say(.unprotect)
    try wait(for: reply, "the guard didn't let go of the file system")
    close()
  }

  func close() {
    state.withLock { state in
      state.isClosed = true
      for reply in state.stubbings.values { reply.give(ECANCELED) }
      state.unprotecting?.give(ECANCELED)
    }
    wakeup.signal()
    arrivals.signal()
    thread.withLock { $0?.join() }
    state.withLock { $0 = State(isClosed: true) }
  }

  private func wait(for reply: Reply, _ message: String) throws(TierError) {
    _ = reply.arrived.wait(atMost: nil)
    let errno = reply.errno.withLock { $0 ?? EIO }
    guard errno == 0 else {
      throw TierError(.fileSystem, message, path: root, cause: errnoText(errno), disposition: .retry)
    }
  }

  private func adapted<Value>(_ body: () throws(SyscallError) -> Value) throws(TierError) -> Value {
    do throws(SyscallError) { return try body() } catch { throw TierError(error) }
  }
}

// MARK: The thread

extension GuardClientLink {
  private func run() {
    var wasGuarded = false
    var lostSince: Duration?
    var pause = Self.retryInterval
    while !state.withLock(\.isClosed) {
      do throws(TierError) {
        let socket = try connect()
        let mode = try handOver(socket)
        if let since = lostSince {
          log(
            "\(root): guarded again, after \((clock.monotonic - since).components.seconds) s; openers waited")
        }
        (lostSince, pause, wasGuarded) = (nil, Self.retryInterval, true)
        give(.success(mode))
        serve(socket)
      } catch {
        give(.failure(error))
        guard wasGuarded else {
          // Nobody waits for a guard that never was: the caller may try again.
          while !state.withLock({ $0.isClosed || !$0.protecting.isEmpty }) { _ = wakeup.wait(atMost: nil) }
          continue
        }
      }
      guard !state.withLock({ $0.isClosed || $0.mustReconnect }) else { continue }
      if lostSince == nil {
        lostSince = clock.monotonic
        log("\(root): the guard ended; openers wait until there is one again")
      }
      _ = wakeup.wait(atMost: pause)
      pause = min(pause * 2, Self.retryIntervalMax)
    }
  }

  private func give(_ result: Result<GuardMode, TierError>) {
    let waiting = state.withLock { state in
      defer { state.protecting = [] }
      return state.protecting
    }
    for reply in waiting { reply.give(result) }
  }

  private func connect() throws(TierError) -> PacketSocket {
    let end = clock.monotonic + Self.startPatience
    var lastStart: Duration?
    while true {
      do throws(SyscallError) {
        if let socket = try starter.connect() { return socket }
        // Again, because one that was just started can die too; one too many ends by itself.
        if lastStart.map({ clock.monotonic - $0 >= Self.startInterval }) ?? true {
          lastStart = clock.monotonic
          try starter.start()
        }
      } catch {
        throw TierError(error)
      }
      guard clock.monotonic < end, !state.withLock(\.isClosed) else {
        throw TierError(
          .unsupported, "no guard listens: start tier-guard (systemctl start tier-guard), see its log",
          path: starter.socket, disposition: .retry)
      }
      _ = wakeup.wait(atMost: Self.retryInterval)
    }
  }

  /// Tells the guard everything that this side knows, and waits for its word.
  private func handOver(_ socket: PacketSocket) throws(TierError) -> GuardMode {
    let number = tier_open(root, O_RDONLY | tier_O_DIRECTORY, 0)
    guard number >= 0 else { throw TierError(SyscallError(call: "open", path: root, errno: -number)) }
    let directory = Descriptor(owning: number)
    let (group, held) = state.withLock { state in
      // Said again below, or kept by nobody.
      state.outgoing = []
      state.isConnected = false
      state.mustReconnect = false
      return (state.group, state.held.values.sorted { $0.opener.request.token < $1.opener.request.token })
    }
    let files = [directory.raw] + (group.map { [$0.descriptor.raw] } ?? [])
    try send(.protect(terms, group: group?.id), files, socket)
    for held in held { try send(.giveBack(held.opener.request), [held.opener.file.raw], socket) }
    try send(.resume, [], socket)
    while true {
      let (message, files) = try receive(socket)
      switch message {
      case .protected(let mode, let id):
        guard let group = files.first else { throw Self.confused(starter.socket) }
        connected(id, group, held)
        return mode
      case .refused(let refusal): throw refused(refusal)
      // Those who wait no more; anything else comes later.
      case .settled(let token): settled(token)
      default: throw Self.confused(starter.socket)
      }
    }
  }

  /// What was said and not confirmed is said again.
  private func connected(_ id: GroupID, _ group: Descriptor, _ held: [Held]) {
    state.withLock { state in
      state.group = (id, group)
      state.isConnected = true
      for (token, held) in state.held {
        if let answer = held.answer { state.outgoing.append((.answer(token, answer), nil)) }
      }
      for (number, reply) in state.stubbings { state.outgoing.append((.stubbing(number), reply.file)) }
      if state.unprotecting != nil { state.outgoing.append((.unprotect, nil)) }
    }
  }

  private func refused(_ refusal: GuardRefusal) -> TierError {
    let cause = refusal.errno == 0 ? nil : errnoText(refusal.errno)
    return TierError(.unsupported, refusal.message, path: root, cause: cause)
  }

  private func send(_ message: ClientMessage, _ files: [Int32], _ socket: PacketSocket) throws(TierError) {
    while true {
      switch socket.send(message.encoded, files) {
      case .sent: return
      case .ended: throw Self.lost(starter.socket)
      case .later: _ = socket.wait(wakeup, toSend: true, atMost: Self.retryInterval)
      }
    }
  }

  private func receive(_ socket: PacketSocket) throws(TierError) -> (GuardMessage, [Descriptor]) {
    while true {
      switch socket.receive() {
      case .packet(let bytes, let files):
        guard let message = try? GuardMessage(bytes) else { throw Self.confused(starter.socket) }
        return (message, files)
      case .ended: throw Self.lost(starter.socket)
      case .unreadable: throw Self.confused(starter.socket)
      case .nothingYet:
        guard !state.withLock(\.isClosed) else { throw Self.lost(starter.socket) }
        _ = socket.wait(wakeup, toSend: false)
      }
    }
  }

  /// Until the connection ends, or is to be made anew.
  private func serve(_ socket: PacketSocket) {
    var hasBacklog = false
    defer { state.withLock { $0.isConnected = false } }
    while !state.withLock({ $0.isClosed || $0.mustReconnect }) {
      switch flush(socket) {
      case .sent: hasBacklog = false
      case .later: hasBacklog = true
      case .ended: return drain(socket)
      }
      if socket.wait(wakeup, toSend: hasBacklog) {
        guard take(socket) else { return }
      }
    }
    // A last answer, before a `close`.
    _ = flush(socket)
  }

  private func flush(_ socket: PacketSocket) -> PacketSocket.Sent {
    while let next = state.withLock({ $0.outgoing.first }) {
      let sent = socket.send(next.message.encoded, next.file.map { [$0.raw] } ?? [])
      guard sent == .sent else { return sent }
      state.withLock { _ = $0.outgoing.removeFirst() }
    }
    return .sent
  }

  /// What a guard that has ended had sent still counts: openers that only this side knows of.
  private func drain(_ socket: PacketSocket) { _ = take(socket) }

  /// False at the end.
  private func take(_ socket: PacketSocket) -> Bool {
    while true {
      switch socket.receive() {
      case .nothingYet: return true
      case .ended, .unreadable: return false
      case .packet(let bytes, let files):
        guard let message = try? GuardMessage(bytes) else { return false }
        switch message {
        case .request(let request):
          guard let file = files.first else { return false }
          arrived(WaitingOpener(request: request, file: file))
        case .settled(let token): settled(token)
        case .ready(let id, let errno): state.withLock { $0.stubbings[id] }?.give(errno)
        case .unprotected: return unprotected()
        case .protected, .refused: return false
        }
      }
    }
  }

  private func arrived(_ opener: WaitingOpener) {
    state.withLock { state in
      let token = opener.request.token
      if state.held[token] == nil { state.unseen.append(token) }
      state.held[token] = Held(opener: opener)
    }
    arrivals.signal()
  }

  private func settled(_ token: GuardToken) { state.withLock { $0.held[token] = nil } }

  private func unprotected() -> Bool {
    state.withLock { state in
      state.group = nil
      state.held = [:]
      state.isClosed = true
      state.unprotecting?.give(0)
      state.unprotecting = nil
    }
    return false
  }

  private static func lost(_ socket: String) -> TierError {
    TierError(.unsupported, "the guard ended while it was talked to", path: socket, disposition: .retry)
  }

  private static func confused(_ socket: String) -> TierError {
    TierError(
      .unsupported,
      "the guard speaks another version: restart tier-guard after an upgrade (nobody is let through)",
      path: socket, disposition: .retry)
  }
}
