/// As much of JSON as tierd's own records need, strictly: objects, strings and whole numbers. The core has no
/// Foundation, and a record must never trap whatever its bytes.
enum JSONValue: Hashable, Sendable {
  case string(String)
  case integer(Int64)
  /// In the order in which they are written; keys are unique.
  case object([(String, JSONValue)])

  var string: String? { if case .string(let value) = self { value } else { nil } }
  var integer: Int64? { if case .integer(let value) = self { value } else { nil } }

  var text: String {
    switch self {
    case .string(let value): JSONValue.quoted(value)
    case .integer(let value): "\(value)"
    case .object(let fields):
      "{" + fields.map { "\(JSONValue.quoted($0)):\($1.text)" }.joined(separator: ",") + "}"
    }
  }

  static func == (left: JSONValue, right: JSONValue) -> Bool { left.text == right.text }
  func hash(into hasher: inout Hasher) { hasher.combine(text) }

  static func quoted(_ value: String) -> String {
    var result = "\""
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case _ where scalar.value < 0x20:
        let digits = String(scalar.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }

  /// Nil for anything else than one value, at most 4 levels deep, perhaps with white space around.
  static func parse(_ text: String) -> JSONValue? {
    var reader = JSONReader(text)
    guard let value = reader.value(depth: 4) else { return nil }
    reader.skipSpace()
    return reader.isAtEnd ? value : nil
  }
}

private struct JSONReader {
  private let scalars: [Unicode.Scalar]
  private var position = 0

  init(_ text: String) { scalars = Array(text.unicodeScalars) }

  var isAtEnd: Bool { position == scalars.count }

  mutating func skipSpace() {
    while let next = peek, next == " " || next == "\t" || next == "\n" || next == "\r" { position += 1 }
  }

  mutating func value(depth: Int) -> JSONValue? {
    skipSpace()
    switch peek {
    case "\"": return string().map(JSONValue.string)
    case "{": return depth > 0 ? object(depth: depth - 1) : nil
    default: return integer().map(JSONValue.integer)
    }
  }

  private var peek: Unicode.Scalar? { position < scalars.count ? scalars[position] : nil }

  private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
    skipSpace()
    guard peek == scalar else { return false }
    position += 1
    return true
  }

  private mutating func object(depth: Int) -> JSONValue? {
    guard take("{") else { return nil }
    var fields: [(String, JSONValue)] = []
    // By bytes: two names of different bytes are two names, even where Unicode calls them equal.
    var keys: Set<[UInt8]> = []
    if take("}") { return .object([]) }
    repeat {
      skipSpace()
      guard let key = string(), keys.insert(Array(key.utf8)).inserted, take(":"),
        let field = value(depth: depth)
      else {
        return nil
      }
      fields.append((key, field))
    } while take(",")
    return take("}") ? .object(fields) : nil
  }

  private mutating func integer() -> Int64? {
    let start = position
    if peek == "-" { position += 1 }
    while let next = peek, ("0"..."9").contains(next) { position += 1 }
    var digits = String.UnicodeScalarView()
    digits.append(contentsOf: scalars[start..<position])
    return Int64(String(digits))
  }

  private mutating func string() -> String? {
    guard peek == "\"" else { return nil }
    position += 1
    var result = String.UnicodeScalarView()
    while let next = peek {
      position += 1
      switch next {
      case "\"": return String(result)
      case "\\":
        guard let scalar = escape() else { return nil }
        result.append(scalar)
      case _ where next.value < 0x20: return nil
      default: result.append(next)
      }
    }
    return nil
  }

  private mutating func escape() -> Unicode.Scalar? {
    guard let next = peek else { return nil }
    position += 1
    switch next {
    case "\"", "\\", "/": return next
    case "n": return "\n"
    case "t": return "\t"
    case "r": return "\r"
    case "b": return "\u{8}"
    case "f": return "\u{C}"
    case "u":
      guard position + 4 <= scalars.count else { return nil }
      var value: UInt32 = 0
      for digit in scalars[position..<position + 4] {
        // `hexDigitValue` alone takes full-width digits too.
        guard digit.isASCII, let bits = Character(digit).hexDigitValue else { return nil }
        value = value << 4 | UInt32(bits)
      }
      position += 4
      // Halves of surrogate pairs are no scalars; our own records never hold any.
      return Unicode.Scalar(value)
    default: return nil
    }
  }
}
