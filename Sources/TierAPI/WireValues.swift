import TierCore

/// A point of time on the wire: ISO 8601 in UTC, `2026-11-23T10:58:00Z`.
package struct UTCTime: Hashable, Sendable, Comparable, CustomStringConvertible {
  package var timestamp: Timestamp

  package init(_ timestamp: Timestamp) { self.timestamp = timestamp }

  package static func < (left: UTCTime, right: UTCTime) -> Bool { left.timestamp < right.timestamp }

  /// Negative where `other` is later.
  package func seconds(since other: UTCTime) -> Int64 { (timestamp - other.timestamp).components.seconds }

  package var description: String { timestamp.utcText }
}

extension UTCTime: Codable {
  package init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let text = try container.decode(String.self)
    guard let timestamp = Timestamp(utcText: text) else {
      throw DecodingError.dataCorruptedError(
        in: container, debugDescription: "not a UTC time (write for example 2026-11-23T10:58:00Z)")
    }
    self.init(timestamp)
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}

/// An absolute path on the wire: bytes as the kernel keeps them, escaped text in JSON (`EscapedText`). Without
/// empty, `.` or `..` components, so that two texts of one path are equal.
package struct AbsolutePath: Hashable, Sendable, Comparable, CustomStringConvertible {
  /// Below `/`.
  package let relative: RelativePath

  package init(relative: RelativePath) { self.relative = relative }

  /// Nil where it doesn't start with `/`, or a component is empty, `.`, `..` or holds a NUL.
  package init?(_ bytes: [UInt8]) {
    guard bytes.first == .slash, let relative = RelativePath(Array(bytes.dropFirst())) else { return nil }
    self.relative = relative
  }

  package init?(_ text: String) { self.init(Array(text.utf8)) }

  package init?(escaped text: String) {
    guard let bytes = EscapedText.decode(text) else { return nil }
    self.init(bytes)
  }

  package var bytes: [UInt8] { [.slash] + relative.bytes }

  package static func < (left: AbsolutePath, right: AbsolutePath) -> Bool { left.relative < right.relative }

  /// The path as printable text that reads back to the same bytes.
  package var description: String { "/" + relative.escaped }
}

extension AbsolutePath: Codable {
  package init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let text = try container.decode(String.self)
    guard let path = AbsolutePath(escaped: text) else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: AbsolutePath.rule)
    }
    self = path
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }

  package static let rule =
    "not an absolute path (starts with \"/\", no empty, \".\" or \"..\" part; "
    + "a backslash is written \\\\ and any other byte may be written \\xNN)"
}
