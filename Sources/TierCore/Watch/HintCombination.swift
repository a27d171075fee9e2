/// Hints about one place, the weaker first: each says all that the weaker ones say.
package enum PlaceHint: UInt8, Hashable, Sendable, Comparable, CaseIterable {
  case used, written, changed, subtree

  package static func < (left: PlaceHint, right: PlaceHint) -> Bool { left.rawValue < right.rawValue }

  /// Reading doesn't make a place unquiet, everything else does.
  package var restartsQuiet: Bool { self != .used }
}

/// Where a waiting hint's path stands, seen from the new one's.
package enum HintRelation: Hashable, Sendable, CaseIterable {
  case above, same, below, apart
}

/// What becomes of a waiting hint and a new one.
package enum HintCombination: Hashable, Sendable {
  /// The waiting one says it already; at most its quiet time starts anew.
  case absorb
  /// The new one takes the waiting one's place, and its maximum wait with it.
  case replace
  /// Both wait.
  case stack

  /// The whole table. A rename needs no entry: the watcher splits it into its two places.
  package static func of(waiting: PlaceHint, _ relation: HintRelation, new: PlaceHint) -> HintCombination {
    switch relation {
    case .same: new <= waiting ? .absorb : .replace
    case .above: waiting == .subtree ? .absorb : .stack
    case .below: new == .subtree ? .replace : .stack
    case .apart: .stack
    }
  }
}

extension Hint {
  init(_ hint: PlaceHint, at path: RelativePath) {
    switch hint {
    case .used: self = .used(path)
    case .written: self = .written(path)
    case .changed: self = .changed(path)
    case .subtree: self = .subtree(path)
    }
  }

  /// Nil for hints about the whole volume.
  var place: (PlaceHint, RelativePath)? {
    switch self {
    case .used(let path): (.used, path)
    case .written(let path): (.written, path)
    case .changed(let path): (.changed, path)
    case .subtree(let path): (.subtree, path)
    case .everything, .volumeGone: nil
    }
  }
}
