import CTierLinux
import Glibc
import Synchronization
import TierCore
import TierLinux

// MARK: The thread: finding a guard, and doing without

extension GuardClientLink {
  func run() {
    var wasGuarded = false
    var outage = GuardOutage()
    var pause = Self.retryInterval
    defer { outage.standIn?.end() }
    while !state.withLock(\.isClosed) {
      do throws(TierError) {
        let socket = try connect(&outage)
        endStandIn(&outage)
        let mode = try handOver(socket)
        if let since = outage.since {
          log("\(root): guarded again, after \((clock.monotonic - since).components.seconds) s")
        }
        (outage.since, pause, wasGuarded) = (nil, Self.retryInterval, true)
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
      if outage.since == nil {
        outage.since = clock.monotonic
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

  private func connect(_ outage: inout GuardOutage) throws(TierError) -> PacketSocket {
    let begun = clock.monotonic
    let end = begun + Self.startPatience
    var lastStart: Duration?
    while true {
      standInIfDue(&outage)
      do throws(SyscallError) {
        if let socket = try starter.connect() {
          outage.met(socket)
          return socket
        }
        // Again, because one that was just started can die too; one too many ends by itself.
        let mayStart = lastStart.map { clock.monotonic - $0 >= Self.startInterval } ?? true
        if mayStart, clock.monotonic - begun >= starter.patience {
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

  /// Nobody waits without a bound because no guard can be started.
  private func standInIfDue(_ outage: inout GuardOutage) {
    guard outage.isDue(now: clock.monotonic, after: terms.bounds.absence),
      let group = state.withLock({ $0.group })
    else { return }
    do throws(GuardRefusal) {
      let standIn = try GuardStandIn(group.descriptor, root: root, terms)
      let held = state.withLock { state in
        defer { (state.held, state.unseen) = ([:], []) }
        state.isStoodInFor = true
        state.giveUp(EAGAIN)
        return state.held.values.map(\.opener)
      }
      standIn.begin(held)
      outage.standIn = standIn
      log(
        "\(root): no guard could be started for \(terms.bounds.absence.components.seconds) s: \(held.count) openers were "
          + "refused (EIO), and whoever opens a released file is, until there is one; other files open")
    } catch {
      // Tried again with the next connection.
      log("\(root): no guard, and tierd can't stand in for it: \(refused(error))")
    }
  }

  private func endStandIn(_ outage: inout GuardOutage) {
    outage.standIn?.end()
    outage.standIn = nil
    state.withLock { $0.isStoodInFor = false }
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
  private func connected(_ id: GroupID, _ group: Descriptor, _ held: [GuardClientState.Held]) {
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
