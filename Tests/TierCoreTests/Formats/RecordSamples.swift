import TierTestSupport

@testable import TierCore

extension ArchivedCopy {
  static let sample = ArchivedCopy(
    archiveID: ArchiveID(high: 0x0123_4567_89AB_CDEF, low: 0xFEDC_BA98_7654_3210), target: "nas",
    path: RelativePath("photos/2026/my cat.jpg")!, size: 3_000_000,
    modified: FileTime(seconds: 1_795_000_000, nanoseconds: 5),
    hash: ContentHash((0..<32).map { UInt8($0) })!,
    archivedAt: Timestamp(seconds: 1_795_000_100), proof: .awaiting(instance: nil),
    metadata: FileMetadata(
      mode: 0o640, owner: 1000, group: 100, modified: FileTime(seconds: 1_795_000_000, nanoseconds: 5),
      accessed: FileTime(seconds: 1_795_000_000, nanoseconds: 5)))

  /// Anything that a file system can hold.
  static func random(using random: inout SplitMix) -> ArchivedCopy {
    var copy = sample
    copy.archiveID = .random(using: &random)
    copy.path = .random(using: &random)
    copy.size = .random(in: 0...(.max), using: &random)
    copy.modified = FileTime(
      seconds: .random(in: .min...(.max), using: &random),
      nanoseconds: .random(in: 0..<1_000_000_000, using: &random))
    copy.hash = ContentHash((0..<32).map { _ in .random(in: 0...255, using: &random) })!
    copy.archivedAt = Timestamp(nanoseconds: .random(in: -9_000_000_000_000_000_000...(.max), using: &random))
    let names = Set((0..<Int.random(in: 0...3, using: &random)).map { "user.\($0) \"\\\n\u{E9}\u{1F600}" })
    copy.metadata = FileMetadata(
      mode: .random(in: 0...0o7777, using: &random), owner: .random(in: 0...(.max), using: &random),
      group: .random(in: 0...(.max), using: &random), modified: copy.modified, accessed: copy.modified,
      attributes: names.sorted().map { name in
        ExtendedAttribute(
          name: name,
          value: (0..<Int.random(in: 0...40, using: &random)).map { _ in .random(in: 0...255, using: &random)
          })
      })
    return copy
  }
}

extension RelativePath {
  static func random(using random: inout SplitMix) -> RelativePath {
    let names = (0..<Int.random(in: 1...5, using: &random)).map { _ in
      let bytes = (0..<Int.random(in: 1...20, using: &random)).map { _ in
        Bool.random(using: &random)
          ? UInt8.random(in: 1...255, using: &random)
          : Array(" #\\x\n=\"a".utf8).randomElement(using: &random)!
      }
      return FileName(bytes.filter { $0 != .slash }) ?? FileName("plain")!
    }
    return names.reduce(.root) { $0.appending($1) }
  }
}

/// One of the ways in which bytes go wrong.
func damaged(_ bytes: [UInt8], using random: inout SplitMix) -> [UInt8] {
  var bytes = bytes
  for _ in 0..<Int.random(in: 1...3, using: &random) {
    let place = Int.random(in: 0..<max(1, bytes.count), using: &random)
    switch Int.random(in: 0..<5, using: &random) {
    case 0 where !bytes.isEmpty: bytes[place] = .random(in: 0...255, using: &random)
    case 1: bytes = Array(bytes[..<min(place, bytes.count)])
    case 2: bytes.insert(contentsOf: bytes[..<min(place, bytes.count)].suffix(9), at: min(place, bytes.count))
    case 3 where !bytes.isEmpty: bytes.remove(at: place)
    default:
      bytes.insert(Array(#"+-0 9{}":,\="#.utf8).randomElement(using: &random)!, at: min(place, bytes.count))
    }
  }
  return bytes
}
