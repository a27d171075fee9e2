import Testing

@testable import TierPolicyFile

/// A value as JSON Schema sees it. JSON is read by the YAML reader, whose language holds it.
indirect enum JSONValue: Equatable {
  case null
  case boolean(Bool)
  case integer(Int)
  case string(String)
  case array([JSONValue])
  case object([String: JSONValue])

  /// Plain scalars become what YAML 1.2's core schema, which editors use, makes of them.
  init(_ node: YAMLNode) {
    switch node {
    case .scalar(let scalar) where scalar.isQuoted: self = .string(scalar.text)
    case .scalar(let scalar):
      switch scalar.text {
      case "true", "false": self = .boolean(scalar.text == "true")
      case "", "~", "null": self = .null
      default: self = Int(scalar.text).map { .integer($0) } ?? .string(scalar.text)
      }
    case .sequence(let items, _): self = .array(items.map(JSONValue.init))
    case .mapping(let entries, _):
      self = .object(
        Dictionary(uniqueKeysWithValues: entries.map { ($0.key.text, JSONValue($0.value)) }))
    case .refused: self = .null
    }
  }

  static func load(_ path: String) throws -> JSONValue {
    let findings = Findings(file: path)
    let source = try #require(SourceText.load(path, findings))
    let node = try #require(YAMLDocument.read(source, findings), "\(findings.diagnostics)")
    try #require(!findings.hasErrors, "\(findings.diagnostics)")
    return JSONValue(node)
  }

  subscript(key: String) -> JSONValue? {
    guard case .object(let members) = self else { return nil }
    return members[key]
  }

  var keys: [String] {
    guard case .object(let members) = self else { return [] }
    return members.keys.sorted()
  }

  var items: [JSONValue] {
    guard case .array(let items) = self else { return [] }
    return items
  }

  var string: String? {
    guard case .string(let text) = self else { return nil }
    return text
  }

  var integer: Int? {
    guard case .integer(let value) = self else { return nil }
    return value
  }
}
