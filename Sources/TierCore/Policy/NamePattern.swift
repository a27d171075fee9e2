/// A pattern for one component. The shapes that nearly all patterns have are compared as bytes.
enum NamePattern: Sendable {
  case anything
  case literal([UInt8])
  case prefix([UInt8])
  case suffix([UInt8])
  case tokens([Token])

  enum Token: Hashable, Sendable {
    case byte(UInt8)
    case anyCharacter
    case anyRun
    case set(CharacterSet)
  }

  struct CharacterSet: Hashable, Sendable {
    var ranges: [ClosedRange<UInt32>]
    var isNegated: Bool

    func contains(_ character: UInt32) -> Bool {
      ranges.contains { $0.contains(character) } != isNegated
    }
  }

  /// `tokens` without two runs in a row.
  init(_ tokens: [Token]) {
    func bytes(_ part: ArraySlice<Token>) -> [UInt8]? {
      var bytes: [UInt8] = []
      for token in part {
        guard case .byte(let byte) = token else { return nil }
        bytes.append(byte)
      }
      return bytes
    }
    if tokens == [.anyRun] {
      self = .anything
    } else if let literal = bytes(tokens[...]) {
      self = .literal(literal)
    } else if tokens.first == .anyRun, let suffix = bytes(tokens.dropFirst()) {
      self = .suffix(suffix)
    } else if tokens.last == .anyRun, let prefix = bytes(tokens.dropLast()) {
      self = .prefix(prefix)
    } else {
      self = .tokens(tokens)
    }
  }

  /// No name with fewer bytes matches.
  var minimumLength: Int {
    switch self {
    case .anything: 0
    case .literal(let bytes), .prefix(let bytes), .suffix(let bytes): bytes.count
    case .tokens(let tokens): tokens.count { $0 != .anyRun }
    }
  }

  func matches(_ text: [UInt8], _ name: Range<Int>) -> Bool {
    switch self {
    case .anything: true
    case .literal(let bytes): bytes.count == name.count && Self.holds(text, bytes, at: name.lowerBound)
    case .prefix(let bytes): bytes.count <= name.count && Self.holds(text, bytes, at: name.lowerBound)
    case .suffix(let bytes):
      bytes.count <= name.count && Self.holds(text, bytes, at: name.upperBound - bytes.count)
    case .tokens(let tokens): Self.matches(tokens, text, name)
    }
  }

  private static func holds(_ text: [UInt8], _ bytes: [UInt8], at start: Int) -> Bool {
    // Backwards: names differ at their ends sooner than at their starts.
    var index = bytes.count
    while index > 0 {
      index -= 1
      if text[start + index] != bytes[index] { return false }
    }
    return true
  }

  /// On a mismatch the last run takes one character more; earlier runs need no second try.
  private static func matches(_ tokens: [Token], _ text: [UInt8], _ name: Range<Int>) -> Bool {
    var token = 0
    var position = name.lowerBound
    var resume: (token: Int, position: Int)?
    while true {
      if token == tokens.count {
        if position == name.upperBound { return true }
      } else if tokens[token] == .anyRun {
        token += 1
        if token == tokens.count { return true }
        resume = (token, position)
        continue
      } else if let next = step(tokens[token], text, position, end: name.upperBound) {
        token += 1
        position = next
        continue
      }
      guard let last = resume, last.position < name.upperBound else { return false }
      let next = last.position + UTF8Character(text, last.position, end: name.upperBound).length
      resume = (last.token, next)
      token = last.token
      position = next
    }
  }

  /// The position behind what one token takes; nil where it doesn't match.
  private static func step(_ token: Token, _ text: [UInt8], _ position: Int, end: Int) -> Int? {
    guard position < end else { return nil }
    switch token {
    case .byte(let byte):
      return text[position] == byte ? position + 1 : nil
    case .anyCharacter:
      return position + UTF8Character(text, position, end: end).length
    case .set(let set):
      let character = UTF8Character(text, position, end: end)
      return set.contains(character.value) ? position + character.length : nil
    case .anyRun:
      return nil
    }
  }
}

/// One character of a name: a UTF-8 sequence, or a single byte that starts none.
struct UTF8Character {
  var value: UInt32
  var length: Int

  /// Stray bytes have values of their own, above all of Unicode: no range in a pattern holds them.
  private static let strayBase: UInt32 = 0x11_0000

  init(_ text: [UInt8], _ position: Int, end: Int) {
    let first = text[position]
    let (following, bits): (Int, UInt32) =
      switch first {
      case 0..<0x80: (0, UInt32(first))
      case 0xC2...0xDF: (1, UInt32(first & 0x1F))
      case 0xE0...0xEF: (2, UInt32(first & 0x0F))
      case 0xF0...0xF4: (3, UInt32(first & 0x07))
      default: (0, Self.strayBase + UInt32(first))
      }
    value = bits
    length = 1
    guard following > 0 else { return }
    guard position + following < end else {
      value = Self.strayBase + UInt32(first)
      return
    }
    for offset in 1...following {
      let byte = text[position + offset]
      guard byte & 0xC0 == 0x80 else {
        value = Self.strayBase + UInt32(first)
        return
      }
      value = value << 6 | UInt32(byte & 0x3F)
    }
    length = 1 + following
  }
}
