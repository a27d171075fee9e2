import FoundationEssentials
import TierAPI
import TierCore

/// One request's parts, read strictly: what the API doesn't know is an error, never ignored.
struct RouteInput: Sendable {
  /// What stood for `{id}`.
  var id: String
  private var query: [String: String]
  private var bytes: [UInt8]

  init(id: String, query: String?, knownParameters: Set<String>, body: [UInt8]) throws(TierError) {
    self.id = id
    self.query = [:]
    bytes = body
    for pair in (query ?? "").split(separator: "&") {
      let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard let name = PercentText.decode(parts[0]),
        let value = PercentText.decode(parts.dropFirst().first ?? "")
      else { throw TierError(.badRequest, "the query isn't percent-encoded UTF-8") }
      guard knownParameters.contains(name) else {
        let known = knownParameters.sorted().map { "\"\($0)\"" }.joined(separator: ", ")
        throw TierError(
          .badRequest,
          "unknown parameter \"\(EscapedText.encode(Array(name.utf8)))\""
            + (known.isEmpty ? " (there is none here)" : " (known: \(known))"))
      }
      guard self.query.updateValue(value, forKey: name) == nil else {
        throw TierError(.badRequest, "parameter \"\(name)\" is there twice")
      }
    }
  }

  /// Nil where it is absent or empty.
  func text(_ name: String) -> String? { query[name].flatMap { $0.isEmpty ? nil : $0 } }

  func path(_ name: String) throws(TierError) -> AbsolutePath {
    guard let text = query[name] else { throw TierError(.badRequest, "parameter \"\(name)\" is missing") }
    guard let path = AbsolutePath(escaped: text) else {
      throw TierError(.badRequest, "parameter \"\(name)\": \(AbsolutePath.rule)")
    }
    return path
  }

  func flag(_ name: String) throws(TierError) -> Bool {
    switch query[name] {
    case nil, "false": return false
    case "true": return true
    default: throw TierError(.badRequest, "parameter \"\(name)\" is neither \"true\" nor \"false\"")
    }
  }

  func number(_ name: String, in range: ClosedRange<Int>) throws(TierError) -> Int? {
    guard let text = query[name] else { return nil }
    guard let number = Int(text), range.contains(number) else {
      throw TierError(
        .badRequest,
        "parameter \"\(name)\" is not a whole number from \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  func body<Body: RequestBody>(_: Body.Type) throws(TierError) -> Body {
    do {
      // `curl -X POST` without a body means no fields.
      let data = bytes.isEmpty ? Data("{}".utf8) : Data(bytes)
      return try JSONDecoder().decode(StrictBody<Body>.self, from: data).value
    } catch let error as DecodingError {
      throw TierError(.badRequest, error.sentence)
    } catch {
      throw TierError(.badRequest, "the body isn't JSON")
    }
  }
}

/// Synthesized decoding drops what it doesn't know: a misspelt `planOnly` would then restore for real.
private struct StrictBody<Body: RequestBody>: Decodable {
  let value: Body

  init(from decoder: any Decoder) throws {
    let known = Set(Body.Field.allCases.map(\.stringValue))
    for key in try decoder.container(keyedBy: AnyField.self).allKeys where !known.contains(key.stringValue) {
      let name = EscapedText.encode(Array(key.stringValue.utf8))
      let names = known.sorted().map { "\"\($0)\"" }.joined(separator: ", ")
      throw DecodingError.dataCorrupted(
        .init(codingPath: [], debugDescription: "unknown field \"\(name)\" (known: \(names))"))
    }
    value = try Body(from: decoder)
  }
}

private struct AnyField: CodingKey {
  var stringValue: String
  var intValue: Int? { nil }
  init(stringValue: String) { self.stringValue = stringValue }
  init?(intValue: Int) { nil }
}

extension DecodingError {
  /// For a person: which field, and what is wrong with it.
  fileprivate var sentence: String {
    switch self {
    case .keyNotFound(let key, let context):
      return "field \"\((context.codingPath + [key]).dotted)\" is missing"
    case .typeMismatch(let type, let context), .valueNotFound(let type, let context):
      return place(context) + "not \(Self.words[ObjectIdentifier(type)] ?? "of the right type")"
    case .dataCorrupted(let context) where context.codingPath.isEmpty:
      // Foundation calls a fraction where a whole number belongs "not valid JSON" too.
      return context.debugDescription.hasPrefix("unknown field")
        ? context.debugDescription : "the body isn't JSON, or a number in it isn't whole"
    case .dataCorrupted(let context): return place(context) + context.reason
    @unknown default: return "the body isn't as documented"
    }
  }

  private func place(_ context: Context) -> String {
    context.codingPath.isEmpty ? "the body is " : "field \"\(context.codingPath.dotted)\": "
  }

  private static let words: [ObjectIdentifier: String] = [
    ObjectIdentifier(String.self): "a string", ObjectIdentifier(Bool.self): "true or false",
    ObjectIdentifier(Int64.self): "a whole number", ObjectIdentifier(Int.self): "a whole number",
    ObjectIdentifier([String: Any].self): "an object", ObjectIdentifier([Any].self): "a list",
  ]
}

extension DecodingError.Context {
  /// Foundation may quote the input: cut, and on one line.
  fileprivate var reason: String {
    var reason = ""
    for scalar in debugDescription.unicodeScalars.prefix(300) {
      reason.unicodeScalars.append(scalar.value < 0x20 ? " " : scalar)
    }
    return reason
  }
}

extension [any CodingKey] {
  fileprivate var dotted: String {
    reduce("") { text, key in
      if let index = key.intValue { return "\(text)[\(index)]" }
      return text.isEmpty ? key.stringValue : "\(text).\(key.stringValue)"
    }
  }
}
