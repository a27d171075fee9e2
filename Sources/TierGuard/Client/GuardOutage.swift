import CTierLinux
import Glibc
import TierCore
import TierLinux

/// How long there has been no guard, and whether this process may read the group itself. Belongs to the client's
/// thread.
///
/// Two processes that read one group could give an opener's number to another's, and a number is all that an answer
/// names. So every guard that was ever given the group must have ended.
struct GuardOutage {
  /// Nil: there is one.
  var since: Duration?
  var standIn: GuardStandIn?
  /// Readable once the process has ended.
  private var guards: [(pid: Int32, process: Descriptor)] = []
  private var hasUnknown = false

  /// Before it is given anything.
  mutating func met(_ socket: PacketSocket) {
    guards.removeAll { Self.hasEnded($0.process) }
    var (pid, user) = (Int32(0), UInt32(0))
    guard tier_peer(socket.descriptor.raw, &pid, &user) == 0, pid > 0 else {
      // In another process name space: its end can't be seen.
      hasUnknown = true
      return
    }
    guard !guards.contains(where: { $0.pid == pid }) else { return }
    let number = tier_pidfd(pid)
    if number >= 0 {
      guards.append((pid, Descriptor(owning: number)))
    } else if number != -ESRCH {
      hasUnknown = true
    }
  }

  func isDue(now: Duration, after absence: Duration) -> Bool {
    guard let since, standIn == nil, !hasUnknown, now - since >= absence else { return false }
    return guards.allSatisfy { Self.hasEnded($0.process) }
  }

  private static func hasEnded(_ process: Descriptor) -> Bool {
    var poll = pollfd(fd: process.raw, events: Int16(POLLIN), revents: 0)
    return tier_poll(&poll, 1, 0) > 0
  }
}
