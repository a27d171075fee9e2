import Synchronization
import TierCore
import TierLinux

/// What tierd's side knows, and must not lose when the guard is lost.
struct GuardClientState {
  struct Held {
    var opener: WaitingOpener
    /// Said already, but not confirmed: a guard that took over is told again.
    var answer: GuardAnswer?
  }

  var group: (id: GroupID, descriptor: Descriptor)?
  /// Everybody who waits, as far as this side knows.
  var held: [GuardToken: Held] = [:]
  /// Those that `next` hasn't given yet.
  var unseen: [GuardToken] = []
  var outgoing: [(message: ClientMessage, file: Descriptor?)] = []
  var stubbings: [UInt64: GuardReply] = [:]
  var unprotecting: GuardReply?
  var protecting: [ProtectReply] = []
  var lastStubbing: UInt64 = 0
  var isConnected = false
  /// No guard can be started: `GuardStandIn` refuses openers.
  var isStoodInFor = false
  var mustReconnect = false
  var isClosed = false

  mutating func takeUnseen() -> WaitingOpener? {
    while !unseen.isEmpty {
      if let held = held[unseen.removeFirst()] { return held.opener }
    }
    return nil
  }

  /// Those who wait for the guard's word get an error.
  func giveUp(_ errno: Int32) {
    for reply in stubbings.values { reply.give(errno) }
    unprotecting?.give(errno)
  }
}

/// What a waiting caller gets: 0, or an errno.
final class GuardReply: Sendable {
  let errno = Mutex<Int32?>(nil)
  let arrived: Wakeup
  /// To be sent again to a guard that takes over.
  let file: Descriptor?

  init(_ file: Descriptor?) throws(SyscallError) {
    self.file = file
    arrived = try Wakeup()
  }

  /// The first word counts.
  func give(_ number: Int32) {
    errno.withLock { $0 = $0 ?? number }
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
