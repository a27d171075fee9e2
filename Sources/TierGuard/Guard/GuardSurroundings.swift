import Glibc
import Synchronization
import TierCore
import TierLinux

/// What all file systems of one guard share.
final class GuardSurroundings: Sendable {
  /// No descriptor of a guard has a higher number, whatever the limits: a new guard looks through all of them.
  static let descriptorsMax: Int32 = 65536
  /// For sockets, groups and threads.
  private static let ownMax: Int32 = 1024

  let log: GuardLog
  /// Nil: nothing outlives the machine's restart.
  let memory: GuardMemory?
  let clock = SystemClock()
  let numbers: EventNumbers
  let clients = GuardClients()
  /// For each file system; the numbers bound all of them together.
  let heldMax: Int
  private let lastToken: Atomic<UInt64>

  /// `descriptors`: how many this process may have.
  init(descriptors: Int32, memory: GuardMemory?) throws(SyscallError) {
    self.memory = memory
    let ownLowest = max(descriptors / 2, descriptors - Self.ownMax)
    numbers = EventNumbers(ownLowest: ownLowest)
    // What passes (a packet's descriptors, an event that is allowed) has room beside those who wait.
    heldMax = Int(ownLowest) - 64
    log = GuardLog(try Wakeup(lowest: ownLowest))
    // Later than any of a guard before: a token means one opener as long as the machine runs.
    lastToken = Atomic(UInt64(clamping: clock.monotonic.nanoseconds))
  }

  func remember(_ root: Descriptor, _ terms: GuardTerms) {
    note("remembered") { memory throws(SyscallError) in
      try memory.remember(GuardMemory.Volume(root: root.name, terms: terms))
    }
  }

  func forget(_ root: Descriptor) {
    note("forgotten") { memory throws(SyscallError) in try memory.forget(root.name) }
  }

  private func note(_ what: String, _ body: (GuardMemory) throws(SyscallError) -> Void) {
    guard let memory else { return }
    do throws(SyscallError) { try body(memory) } catch {
      log.write("a volume can't be \(what): \(error.call): \(errnoText(error.errno)); see STATE_DIRECTORY")
    }
  }

  func nextToken() -> GuardToken { GuardToken(lastToken.add(1, ordering: .relaxed).newValue) }
}

/// Whose opens nobody asks about: the guard's own and its clients'.
final class GuardClients: Sendable {
  private let counts = Mutex<[Int32: Int]>([getpid(): 1])

  func contains(_ pid: Int32) -> Bool { counts.withLock { $0[pid] != nil } }

  func add(_ pid: Int32) { counts.withLock { $0[pid, default: 0] += 1 } }

  func remove(_ pid: Int32) {
    counts.withLock { counts in
      let left = (counts[pid] ?? 1) - 1
      counts[pid] = left == 0 ? nil : left
    }
  }
}
