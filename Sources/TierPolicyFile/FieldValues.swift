import TierCore

extension Field {
  /// Names stand in paths on targets and in commands.
  func checkedName() -> String? {
    let isGood =
      text.utf8.count <= 63 && text.first != "." && text.first != "-" && text.first != "_"
      && text.utf8.allSatisfy {
        switch $0 {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        case UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"): true
        default: false
        }
      }
    if isGood { return text }
    report(
      "a name has lower-case letters, digits, \"-\", \"_\" and \".\", starts with a letter or digit, "
        + "and is at most 63 long")
    return nil
  }

  /// `words` are what the caller took out before: named in the way out.
  func duration(_ range: ClosedRange<Duration>, orWords words: String = "") -> Duration? {
    do {
      let value = try Duration(unitText: text)
      if range.contains(value) { return value }
      report("out of range (\(range.lowerBound.unitText) to \(range.upperBound.unitText))")
    } catch {
      report(error.description + (words.isEmpty ? "" : "; or write \(words)"))
    }
    return nil
  }

  func size(from minimum: Int64 = 0) -> Int64? {
    do {
      let value = try ByteCount.parse(text)
      if value >= minimum { return value }
      report("out of range (\(ByteCount.exactText(minimum)) or more)")
    } catch {
      report(error.description)
    }
    return nil
  }

  func integer(_ range: ClosedRange<Int>) -> Int? {
    if isQuotedThough("a number") { return nil }
    let digits = text.first == "-" ? text.dropFirst() : text[...]
    guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let value = Int(text)
    else {
      report("not a whole number")
      return nil
    }
    guard digits == "0" || digits.first != "0" else {
      report("a number has no leading zeros (some YAML readers take it for an octal one); write \(value)")
      return nil
    }
    guard range.contains(value) else {
      report("out of range (\(range.lowerBound) to \(range.upperBound))")
      return nil
    }
    return value
  }

  func boolean() -> Bool? {
    if isQuotedThough("true or false") { return nil }
    switch text {
    case "true": return true
    case "false": return false
    default:
      report("write true or false")
      return nil
    }
  }

  /// `85%` as 0.85.
  func fraction(_ percent: ClosedRange<Int>) -> Double? {
    guard text.hasSuffix("%"), let value = Int(text.dropLast()), !text.hasPrefix("+") else {
      report("not a share (write for example 85%)")
      return nil
    }
    guard percent.contains(value) else {
      report("out of range (\(percent.lowerBound)% to \(percent.upperBound)%)")
      return nil
    }
    return Double(value) / 100
  }

  func choice<Value: RawRepresentable<String> & CaseIterable>(_: Value.Type = Value.self) -> Value? {
    if let value = Value(rawValue: text) { return value }
    let known = Value.allCases.map(\.rawValue)
    if let near = suggestion(for: text, among: known) {
      report("did you mean \"\(near)\"?")
    } else {
      report("use one of \(known.joined(separator: ", "))")
    }
    return nil
  }

  /// A folder below a root: `.` is the root itself. Written as tierd prints paths, so `\xNN` is a byte.
  func relativePath(below root: String) -> RelativePath? {
    if text == "." { return .root }
    guard text != "/" else {
      report("\(root) itself is written \".\"")
      return nil
    }
    guard !text.hasPrefix("/") else {
      report("starts at \(root), not at \"/\": leave the leading slash out")
      return nil
    }
    guard let bytes = EscapedText.decode(text.hasSuffix("/") ? String(text.dropLast()) : text) else {
      report("a backslash is written \"\\\\\", a byte that isn't text \"\\xNN\"")
      return nil
    }
    guard let path = RelativePath(bytes) else {
      report("a path has no empty, \".\" or \"..\" parts")
      return nil
    }
    return path
  }

  /// An absolute path without `.`, `..` and doubled slashes, so that paths can be compared as texts.
  func absolutePath(relativeTo directory: String? = nil) -> String? {
    var path = text
    if !path.hasPrefix("/") {
      guard let directory else {
        report("must be an absolute path, starting with \"/\"")
        return nil
      }
      path = directory + "/" + path
    }
    guard !path.utf8.contains(0) else {
      report("no path holds a NUL")
      return nil
    }
    var parts: [Substring] = []
    for part in path.split(separator: "/") where part != "." {
      guard part != ".." else {
        report("a path has no \"..\" parts here; write where it leads")
        return nil
      }
      parts.append(part)
    }
    return "/" + parts.joined(separator: "/")
  }

  func glob() -> Glob? { glob(text, offset: 0) }

  /// `!pattern` or a pattern, of `exclude`.
  func exclusion() -> PathRule? {
    if text.hasPrefix("!") {
      return glob(String(text.dropFirst()), offset: 1).map { PathRule(.except, $0) }
    }
    return glob().map { PathRule(.exclude, $0) }
  }

  /// `!pattern` or a pattern, of `restore.refuse`.
  func processRule() -> ProcessRule? {
    let isException = text.hasPrefix("!")
    do {
      let pattern = try ProcessPattern(isException ? String(text.dropFirst()) : text)
      return ProcessRule(isException ? .allow : .refuse, pattern)
    } catch {
      report(error.description, at: scalar.mark(at: error.position + (isException ? 1 : 0)))
      return nil
    }
  }

  private func glob(_ pattern: String, offset: Int) -> Glob? {
    do {
      return try Glob(pattern)
    } catch {
      report(error.description, at: scalar.mark(at: error.position + offset))
      return nil
    }
  }

  private func isQuotedThough(_ kind: String) -> Bool {
    if scalar.isQuoted { report("write \(kind) without quotes") }
    return scalar.isQuoted
  }
}
