import CTierLinux
import Glibc
import Synchronization
import TierCore
import TierLinux

/// Reads a guard's group while no guard can be started: files that are there open, everybody else is refused. Nobody is
/// held, so a guard that comes finds nothing to take over.
final class GuardStandIn: Sendable {
  private let group: PermissionGroup
  private let identity: String
  private let stop: Wakeup
  private let isStopping = Atomic(false)
  private let thread = Mutex<OwnedThread?>(nil)

  /// `descriptor`: of the group, which stays the caller's. No guard that has it may be left.
  init(_ descriptor: Descriptor, root: String, _ terms: GuardTerms) throws(GuardRefusal) {
    let number = tier_open(root, O_RDONLY | tier_O_DIRECTORY, 0)
    guard number >= 0 else { throw GuardRefusal(.failed, errno: -number) }
    let directory = Descriptor(owning: number)
    do throws(SyscallError) {
      stop = try Wakeup()
      let copy = try Descriptor(duplicating: descriptor.raw)
      group = try Self.adopted(copy, directory, terms)
    } catch {
      throw GuardRefusal(.failed, errno: error.errno)
    }
    identity = terms.identity.attribute
  }

  private static func adopted(
    _ descriptor: Descriptor, _ root: Descriptor, _ terms: GuardTerms
  ) throws(SyscallError) -> PermissionGroup {
    do throws(GuardRefusal) {
      return try PermissionGroup(guarding: root.raw, terms, adopting: descriptor)
    } catch {
      throw SyscallError(call: "fanotify_mark", path: "", errno: error.errno)
    }
  }

  /// `held`: those that the last guard had told of. Whose content has come since is let through.
  func begin(_ held: [WaitingOpener]) {
    let value = GuardedContent.attributeRoom()
    defer { value.deallocate() }
    for opener in held {
      let content = GuardedContent(of: opener.file.raw, identity, value)
      group.answer(opener.request.number, OpeningVerdict.onAllowed(content))
    }
    // What it had told nobody of. From here on no number means anybody but whom this process reads.
    for number in 0..<GuardSurroundings.descriptorsMax { group.answer(number, .deny(.tryAgain)) }
    thread.withLock { $0 = OwnedThread(name: "guard stand-in") { [self] in run() } }
  }

  /// Nothing that was read is left unanswered at the return; what wasn't waits for the next guard. Waits for the end of
  /// a lease, where the kernel is just opening a file for this process.
  func end() {
    isStopping.store(true, ordering: .relaxed)
    stop.signal()
    thread.withLock { $0?.join() }
    group.descriptor.close()
  }

  /// Writes no log and opens nothing: it could be asked about that itself.
  private func run() {
    let events = UnsafeMutablePointer<PermissionGroup.Event>.allocate(capacity: 2)
    let value = GuardedContent.attributeRoom()
    defer {
      events.deallocate()
      value.deallocate()
    }
    while !isStopping.load(ordering: .relaxed) {
      let count = group.read(into: events)
      switch count {
      case 0...: for index in 0..<Int(count) { decide(events[index], value) }
      case -EAGAIN: wait()
      case -EBADF, -EINVAL, -EPROTO: return
      // The kernel couldn't open the file for us, and has refused its opener itself.
      default: break
      }
    }
  }

  private func wait() {
    var polls = [
      pollfd(fd: group.descriptor.raw, events: Int16(POLLIN), revents: 0),
      pollfd(fd: stop.descriptor, events: Int16(POLLIN), revents: 0),
    ]
    _ = tier_poll(&polls, 2, -1)
  }

  private func decide(_ event: PermissionGroup.Event, _ value: UnsafeMutableRawBufferPointer) {
    guard event.file >= 0 else { return }
    let asker: GuardedAsker = event.pid == getpid() ? .tierd : .app
    let content = asker == .tierd ? .unmarked : GuardedContent(of: event.file, identity, value)
    switch OpeningVerdict.on(content, by: asker) {
    case .allow: group.answer(event.file, .allow)
    case .allowAndIgnore:
      group.ignore(event.file)
      group.answer(event.file, .allow)
    case .hold: group.answer(event.file, .deny(.inputOutput))
    case .deny(let errno): group.answer(event.file, .deny(errno))
    }
    _ = tier_close(event.file)
  }
}
