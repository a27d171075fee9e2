/// Arguments as text and back without loss. A file name needn't be UTF-8, but the argument parser takes text: bytes
/// that aren't UTF-8 travel as one private character each.
package enum ArgumentBytes {
  /// U+10FF00 to U+10FFFF stand for the bytes 0x00 to 0xFF; where they occur themselves, they travel as bytes too.
  private static let base: UInt32 = 0x10FF00

  package static func encode(_ bytes: [UInt8]) -> String {
    var text = ""
    var parser = UTF8.ForwardParser()
    var rest = bytes.makeIterator()
    var position = 0
    while true {
      switch parser.parseScalar(from: &rest) {
      case .emptyInput:
        return text
      case .error(let length):
        append(bytes[position..<position + length], to: &text)
        position += length
      case .valid(let encoded):
        let scalar = UTF8.decode(encoded)
        if scalar.value >= base {
          append(bytes[position..<position + encoded.count], to: &text)
        } else {
          text.unicodeScalars.append(scalar)
        }
        position += encoded.count
      }
    }
  }

  package static func decode(_ text: String) -> [UInt8] {
    var bytes: [UInt8] = []
    for scalar in text.unicodeScalars {
      if scalar.value >= base {
        bytes.append(UInt8(scalar.value - base))
      } else {
        bytes += Array(String(scalar).utf8)
      }
    }
    return bytes
  }

  private static func append(_ bytes: ArraySlice<UInt8>, to text: inout String) {
    for byte in bytes { text.unicodeScalars.append(Unicode.Scalar(base + UInt32(byte))!) }
  }
}
