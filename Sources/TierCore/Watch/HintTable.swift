/// Hints that wait until their place has been quiet for a while, combined so that one look answers many events.
///
/// A hint comes out once `quiet` has passed since the last event at its place, at the latest `maximumWait` after
/// the first one. It is never dropped: something that comes out covers it, the same place or a subtree above.
/// Hints about the whole volume don't wait, and swallow everything else.
///
/// Memory is bounded: where more than `placeLimit` names would be held (directories on the way included), the
/// directories with the most of them become `.subtree`, and the root becomes `.everything`.
///
/// All times are monotonic, from the caller's one clock.
package struct HintTable: Sendable {
  private let quiet: Duration
  private let maximumWait: Duration
  private let placeLimit: Int
  private var tree = HintTree()
  private var wholeVolume: Hint?
  private var earliestDue: Duration?
  private var nextOrder: UInt64 = 0

  package init(quiet: Duration, maximumWait: Duration, placeLimit: Int = 16_384) {
    precondition(quiet >= .zero && maximumWait >= quiet && placeLimit >= 2)
    self.quiet = quiet
    self.maximumWait = maximumWait
    self.placeLimit = placeLimit
  }

  /// Hints that wait.
  package var count: Int { tree.waitingCount + (wholeVolume == nil ? 0 : 1) }

  /// Names held, at most the limit.
  package var placeCount: Int { tree.nodeCount }

  /// Nothing is due before; nil where nothing waits. A lower bound: `takeDue` at this time may find that the
  /// quiet time was restarted meanwhile, and moves it on.
  package var nextDue: Duration? { earliestDue }

  package mutating func add(_ hints: [Hint], now: Duration) {
    for hint in hints { add(hint, now: now) }
  }

  /// What is due, in the order in which it was first told of.
  package mutating func takeDue(now: Duration) -> [Hint] {
    guard let due = earliestDue, due <= now else { return [] }
    if let hint = wholeVolume {
      wholeVolume = nil
      earliestDue = nil
      return [hint]
    }
    let (taken, next) = tree.take(now: now, quiet: quiet, maximumWait: maximumWait)
    earliestDue = next
    return taken
  }

  private mutating func add(_ hint: Hint, now: Duration) {
    guard let (kind, path) = hint.place else {
      swallowEverything(into: hint, now: now)
      return
    }
    guard wholeVolume == nil else { return }
    tree.add(kind, at: path, now: now, order: nextOrder)
    nextOrder += 1
    let due = now + quiet
    earliestDue = earliestDue.map { min($0, due) } ?? due
    if tree.nodeCount > placeLimit, !tree.condense(to: placeLimit / 2) {
      let reason = "more than \(placeLimit) places changed within \(maximumWait)"
      swallowEverything(into: .everything(reason), now: now)
    }
  }

  /// `.volumeGone` outranks `.everything`; of two reasons the first one stays.
  private mutating func swallowEverything(into hint: Hint, now: Duration) {
    if wholeVolume == nil || hint == .volumeGone { wholeVolume = hint }
    tree = HintTree()
    earliestDue = now
  }
}
