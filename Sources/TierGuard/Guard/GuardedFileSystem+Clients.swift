import Synchronization
import TierCore
import TierLinux

// MARK: What a client wants

extension GuardedFileSystem {
  /// Before `start`: one that a guard which has ended had told its client of.
  func inherit(_ request: GuardRequest, _ file: Descriptor) throws(SyscallError) {
    let isNew = state.withLock { $0.held.hold(request, now: surroundings.clock.monotonic) }
    if isNew { try surroundings.numbers.inherit(EventNumbers.Owner(group: id, number: request.number), file) }
  }

  /// Who of these still waits.
  func waiting(_ tokens: Set<GuardToken>) -> Set<GuardToken> {
    state.withLock { tokens.intersection($0.held.all.map(\.token)) }
  }

  /// From now on `link` is told who waits, but for those it brought itself. Gives the one that it replaces.
  func connect(_ link: GuardLink, _ bounds: GuardBounds, knows known: Set<GuardToken>) -> GuardLink? {
    defer { boundsChanged.signal() }
    return state.withLock { state in
      defer { state.link = link }
      state.bounds = bounds
      state.held.connected(now: surroundings.clock.monotonic, knows: known)
      return state.link === link ? nil : state.link
    }
  }

  func disconnect(_ link: GuardLink) {
    state.withLock { state in
      if state.link === link { state.link = nil }
    }
  }

  /// Tells `link` of one that it wasn't told of. False: nobody is left, or there is no room.
  func tellNext(_ link: GuardLink, _ send: (GuardRequest, Int32) -> PacketSocket.Sent) -> PacketSocket.Sent? {
    // Under the lock, so that the number can't become another file's meanwhile.
    state.withLock { state in
      guard state.link === link, let request = state.held.takeUnsent() else { return nil }
      let owner = EventNumbers.Owner(group: id, number: request.number)
      let sent = send(request, surroundings.numbers.file(owner))
      if sent != .sent { state.held.unsend(request.token) }
      return sent
    }
  }

  func stillWorking(_ token: GuardToken) {
    state.withLock { $0.held.stillWorking(token, now: surroundings.clock.monotonic) }
  }

  func answer(_ token: GuardToken, _ answer: GuardAnswer) {
    guard let request = state.withLock({ $0.held.take(token) }) else { return }
    settle(request, answer == .allow ? confirmed(request) : answer)
  }

  /// A client that is wrong, or hasn't written down what it did, lets nobody read holes.
  private func confirmed(_ request: GuardRequest) -> GuardAnswer {
    let value = GuardedContent.attributeRoom()
    defer { value.deallocate() }
    let file = surroundings.numbers.file(EventNumbers.Owner(group: id, number: request.number))
    let answer = OpeningVerdict.onAllowed(GuardedContent(of: file, identity, value))
    if answer != .allow {
      surroundings.log.write(
        "\(OpenedFile.path(file)): allowed by tierd, but its identity says it has no content: refused")
    }
    return answer
  }

  func settle(_ request: GuardRequest, _ answer: GuardAnswer) {
    group.answer(request.number, answer)
    surroundings.numbers.release(EventNumbers.Owner(group: id, number: request.number))
    state.withLock(\.link)?.send(.settled(request.token))
  }

  /// Whoever opens the file from the return on is asked about, and no decision on what it said before is under way.
  /// 0, or an errno: then it isn't so.
  func stubbing(_ file: Descriptor) -> Int32 {
    decisions.whenNoneIsUnderWay { group.unignore(file.raw) }
  }

  /// There is nothing to guard any more. Who still waits is refused.
  func end(_ root: Int32) {
    group.unmark(root)
    let rest = state.withLock { state in
      state.isStopping = true
      return state.held.takeAll()
    }
    for request in rest { settle(request, .deny(.tryAgain)) }
    stop.signal()
    boundsChanged.signal()
    for thread in threads.withLock({ $0 }) { thread.join() }
    for request in state.withLock({ $0.held.takeAll() }) { settle(request, .deny(.tryAgain)) }
    group.descriptor.close()
  }

  /// Somebody keeps the group alive should this process end.
  var hasClient: Bool { state.withLock { $0.link != nil } }
}

// MARK: Bounds

extension GuardedFileSystem {
  func keepBounds() {
    while true {
      let (expired, next, isStopping) = state.withLock { state in
        let expired = state.held.takeExpired(now: surroundings.clock.monotonic, state.bounds)
        return (expired, state.held.nextEnd(state.bounds), state.isStopping)
      }
      for request in expired { expire(request) }
      if isStopping { return }
      _ = boundsChanged.wait(atMost: next.map { max(.milliseconds(1), $0 - surroundings.clock.monotonic) })
    }
  }

  private func expire(_ request: GuardRequest) {
    let waited = (surroundings.clock.monotonic - request.since).components.seconds
    let file = surroundings.numbers.file(EventNumbers.Owner(group: id, number: request.number))
    surroundings.log.write(
      "\(OpenedFile.path(file)): pid \(request.pid) was refused (EIO) after \(waited) s: "
        + "\(hasClient ? "tierd didn't bring the content in time" : "tierd isn't there"); see tierctl why")
    settle(request, .deny(.inputOutput))
  }
}
