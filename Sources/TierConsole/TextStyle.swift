/// What the terminal, its locale and its owner permit.
package struct TextStyle: Hashable, Sendable {
  package enum Color: String, Sendable {
    case red = "31", yellow = "33", green = "32", bold = "1", faint = "2"
  }

  package var isWide: Bool
  package var hasColor: Bool
  /// False: nothing but ASCII is written.
  package var isUnicode: Bool

  package init(isWide: Bool = false, hasColor: Bool = false, isUnicode: Bool = true) {
    self.isWide = isWide
    self.hasColor = hasColor
    self.isUnicode = isUnicode
  }

  package func paint(_ text: String, _ color: Color?) -> String {
    guard hasColor, let color, !text.isEmpty else { return text }
    return "\u{1B}[\(color.rawValue)m\(text)\u{1B}[0m"
  }

  func with(isWide: Bool) -> TextStyle {
    var style = self
    style.isWide = isWide
    return style
  }

  /// For a terminal that isn't UTF-8: other characters as the bytes that they are, `\xNN`.
  package func printable(_ text: String) -> String {
    guard !isUnicode, !text.utf8.allSatisfy({ $0 < 0x80 }) else { return text }
    var printable = ""
    for byte in text.utf8 {
      if byte < 0x80 {
        printable.unicodeScalars.append(Unicode.Scalar(byte))
      } else {
        printable += "\\x" + String(byte, radix: 16)
      }
    }
    return printable
  }
}
