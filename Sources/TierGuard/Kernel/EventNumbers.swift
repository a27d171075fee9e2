import CTierLinux
import Glibc
import Synchronization
import TierCore
import TierLinux

/// The descriptors of events that wait, by their numbers.
///
/// The kernel knows a waiting opener by the number alone that the event's file had in the process that read it. A new
/// guard inherits the dead one's openers with those numbers: were one of them given to a new event of the same group,
/// an answer meant for one opener would go to another. So an inherited number is taken before the group is read, by
/// its own file where it is free, or by waiting for whoever has it: `release` then passes it on in one step.
///
/// What lives long in this process therefore has numbers from `ownLowest` on.
final class EventNumbers: Sendable {
  struct Owner: Hashable, Sendable {
    let group: GroupID
    let number: Int32
  }

  private struct State {
    /// By files of events that wait.
    var held: Set<Int32> = []
    /// Inherited numbers that somebody else's file still has; their own files are parked at other numbers.
    var parked: [Owner: Descriptor] = [:]
  }

  let ownLowest: Int32
  private let state = Mutex(State())

  init(ownLowest: Int32) { self.ownLowest = ownLowest }

  /// An event's own file is to stay open.
  func hold(_ number: Int32) { state.withLock { _ = $0.held.insert(number) } }

  /// The descriptor of a held file. Valid as long as nobody releases it.
  func file(_ owner: Owner) -> Int32 { state.withLock { $0.parked[owner]?.raw ?? owner.number } }

  /// Closes an event's file, held or not.
  func release(_ owner: Owner) {
    state.withLock { state in
      guard state.parked.removeValue(forKey: owner) == nil else { return }
      state.held.remove(owner.number)
      guard let next = state.parked.keys.first(where: { $0.number == owner.number }),
        let file = state.parked.removeValue(forKey: next)
      else {
        _ = tier_close(owner.number)
        return
      }
      _ = tier_duplicate_onto(file.raw, owner.number)
      state.held.insert(owner.number)
    }
  }

  /// Takes an inherited number for its file.
  func inherit(_ owner: Owner, _ file: Descriptor) throws(SyscallError) {
    // Parked first: if the number is free, `settle` finds that.
    let parked = try file.raised(to: ownLowest)
    file.close()
    state.withLock { state in
      state.parked[owner] = parked
      Self.place(owner, &state)
    }
  }

  /// True once no inherited number can be given to a new event: each is its own file's, or held by another one.
  func settle() -> Bool {
    state.withLock { state in
      for owner in Array(state.parked.keys) { Self.place(owner, &state) }
      return state.parked.keys.allSatisfy { state.held.contains($0.number) }
    }
  }

  /// Its number is somebody's who doesn't pass it on.
  func isUnsafe(_ owner: Owner) -> Bool {
    state.withLock { $0.parked[owner] != nil && !$0.held.contains(owner.number) }
  }

  private static func place(_ owner: Owner, _ state: inout State) {
    guard let file = state.parked[owner], !state.held.contains(owner.number) else { return }
    let copy = tier_duplicate(file.raw, owner.number)
    if copy == owner.number {
      state.parked[owner] = nil
      state.held.insert(copy)
    } else if copy >= 0 {
      _ = tier_close(copy)
    }
  }
}
