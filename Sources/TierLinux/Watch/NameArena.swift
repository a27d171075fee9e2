import TierCore

/// File names end to end, each behind a byte with its length: no heap block for each of a million names.
struct NameArena: Sendable {
  private var bytes: [UInt8] = []
  private(set) var unusedBytes = 0
  var byteCount: Int { bytes.count }
  var isWasteful: Bool { unusedBytes > 64 << 10 && unusedBytes * 2 > bytes.count }

  /// The name's place. Names have at most 255 bytes.
  mutating func append(_ name: some Collection<UInt8>) -> UInt32 {
    let place = UInt32(bytes.count)
    bytes.append(UInt8(name.count))
    bytes.append(contentsOf: name)
    return place
  }

  /// Only counted: the owner builds a new arena when it is wasteful.
  mutating func drop(_ place: UInt32) { unusedBytes += Int(bytes[Int(place)]) + 1 }

  subscript(place: UInt32) -> ArraySlice<UInt8> {
    let start = Int(place) + 1
    return bytes[start..<start + Int(bytes[Int(place)])]
  }
}
