/// Reads a pattern's text. Refuses what gitignore would silently take for something else.
struct GlobParser {
  struct Result {
    var isAnchored: Bool
    var namesFoldersOnly: Bool
    var segments: [Glob.Segment]
  }

  /// Far more than a path can hold.
  private static let lengthLimit = 4096

  private let scalars: [Unicode.Scalar]
  private var position = 0

  init(_ text: String) { scalars = Array(text.unicodeScalars) }

  mutating func parse() throws(GlobError) -> Result {
    guard !scalars.isEmpty else { throw error("the pattern is empty") }
    guard scalars.count <= Self.lengthLimit else { throw error("longer than \(Self.lengthLimit) characters") }
    if scalars[0] == "!" {
      throw error(
        "\"!\" belongs before a pattern under exclude only; a name that starts so is written \"\\!\"")
    }
    var isAnchored = false
    var namesFoldersOnly = false
    var segments: [Glob.Segment] = []
    if peek == "/" {
      isAnchored = true
      position += 1
      if peek == nil { throw error("names no file; all of them are \"**\"", at: 0) }
    }
    while true {
      segments.append(try segment())
      guard peek == "/" else { break }
      position += 1
      if peek == nil {
        namesFoldersOnly = true
        break
      }
      isAnchored = true
    }
    if case .anyFolders? = segments.last {
      // `a/**` is all below `a`, as `a/` is; `**/` is any folder.
      if namesFoldersOnly {
        segments.append(.name(.anything))
      } else {
        segments.removeLast()
        namesFoldersOnly = true
      }
      isAnchored = true
    }
    return Result(isAnchored: isAnchored, namesFoldersOnly: namesFoldersOnly, segments: segments)
  }

  /// One name alone, without folders.
  mutating func parseName() throws(GlobError) -> NamePattern {
    guard !scalars.isEmpty else { throw error("the pattern is empty") }
    guard scalars.count <= Self.lengthLimit else { throw error("longer than \(Self.lengthLimit) characters") }
    guard case .name(let pattern) = try segment(), peek == nil else {
      throw error("\"**\" stands for folders; within a name write \"*\"", at: 0)
    }
    return pattern
  }

  private mutating func segment() throws(GlobError) -> Glob.Segment {
    let start = position
    var tokens: [NamePattern.Token] = []
    while let scalar = peek, scalar != "/" {
      position += 1
      switch scalar {
      case "*":
        if peek == "*" { return try anyFolders(from: start) }
        tokens.append(.anyRun)
      case "?": tokens.append(.anyCharacter)
      case "[": tokens.append(.set(try set()))
      case "\\": tokens += try escape().map { .byte($0) }
      case "\0": throw error("no name holds a NUL", at: position - 1)
      default: tokens += UTF8.encode(scalar)!.map { .byte($0) }
      }
    }
    if tokens.isEmpty {
      throw error("two slashes in a row", at: start)
    }
    if tokens == [.byte(.dot)] || tokens == [.byte(.dot), .byte(.dot)] {
      throw error("\".\" and \"..\" match nothing: patterns start at the policy's path", at: start)
    }
    return .name(NamePattern(tokens))
  }

  private mutating func anyFolders(from start: Int) throws(GlobError) -> Glob.Segment {
    let first = position - 1
    position += 1
    guard first == start, peek == nil || peek == "/" else {
      throw error(
        "\"**\" stands alone between slashes, as in \"a/**/b\"; within one name write \"*\"", at: first)
    }
    return .anyFolders
  }

  /// After a backslash.
  private mutating func escape() throws(GlobError) -> [UInt8] {
    let start = position - 1
    guard let scalar = peek else { throw error("a backslash at the end escapes nothing", at: start) }
    position += 1
    if scalar == "/" { throw error("a slash can't be escaped: no name holds one", at: start) }
    guard scalar == "x" else { return Array(UTF8.encode(scalar)!) }
    let digits = scalars[position...].prefix(2).compactMap { Character($0).hexDigitValue }
    guard digits.count == 2 else {
      throw error("\"\\x\" wants two hexadecimal digits: \"\\xNN\"", at: start)
    }
    position += 2
    let byte = UInt8(digits[0] << 4 | digits[1])
    guard byte != 0, byte != .slash else { throw error("no name holds this byte", at: start) }
    return [byte]
  }

  /// After an opening bracket.
  private mutating func set() throws(GlobError) -> NamePattern.CharacterSet {
    let start = position - 1
    var set = NamePattern.CharacterSet(ranges: [], isNegated: false)
    if peek == "!" || peek == "^" {
      set.isNegated = true
      position += 1
    }
    repeat {
      let low = try setCharacter(start)
      guard peek == "-", position + 1 < scalars.count, scalars[position + 1] != "]" else {
        set.ranges.append(low...low)
        continue
      }
      position += 1
      let place = position
      let high = try setCharacter(start)
      guard low <= high else { throw error("the range runs backwards", at: place - 2) }
      set.ranges.append(low...high)
    } while peek != "]"
    position += 1
    return set
  }

  private mutating func setCharacter(_ start: Int) throws(GlobError) -> UInt32 {
    guard var scalar = peek else {
      throw error("\"[\" without \"]\"; a bracket itself is written \"\\[\"", at: start)
    }
    if scalar == "[", position + 1 < scalars.count, scalars[position + 1] == ":" {
      throw error("classes like \"[:alpha:]\" aren't known; write \"[a-zA-Z]\"", at: position)
    }
    if scalar == "/" { throw error("\"[\" without \"]\" before the slash", at: start) }
    position += 1
    if scalar == "\\" {
      guard let escaped = peek else {
        throw error("a backslash at the end escapes nothing", at: position - 1)
      }
      position += 1
      scalar = escaped
    }
    return scalar.value
  }

  private var peek: Unicode.Scalar? { position < scalars.count ? scalars[position] : nil }

  private func error(_ text: String, at place: Int? = nil) -> GlobError {
    GlobError(position: place ?? position, description: text)
  }
}
