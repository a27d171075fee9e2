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
  let surroundings: GuardSurroundings
  let identity: String
  let decisions = DecisionLock()
  let state: Mutex<State>
  /// Somebody waits now, or the bounds changed.
  let boundsChanged: Wakeup
  let stop: Wakeup
  let threads = Mutex<[OwnedThread]>([])

  struct State {
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
    identity = terms.identity.attribute
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
    let value = GuardedContent.attributeRoom()
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
      let content = asker == .tierd ? .unmarked : GuardedContent(of: event.file, identity, value)
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
        "\(OpenedFile.path(event.file)): refused pid \(event.pid): its identity attribute can't be read; see tierctl why"
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
      let path = OpenedFile.path(event.file)
      surroundings.log.write("\(path): refused pid \(event.pid): too many wait already")
      return finish(event.file, .deny(.tryAgain))
    }
    if isFirst { boundsChanged.signal() }
    link?.wake()
  }
}
