/// Bytes as printable text and back, used wherever a file name meets JSON, a log or a terminal.
///
/// Valid UTF-8 stays as it is, but for control characters, the bidirectional overrides that could disguise a
/// name, and the backslash itself; these and every byte that isn't UTF-8 become `\xNN` (a backslash: `\\`).
package enum EscapedText {
  package static func encode(_ bytes: [UInt8]) -> String {
    if bytes.allSatisfy({ $0 >= 0x20 && $0 < 0x7F && $0 != .backslash }) {
      return String(decoding: bytes, as: UTF8.self)
    }
    var text = ""
    var decoder = UTF8.ForwardParser()
    var rest = bytes.makeIterator()
    var position = 0
    while true {
      switch decoder.parseScalar(from: &rest) {
      case .emptyInput:
        return text
      case .error(let length):
        for byte in bytes[position..<position + length] { text += hex(byte) }
        position += length
      case .valid(let encoded):
        let scalar = UTF8.decode(encoded)
        if scalar == "\\" {
          text += "\\\\"
        } else if mustEscape(scalar) {
          for byte in encoded { text += hex(byte) }
        } else {
          text.unicodeScalars.append(scalar)
        }
        position += encoded.count
      }
    }
  }

  /// Nil where a backslash starts neither `\\` nor `\xNN`.
  package static func decode(_ text: String) -> [UInt8]? {
    var bytes: [UInt8] = []
    var rest = text.utf8.makeIterator()
    while let byte = rest.next() {
      guard byte == .backslash else {
        bytes.append(byte)
        continue
      }
      switch rest.next() {
      case .backslash?:
        bytes.append(.backslash)
      case UInt8(ascii: "x")?:
        guard let high = rest.next().flatMap(hexDigit), let low = rest.next().flatMap(hexDigit) else {
          return nil
        }
        bytes.append(high << 4 | low)
      default:
        return nil
      }
    }
    return bytes
  }

  private static func mustEscape(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0..<0x20, 0x7F..<0xA0, 0x200E, 0x200F, 0x202A...0x202E, 0x2028, 0x2029, 0x2066...0x2069: true
    default: false
    }
  }

  private static func hex(_ byte: UInt8) -> String {
    "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
  }

  private static func hexDigit(_ byte: UInt8) -> UInt8? {
    UInt8(String(UnicodeScalar(byte)), radix: 16)
  }
}
