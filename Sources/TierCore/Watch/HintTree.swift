/// The places of waiting hints as a tree of names: finding what covers a path, or what a path covers, costs its
/// depth, not the number of hints. An arena instead of references, so that a table is a plain value and no depth
/// of directories can exhaust a stack.
struct HintTree: Sendable {
  struct Waiting {
    var hint: PlaceHint
    /// The first event: the maximum wait counts from here.
    var first: Duration
    /// The last one that made the place unquiet.
    var last: Duration
    var order: UInt64

    func due(quiet: Duration, maximumWait: Duration) -> Duration { min(last + quiet, first + maximumWait) }

    mutating func takeOver(_ other: Waiting) {
      first = min(first, other.first)
      last = max(last, other.last)
      order = min(order, other.order)
    }
  }

  private struct Node {
    var parent: Int
    /// Nil for the root, and for what is free.
    var name: FileName?
    var children: [FileName: Int] = [:]
    var waiting: Waiting?
  }

  private static let root = 0
  private var nodes = [Node(parent: HintTree.root)]
  private var free: [Int] = []
  private(set) var waitingCount = 0

  var nodeCount: Int { nodes.count - free.count }

  mutating func add(_ hint: PlaceHint, at path: RelativePath, now: Duration, order: UInt64) {
    var index = Self.root
    for name in path.components {
      if absorb(hint, .above, index, now: now) { return }
      index = child(of: index, named: name)
    }
    if absorb(hint, .same, index, now: now) { return }
    var waiting = Waiting(hint: hint, first: now, last: now, order: order)
    if let replaced = nodes[index].waiting { waiting.takeOver(replaced) } else { waitingCount += 1 }
    if HintCombination.of(waiting: .changed, .below, new: hint) == .replace {
      removeAll(below: index) { waiting.takeOver($0) }
    }
    nodes[index].waiting = waiting
  }

  /// What is due, in order, and the exact time of the next.
  mutating func take(now: Duration, quiet: Duration, maximumWait: Duration) -> ([Hint], next: Duration?) {
    var due: [(order: UInt64, index: Int)] = []
    var next: Duration?
    for index in nodes.indices {
      guard let waiting = nodes[index].waiting else { continue }
      let time = waiting.due(quiet: quiet, maximumWait: maximumWait)
      if time <= now {
        due.append((waiting.order, index))
      } else {
        next = next.map { min($0, time) } ?? time
      }
    }
    due.sort { $0.order < $1.order }
    let hints = due.map { Hint(nodes[$0.index].waiting!.hint, at: path(of: $0.index)) }
    for (_, index) in due {
      nodes[index].waiting = nil
      waitingCount -= 1
      prune(from: index)
    }
    return (hints, next)
  }

  /// Turns the directories with the most names into subtrees until at most `count` names are left. False where
  /// only the root would do.
  mutating func condense(to count: Int) -> Bool {
    var crowded: [(children: Int, index: Int)] = []
    for index in nodes.indices where index != Self.root && !nodes[index].children.isEmpty {
      crowded.append((nodes[index].children.count, index))
    }
    crowded.sort { $0 > $1 }
    for (_, index) in crowded where nodeCount > count && !nodes[index].children.isEmpty {
      var merged = nodes[index].waiting
      if merged == nil { waitingCount += 1 }
      removeAll(below: index) { below in
        if merged == nil { merged = below } else { merged?.takeOver(below) }
      }
      merged?.hint = .subtree
      nodes[index].waiting = merged
    }
    return nodeCount <= count
  }

  // MARK: Nodes

  private mutating func absorb(_ hint: PlaceHint, _ relation: HintRelation, _ index: Int, now: Duration)
    -> Bool
  {
    guard let waiting = nodes[index].waiting,
      HintCombination.of(waiting: waiting.hint, relation, new: hint) == .absorb
    else { return false }
    if hint.restartsQuiet { nodes[index].waiting?.last = now }
    return true
  }

  private mutating func child(of parent: Int, named name: FileName) -> Int {
    if let index = nodes[parent].children[name] { return index }
    let node = Node(parent: parent, name: name)
    let index: Int
    if let reused = free.popLast() {
      index = reused
      nodes[index] = node
    } else {
      index = nodes.count
      nodes.append(node)
    }
    nodes[parent].children[name] = index
    return index
  }

  private mutating func removeAll(below top: Int, takeOver: (Waiting) -> Void) {
    var rest = Array(nodes[top].children.values)
    nodes[top].children = [:]
    while let index = rest.popLast() {
      rest += nodes[index].children.values
      if let waiting = nodes[index].waiting {
        takeOver(waiting)
        waitingCount -= 1
      }
      release(index)
    }
  }

  /// Removes what holds nothing any more, upwards.
  private mutating func prune(from start: Int) {
    var index = start
    while index != Self.root, nodes[index].waiting == nil, nodes[index].children.isEmpty {
      let parent = nodes[index].parent
      nodes[parent].children[nodes[index].name!] = nil
      release(index)
      index = parent
    }
  }

  private mutating func release(_ index: Int) {
    nodes[index] = Node(parent: Self.root)
    free.append(index)
  }

  private func path(of start: Int) -> RelativePath {
    var names: [FileName] = []
    var index = start
    while index != Self.root {
      names.append(nodes[index].name!)
      index = nodes[index].parent
    }
    return names.reversed().reduce(RelativePath.root) { $0.appending($1) }
  }
}
