import CTierLinux
import Glibc
import Synchronization
import TierCore
import TierLinux

/// One guarded file system: its group, those who read its events, and those who wait for content.
///
/// Each file system has a group and threads of its own, because a read from the group opens the file: where a server
/// hangs, or a lease is being broken, its readers wait, and nobody else's.
final class GuardedFileSystem: Sendable {
  let id: GroupID
  let device: UInt64
  /// For the log.
  let name: String
  let group: PermissionGroup
  private let surroundings: GuardSurroundings
  private let identity: String
  private let decisions = DecisionLock()
  private let state: Mutex<State>
  /// Somebody waits now, or the bounds changed.
  private let boundsChanged: Wakeup
  private let stop: Wakeup
  private let threads = Mutex<[OwnedThread]>([])

  private struct State {
    var held: HeldRequests
    var bounds: GuardBounds
    /// Whoever answers. The newest client replaces the one before.
    var link: GuardLink?
    var isStopping = false
  }

  /// How many openers of leased or unreachable files may be waited for before others wait with them.
  private static let readerCount = 8

  init(
    id: GroupID, device: UInt64, name: String, group: PermissionGroup, terms: GuardTerms,
    _ surroundings: GuardSurroundings
  ) throws(SyscallError) {
    self.id = id
    self.device = device
    self.name = name
    self.group = group
    self.surroundings = surroundings
    identity = terms.identity == .trusted ? AttributeNames.identity : AttributeNames.unprivilegedIdentity
    state = Mutex(State(held: HeldRequests(limit: surroundings.heldMax), bounds: terms.bounds))
    boundsChanged = try Wakeup(lowest: surroundings.numbers.ownLowest)
    stop = try Wakeup(lowest: surroundings.numbers.ownLowest)
  }
}

// MARK: Events

extension GuardedFileSystem {
  /// Begins to answer. `inherited`: the group had another process's reader before.
  func start(inherited: Bool) throws(SyscallError) {
    if inherited { refuseUnknown() }
    var sets: [Descriptor] = []
    for _ in 0..<Self.readerCount { sets.append(try waitingSet()) }
    threads.withLock { threads in
      for set in sets {
        threads.append(
          OwnedThread(name: "guard reader", stackBytes: 256 << 10) { [self] in readEvents(set) })
      }
      threads.append(OwnedThread(name: "guard bounds", stackBytes: 256 << 10) { [self] in keepBounds() })
    }
  }

  /// What the reader before had taken and told nobody of: it can't be known any more which files those were, so they
  /// fail. Numbers that nobody waits under cost a failed call each, once.
  private func refuseUnknown() {
    // An inherited number that a passing descriptor has yet: it is gone in a moment. One that never gets free (the
    // guard before had a higher limit) could be a new event's later, so its opener is refused.
    let end = surroundings.clock.monotonic + .seconds(2)
    while !surroundings.numbers.settle(), surroundings.clock.monotonic < end {
      _ = stop.wait(atMost: .milliseconds(1))
    }
    for request in state.withLock({ $0.held.all }) {
      let owner = EventNumbers.Owner(group: id, number: request.number)
      guard surroundings.numbers.isUnsafe(owner) else { continue }
      if let request = state.withLock({ $0.held.take(request.token) }) { settle(request, .deny(.tryAgain)) }
    }
    let known = state.withLock { Set($0.held.all.map(\.number)) }
    var refused = 0
    for number in 0..<GuardSurroundings.descriptorsMax where !known.contains(number) {
      if group.answer(number, .deny(.tryAgain)) { refused += 1 }
    }
    surroundings.log.write(
      "\(name): took over from a guard that ended: \(known.count) wait on, \(refused) were refused (EAGAIN)")
  }

  private func waitingSet() throws(SyscallError) -> Descriptor {
    let number = tier_epoll()
    guard number >= 0 else { throw SyscallError(call: "epoll_create1", path: "", errno: -number) }
    let set = try Descriptor(owning: number).raised(to: surroundings.numbers.ownLowest)
    for (descriptor, exclusive) in [(group.descriptor.raw, 1), (stop.descriptor, 0)] as [(Int32, Int32)] {
      let result = tier_epoll_add(set.raw, descriptor, exclusive)
      guard result == 0 else { throw SyscallError(call: "epoll_ctl", path: "", errno: -result) }
    }
    return set
  }

  private func readEvents(_ set: Descriptor) {
    let events = UnsafeMutablePointer<PermissionGroup.Event>.allocate(capacity: 2)
    let value = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 8)
    defer {
      events.deallocate()
      value.deallocate()
    }
    while true {
      let count = group.read(into: events)
      switch count {
      case 0...: for index in 0..<Int(count) { decide(events[index], value) }
      case -EAGAIN:
        // Everything that was asked before the end is answered.
        if state.withLock(\.isStopping) { return }
        _ = tier_epoll_wait(set.raw)
      case -EBADF, -EINVAL, -EPROTO:
        // Nothing more would be answered: end, so that another guard is started. Who waits goes on waiting.
        surroundings.log.write("\(name): events can't be read: \(errnoText(-count)); giving up")
        surroundings.log.flush()
        exit(1)
      default:
        // The kernel couldn't open the file for us, and has refused its opener itself.
        surroundings.log.write("\(name): an open was refused, because the guard got \(errnoText(-count))")
      }
    }
  }

  private func decide(_ event: PermissionGroup.Event, _ value: UnsafeMutableRawBufferPointer) {
    guard event.file >= 0 else { return }
    let verdict = decisions.deciding {
      let asker: GuardedAsker = surroundings.clients.contains(event.pid) ? .tierd : .app
      // Its own content is nothing tierd waits for, so it isn't even looked at.
      let content = asker == .tierd ? .unmarked : self.content(of: event.file, value)
      let verdict = OpeningVerdict.on(content, by: asker)
      // Before the answer, so that what the opener does next isn't asked about any more.
      if verdict == .allowAndIgnore { group.ignore(event.file) }
      return verdict
    }
    switch verdict {
    case .allow, .allowAndIgnore: finish(event.file, .allow)
    case .hold: hold(event)
    case .deny(let errno):
      surroundings.log.write(
        "\(path(of: event.file)): refused pid \(event.pid): its identity attribute can't be read; see tierctl why"
      )
      finish(event.file, .deny(errno))
    }
  }

  private func finish(_ number: Int32, _ answer: GuardAnswer) {
    group.answer(number, answer)
    surroundings.numbers.release(EventNumbers.Owner(group: id, number: number))
  }

  private func hold(_ event: PermissionGroup.Event) {
    var status = tier_status()
    let request = GuardRequest(
      token: surroundings.nextToken(), number: event.file, pid: event.pid,
      access: GuardedAccess(event.events),
      file: tier_statx(event.file, "", &status) == 0
        ? FileKey(device: status.device, inode: status.inode) : FileKey(device: 0, inode: 0),
      offset: event.offset, count: event.count, since: surroundings.clock.monotonic)
    surroundings.numbers.hold(event.file)
    let (isHeld, isFirst, link) = state.withLock { state in
      let isHeld =
        event.file < surroundings.numbers.ownLowest && state.held.hold(request, now: request.since)
      return (isHeld, state.held.count == 1, state.link)
    }
    guard isHeld else {
      surroundings.log.write("\(path(of: event.file)): refused pid \(event.pid): too many wait already")
      return finish(event.file, .deny(.tryAgain))
    }
    if isFirst { boundsChanged.signal() }
    link?.wake()
  }

  private func content(of file: Int32, _ value: UnsafeMutableRawBufferPointer) -> GuardedContent {
    let length = tier_get_attribute(file, identity, value.baseAddress, value.count)
    switch length {
    case -Int(ENODATA), -Int(EOPNOTSUPP): return .unmarked
    case ..<0: return .unreadable
    default: break
    }
    let state = IdentityState.peek(UnsafeRawBufferPointer(rebasing: value[..<length]))
    guard let state else { return .unreadable }
    guard state.withholdsContent else { return .marked(state) }
    var status = tier_status()
    let isFile = tier_statx(file, "", &status) != 0 || status.mode & UInt32(S_IFMT) == UInt32(S_IFREG)
    return isFile ? .marked(state) : .unmarked
  }

  /// As it is seen by whoever opened it.
  private func path(of file: Int32) -> String {
    var text = [UInt8](repeating: 0, count: Int(PATH_MAX))
    let length = text.withUnsafeMutableBytes { buffer in
      tier_read_link(AT_FDCWD, "/proc/self/fd/\(file)", buffer.baseAddress, buffer.count)
    }
    return EscapedText.encode(Array(text.prefix(max(0, length))))
  }
}

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
    let value = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 8)
    defer { value.deallocate() }
    let file = surroundings.numbers.file(EventNumbers.Owner(group: id, number: request.number))
    let answer = OpeningVerdict.onAllowed(content(of: file, value))
    if answer != .allow {
      surroundings.log.write(
        "\(path(of: file)): allowed by tierd, but its identity says it has no content: refused")
    }
    return answer
  }

  private func settle(_ request: GuardRequest, _ answer: GuardAnswer) {
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
  private func keepBounds() {
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
      "\(path(of: file)): pid \(request.pid) was refused (EIO) after \(waited) s: "
        + "\(hasClient ? "tierd didn't bring the content in time" : "tierd isn't there"); see tierctl why")
    settle(request, .deny(.inputOutput))
  }
}
