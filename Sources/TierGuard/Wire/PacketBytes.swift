/// Writes little-endian numbers, one after the other.
struct PacketWriter {
  private(set) var bytes: [UInt8] = []

  mutating func put(_ value: some FixedWidthInteger) {
    withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
  }
}

/// Reads them back. Past the end everything is 0 and `isWhole` false.
struct PacketReader {
  private var rest: ArraySlice<UInt8>
  private var ranShort = false

  init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

  /// Everything was there, and nothing is left over.
  var isWhole: Bool { !ranShort && rest.isEmpty }

  mutating func take<Value: FixedWidthInteger>(_: Value.Type = Value.self) -> Value {
    let width = MemoryLayout<Value>.size
    guard rest.count >= width else {
      ranShort = true
      return 0
    }
    defer { rest = rest.dropFirst(width) }
    return rest.prefix(width).reversed().reduce(0) { ($0 << 8) | Value(truncatingIfNeeded: $1) }
  }
}
