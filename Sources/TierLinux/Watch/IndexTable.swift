/// Finds small numbers by a 32-bit key that need not be unique: a hash table of eight bytes a slot, where a
/// `Dictionary` of names would cost ten times that for each of a million directories.
struct IndexTable: Sendable {
  private struct Slot {
    var key: UInt32
    /// Negative: empty.
    var index: Int32
    static let empty = Slot(key: 0, index: -1)
  }

  private var slots = [Slot](repeating: .empty, count: 16)
  private(set) var count = 0

  /// The first index under `key` that `matches`.
  func first(_ key: UInt32, where matches: (Int32) -> Bool) -> Int32? {
    var position = home(key)
    while slots[position].index >= 0 {
      if slots[position].key == key, matches(slots[position].index) { return slots[position].index }
      position = next(position)
    }
    return nil
  }

  mutating func insert(_ index: Int32, key: UInt32) {
    if (count + 1) * 4 > slots.count * 3 { resize(to: slots.count * 2) }
    place(Slot(key: key, index: index))
    count += 1
  }

  mutating func remove(_ index: Int32, key: UInt32) {
    var hole = home(key)
    while slots[hole].index != index {
      precondition(slots[hole].index >= 0, "only what was inserted is removed")
      hole = next(hole)
    }
    // What follows without a gap moves up, so that searches never meet a false end.
    var position = next(hole)
    while slots[position].index >= 0 {
      let wanted = home(slots[position].key)
      let mayMove =
        hole <= position ? (wanted <= hole || wanted > position) : (wanted <= hole && wanted > position)
      if mayMove {
        slots[hole] = slots[position]
        hole = position
      }
      position = next(position)
    }
    slots[hole] = .empty
    count -= 1
    if slots.count > 1024, count * 8 < slots.count { resize(to: slots.count / 4) }
  }

  private mutating func resize(to size: Int) {
    let old = slots
    slots = [Slot](repeating: .empty, count: size)
    for slot in old where slot.index >= 0 { place(slot) }
  }

  private mutating func place(_ slot: Slot) {
    var position = home(slot.key)
    while slots[position].index >= 0 { position = next(position) }
    slots[position] = slot
  }

  /// Multiplied, because neighbouring keys (the kernel counts watches up) should not cluster.
  private func home(_ key: UInt32) -> Int {
    Int((UInt64(key) &* 0x9E37_79B9_7F4A_7C15) >> 32) & (slots.count - 1)
  }

  private func next(_ position: Int) -> Int { (position + 1) & (slots.count - 1) }
}
