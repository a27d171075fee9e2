import TierCore

/// The directories of a volume and their watches. A directory knows its parent and its name only, so a rename
/// re-paths everything below it in one step. About 70 bytes each.
///
/// A directory can be *detached* for a while: moved away from where it was, its new place not told yet. It and
/// all below it have no path then, and keep their watches.
struct WatchTree: Sendable {
  typealias Index = Int32

  private struct Node {
    var parent: Index
    var firstChild: Index = none
    var nextSibling: Index = none
    var previousSibling: Index = none
    /// Negative: not watched.
    var watch: Int32 = -1
    var name: UInt32 = 0
    var inode: UInt64
  }

  static let root: Index = 0
  private static let none: Index = -1
  private static let free: Index = -2

  private var nodes: [Node]
  private var firstFree = none
  private var names = NameArena()
  private var byWatch = IndexTable()
  private var byName = IndexTable()
  private(set) var count = 1
  /// Changes with every move, so that a path may be remembered until then.
  private(set) var version: UInt64 = 0

  init(rootInode: UInt64 = 0) { nodes = [Node(parent: Self.none, inode: rootInode)] }

  var watchedCount: Int { byWatch.count }
  var nameBytes: Int { names.byteCount }
  /// All indices ever given out lie below.
  var indexLimit: Index { Index(nodes.count) }

  func isAlive(_ index: Index) -> Bool { nodes[Int(index)].parent != Self.free }
  func inode(of index: Index) -> UInt64 { nodes[Int(index)].inode }
  func watch(of index: Index) -> Int32? {
    let watch = nodes[Int(index)].watch
    return watch < 0 ? nil : watch
  }
  /// Nil for the root and for what is detached.
  func parent(of index: Index) -> Index? {
    let parent = nodes[Int(index)].parent
    return parent < 0 ? nil : parent
  }

  func node(watching watch: Int32) -> Index? { byWatch.first(UInt32(bitPattern: watch)) { _ in true } }

  func child(of parent: Index, named name: FileName) -> Index? {
    byName.first(key(parent, name.bytes[...])) {
      nodes[Int($0)].parent == parent && names[nodes[Int($0)].name] == name.bytes[...]
    }
  }

  /// Nil where it or something above it is detached.
  func path(of index: Index) -> RelativePath? {
    var length = 0
    var node = index
    while node != Self.root {
      guard nodes[Int(node)].parent >= 0 else { return nil }
      length += names[nodes[Int(node)].name].count + 1
      node = nodes[Int(node)].parent
    }
    guard length > 0 else { return .root }
    let bytes = [UInt8](unsafeUninitializedCapacity: length - 1) { buffer, filled in
      var end = length - 1
      var node = index
      while node != Self.root {
        let name = names[nodes[Int(node)].name]
        end -= name.count
        for (offset, byte) in name.enumerated() { buffer[end + offset] = byte }
        if end > 0 {
          end -= 1
          buffer[end] = .slash
        }
        node = nodes[Int(node)].parent
      }
      filled = length - 1
    }
    return RelativePath(trusted: bytes)
  }

  /// True for `ancestor` itself too.
  func isWithin(_ index: Index, _ ancestor: Index) -> Bool {
    var node = index
    while node >= 0 {
      if node == ancestor { return true }
      node = nodes[Int(node)].parent
    }
    return false
  }

  // MARK: Changes

  /// The place must be free.
  mutating func add(_ name: FileName, under parent: Index, inode: UInt64) -> Index {
    let index: Index
    if firstFree >= 0 {
      index = firstFree
      firstFree = nodes[Int(index)].nextSibling
      nodes[Int(index)] = Node(parent: Self.none, inode: inode)
    } else {
      index = Index(nodes.count)
      nodes.append(Node(parent: Self.none, inode: inode))
    }
    count += 1
    attach(index, under: parent, named: name)
    return index
  }

  mutating func setWatch(_ watch: Int32?, inode: UInt64, of index: Index) {
    let old = nodes[Int(index)].watch
    if old >= 0 { byWatch.remove(index, key: UInt32(bitPattern: old)) }
    nodes[Int(index)].watch = watch ?? -1
    nodes[Int(index)].inode = inode
    if let watch { byWatch.insert(index, key: UInt32(bitPattern: watch)) }
  }

  /// For a detached directory; the place must be free and not below it.
  mutating func attach(_ index: Index, under parent: Index, named name: FileName) {
    precondition(nodes[Int(index)].parent == Self.none && index != Self.root)
    version += 1
    if names.isWasteful { rebuildNames() }
    nodes[Int(index)].name = names.append(name.bytes)
    nodes[Int(index)].parent = parent
    let sibling = nodes[Int(parent)].firstChild
    nodes[Int(index)].nextSibling = sibling
    nodes[Int(index)].previousSibling = Self.none
    if sibling >= 0 { nodes[Int(sibling)].previousSibling = index }
    nodes[Int(parent)].firstChild = index
    byName.insert(index, key: key(parent, name.bytes[...]))
  }

  mutating func detach(_ index: Index) {
    let node = nodes[Int(index)]
    guard node.parent >= 0 else { return }
    version += 1
    byName.remove(index, key: key(node.parent, names[node.name]))
    names.drop(node.name)
    if node.previousSibling >= 0 {
      nodes[Int(node.previousSibling)].nextSibling = node.nextSibling
    } else {
      nodes[Int(node.parent)].firstChild = node.nextSibling
    }
    if node.nextSibling >= 0 { nodes[Int(node.nextSibling)].previousSibling = node.previousSibling }
    nodes[Int(index)].parent = Self.none
    nodes[Int(index)].nextSibling = Self.none
    nodes[Int(index)].previousSibling = Self.none
  }

  /// With everything below it; tells each index and its watch.
  mutating func remove(_ top: Index, _ removed: (Index, Int32?) -> Void) {
    precondition(top != Self.root)
    detach(top)
    var rest = [top]
    while let index = rest.popLast() {
      var child = nodes[Int(index)].firstChild
      while child >= 0 {
        rest.append(child)
        child = nodes[Int(child)].nextSibling
      }
      removed(index, watch(of: index))
      release(index)
    }
  }

  func children(of index: Index) -> [Index] {
    var children: [Index] = []
    var child = nodes[Int(index)].firstChild
    while child >= 0 {
      children.append(child)
      child = nodes[Int(child)].nextSibling
    }
    return children
  }

  private mutating func release(_ index: Index) {
    setWatch(nil, inode: 0, of: index)
    let node = nodes[Int(index)]
    if node.parent >= 0 {
      byName.remove(index, key: key(node.parent, names[node.name]))
      names.drop(node.name)
    }
    nodes[Int(index)] = Node(parent: Self.free, nextSibling: firstFree, inode: 0)
    firstFree = index
    count -= 1
  }

  private mutating func rebuildNames() {
    var fresh = NameArena()
    for index in nodes.indices where nodes[index].parent >= 0 {
      nodes[index].name = fresh.append(names[nodes[index].name])
    }
    names = fresh
  }

  /// Seeded, so that nobody can choose names that collide.
  private func key(_ parent: Index, _ name: ArraySlice<UInt8>) -> UInt32 {
    var hasher = Hasher()
    hasher.combine(parent)
    name.withUnsafeBytes { hasher.combine(bytes: $0) }
    return UInt32(truncatingIfNeeded: hasher.finalize())
  }
}
