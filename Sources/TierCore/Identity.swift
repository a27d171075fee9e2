/// Names one archived copy of one file for ever: 128 random bits, 32 hexadecimal digits as text.
package struct ArchiveID: Hashable, Sendable, CustomStringConvertible {
  package let high: UInt64
  package let low: UInt64

  package init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  package static func random(using generator: inout some RandomNumberGenerator) -> ArchiveID {
    ArchiveID(high: generator.next(), low: generator.next())
  }

  package static func random() -> ArchiveID {
    var generator = SystemRandomNumberGenerator()
    return random(using: &generator)
  }

  package init?(_ text: some StringProtocol) {
    guard text.utf8.count == 32, text.utf8.allSatisfy(\.isHexDigit) else { return nil }
    guard let high = UInt64(text.prefix(16), radix: 16), let low = UInt64(text.suffix(16), radix: 16) else {
      return nil
    }
    self.init(high: high, low: low)
  }

  package var description: String { high.hexadecimal + low.hexadecimal }

  package var fileName: FileName { FileName(trusted: Array(description.utf8)) }
}

/// The SHA-256 of a file's whole content.
package struct ContentHash: Hashable, Sendable, CustomStringConvertible {
  /// Always 32 bytes.
  package let bytes: [UInt8]

  package init?(_ bytes: [UInt8]) {
    guard bytes.count == 32 else { return nil }
    self.bytes = bytes
  }

  package init?(_ text: some StringProtocol) {
    let digits = Array(text.utf8)
    guard digits.count == 64, digits.allSatisfy(\.isHexDigit) else { return nil }
    bytes = stride(from: 0, to: 64, by: 2).map {
      UInt8(String(decoding: digits[$0..<$0 + 2], as: UTF8.self), radix: 16)!
    }
  }

  package var description: String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }
}

/// Counts the changes of ownership of a volume. What carries an older epoch is refused.
package struct Epoch: Hashable, Sendable, Comparable {
  package var value: Int64
  package init(_ value: Int64) { self.value = value }
  package static func < (left: Epoch, right: Epoch) -> Bool { left.value < right.value }
}

extension UInt64 {
  fileprivate var hexadecimal: String {
    let digits = String(self, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}

extension UInt8 {
  fileprivate var isHexDigit: Bool {
    (0x30...0x39).contains(self) || (0x61...0x66).contains(self) || (0x41...0x46).contains(self)
  }
}
