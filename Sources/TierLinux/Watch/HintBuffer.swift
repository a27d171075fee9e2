import TierCore

/// Hints on their way out: what repeats the last one is left out, and no storm makes them too many.
struct HintBuffer {
  private static let limit = 65_536
  private var hints: [Hint] = []

  var isEmpty: Bool { hints.isEmpty }

  mutating func add(_ hint: Hint) {
    if hints.last == hint { return }
    if hints.count >= Self.limit { hints = [.everything("more than \(Self.limit) events at once")] }
    hints.append(hint)
  }

  mutating func take() -> [Hint] {
    defer { hints = [] }
    return hints
  }
}
