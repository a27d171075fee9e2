import Testing

/// JSON Schema 2020-12, the part that our schemas use. An unknown keyword is a failure, not a pass.
struct SchemaValidator {
  let root: JSONValue

  private static let annotations: Set = ["$schema", "$defs", "title", "description", "default"]

  /// What is wrong with the value; empty where it is valid.
  func problems(_ value: JSONValue, _ schema: JSONValue? = nil, at place: String = "") -> [String] {
    let schema = schema ?? root
    return schema.keys.flatMap { keyword in
      Self.annotations.contains(keyword)
        ? [] : problems(value, keyword, schema[keyword]!, schema, place).map { "\(place): \($0)" }
    }
  }

  private func problems(
    _ value: JSONValue, _ keyword: String, _ operand: JSONValue, _ schema: JSONValue, _ place: String
  ) -> [String] {
    switch keyword {
    case "$ref": return problems(value, definition(operand), at: place)
    case "type":
      let types = operand.string.map { [$0] } ?? operand.items.compactMap(\.string)
      return types.contains(value.type) ? [] : ["\(value) isn't \(types)"]
    case "const": return value == operand ? [] : ["\(value) isn't \(operand)"]
    case "enum": return operand.items.contains(value) ? [] : ["\(value) isn't one of \(operand)"]
    case "oneOf":
      let count = operand.items.count { problems(value, $0, at: place).isEmpty }
      return count == 1 ? [] : ["\(value) fits \(count) of the alternatives"]
    case "items":
      return value.items.enumerated().flatMap { problems($0.element, operand, at: "\(place)/\($0.offset)") }
    case "properties":
      return value.keys.flatMap { key in
        operand[key].map { problems(value[key]!, $0, at: "\(place)/\(key)") } ?? []
      }
    case "additionalProperties":
      guard operand == .boolean(false) else { return ["additionalProperties: \(operand) isn't known here"] }
      return value.keys.filter { schema["properties"]?[$0] == nil }.map { "unknown key \($0)" }
    case "required":
      return operand.items.compactMap(\.string).filter { value[$0] == nil }.map { "\($0) is missing" }
    default: return limits(value, keyword, operand)
    }
  }

  private func limits(_ value: JSONValue, _ keyword: String, _ operand: JSONValue) -> [String] {
    switch keyword {
    case "pattern":
      guard let text = value.string else { return [] }
      guard let pattern = operand.string, let regex = try? Regex(pattern) else {
        return ["bad pattern \(operand)"]
      }
      return text.firstMatch(of: regex) != nil ? [] : ["\(text) isn't like \(pattern)"]
    case "minLength": return value.string.map { $0.count < operand.integer! } == true ? ["too short"] : []
    case "minItems": return value.items.count < operand.integer! ? ["too few"] : []
    case "minimum": return value.integer.map { $0 < operand.integer! } == true ? ["too small"] : []
    case "maximum": return value.integer.map { $0 > operand.integer! } == true ? ["too large"] : []
    default: return ["unknown keyword \(keyword)"]
    }
  }

  func definition(_ reference: JSONValue) -> JSONValue {
    let name = reference.string.map { String($0.dropFirst("#/$defs/".count)) } ?? ""
    return root["$defs"]?[name] ?? .object(["\(reference) isn't defined": .null])
  }
}

extension JSONValue {
  fileprivate var type: String {
    switch self {
    case .null: "null"
    case .boolean: "boolean"
    case .integer: "integer"
    case .string: "string"
    case .array: "array"
    case .object: "object"
    }
  }
}
