import FoundationEssentials

package enum OutputFormat: String, CaseIterable, Sendable {
  case table, wide, json, yaml
}

/// A report as a person reads it; `Encodable` for programs.
package protocol Presentable: Encodable {
  func text(_ style: TextStyle) -> String
}

/// Every report that tierctl prints goes through here.
package struct Renderer: Sendable {
  package var format: OutputFormat
  package var style: TextStyle

  package init(format: OutputFormat, style: TextStyle) {
    self.format = format
    self.style = style
  }

  /// Ends with a newline, unless there is nothing to say.
  package func render(_ report: some Presentable) throws -> String {
    switch format {
    case .table: style.printable(report.text(style.with(isWide: false)))
    case .wide: style.printable(report.text(style.with(isWide: true)))
    case .json: try StructuredText.json(report)
    case .yaml: try StructuredText.yaml(report)
    }
  }
}

/// Machine-readable text: UTF-8 whatever the locale, keys sorted.
enum StructuredText {
  static func json(_ value: some Encodable) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(value), as: UTF8.self) + "\n"
  }

  static func yaml(_ value: some Encodable) throws -> String {
    let tree = try JSONDecoder().decode(JSONValue.self, from: try JSONEncoder().encode(value))
    return tree.yamlLines.map { $0 + "\n" }.joined()
  }
}

private enum JSONValue: Decodable {
  case null
  case bool(Bool)
  case integer(Int64)
  case number(Double)
  case string(String)
  case list([JSONValue])
  case object([String: JSONValue])

  init(from decoder: any Decoder) throws {
    let value = try decoder.singleValueContainer()
    if value.decodeNil() {
      self = .null
    } else if let bool = try? value.decode(Bool.self) {
      self = .bool(bool)
    } else if let integer = try? value.decode(Int64.self) {
      self = .integer(integer)
    } else if let number = try? value.decode(Double.self) {
      self = .number(number)
    } else if let string = try? value.decode(String.self) {
      self = .string(string)
    } else if let list = try? value.decode([JSONValue].self) {
      self = .list(list)
    } else {
      self = .object(try value.decode([String: JSONValue].self))
    }
  }

  /// Block style; every string is quoted, so that none is taken for a number, a date or `no`.
  var yamlLines: [String] {
    switch self {
    case .list(let items) where !items.isEmpty:
      items.flatMap { item in
        let lines = item.yamlLines
        return ["- " + lines[0]] + lines.dropFirst().map { "  " + $0 }
      }
    case .object(let fields) where !fields.isEmpty:
      fields.sorted { $0.key < $1.key }.flatMap { key, value -> [String] in
        switch value {
        case .list(let items) where !items.isEmpty: ["\(key):"] + value.yamlLines
        case .object(let fields) where !fields.isEmpty: ["\(key):"] + value.yamlLines.map { "  " + $0 }
        default: ["\(key): \(value.yamlLines[0])"]
        }
      }
    case .null: ["null"]
    case .bool(let bool): ["\(bool)"]
    case .integer(let integer): ["\(integer)"]
    case .number(let number): ["\(number)"]
    case .string(let string): [Self.quoted(string)]
    case .list: ["[]"]
    case .object: ["{}"]
    }
  }

  private static func quoted(_ text: String) -> String {
    var quoted = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": quoted += "\\\""
      case "\\": quoted += "\\\\"
      case "\n": quoted += "\\n"
      case "\t": quoted += "\\t"
      case _ where scalar.value < 0x20 || (0x7F..<0xA0).contains(scalar.value):
        quoted += "\\x" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
      default: quoted.unicodeScalars.append(scalar)
      }
    }
    return quoted + "\""
  }
}
