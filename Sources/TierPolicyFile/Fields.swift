import TierCore

/// One group of keys and values, read by name. Readers give nil for what is missing or wrong; what is wrong is
/// reported, so that one run tells everything.
struct Fields {
  let mark: Mark
  /// `archive` or `targets[0].rsync`; empty at the top.
  let name: String
  let findings: Findings
  private let entries: [String: YAMLEntry]

  /// Nil where the node isn't a group of keys. Keys that `keys` doesn't hold are reported.
  init?(_ node: YAMLNode, named name: String, keys: [String], _ findings: Findings) {
    guard case .mapping(let entries, let mark) = node else {
      if case .refused = node { return nil }
      let expected =
        name.isEmpty ? "the file: expected keys and values" : "\"\(name)\": expected keys and values"
      findings.report(
        "\(expected) (\(keys.joined(separator: ", "))), found \(node.kindText)", at: node.mark)
      return nil
    }
    self.mark = mark
    self.name = name
    self.findings = findings
    var known: [String: YAMLEntry] = [:]
    for entry in entries {
      guard keys.contains(entry.key.text) else {
        let place = name.isEmpty ? "" : " in \"\(name)\""
        let hint = wayOut(for: entry.key.text, among: keys, called: "known keys")
        findings.report("unknown key \"\(entry.key.text.clipped)\"\(place)\(hint)", at: entry.key.mark)
        continue
      }
      known[entry.key.text] = entry
    }
    self.entries = known
  }

  func has(_ key: String) -> Bool { entries[key] != nil }

  /// Where the key's value stands; the group's own place where it is missing.
  func mark(of key: String) -> Mark { entries[key]?.value.mark ?? mark }

  func keyMark(of key: String) -> Mark { entries[key]?.key.mark ?? mark }

  func fullName(_ key: String) -> String { name.isEmpty ? key : "\(name).\(key)" }

  func missing(_ keys: String...) {
    for key in keys where entries[key] == nil {
      findings.report("\"\(fullName(key))\" is missing", at: mark)
    }
  }

  /// A nested group.
  func group(_ key: String, keys: [String]) -> Fields? {
    entries[key].flatMap { Fields($0.value, named: fullName(key), keys: keys, findings) }
  }

  /// A list's items with their names, `volumes[0]`.
  func list(_ key: String, ifEmpty emptyWayOut: String = "leave the key out") -> [(
    name: String, node: YAMLNode
  )]? {
    guard let value = entries[key]?.value else { return nil }
    guard case .sequence(let items, let mark) = value else {
      if case .refused = value { return nil }
      findings.report(
        "\"\(fullName(key))\": expected a list (lines that start with \"- \"), found \(value.kindText)",
        at: value.mark)
      return nil
    }
    if items.isEmpty {
      findings.report("\"\(fullName(key))\": the list is empty; \(emptyWayOut)", at: mark)
    }
    return items.enumerated().map { ("\(fullName(key))[\($0.offset)]", $0.element) }
  }

  /// The items of a list of patterns.
  func patterns(_ key: String) -> [Field] {
    (list(key) ?? []).compactMap { name, node in
      if case .scalar(let scalar) = node, scalar.isEmpty {
        findings.report(
          "\"\(name)\" is empty; a pattern that starts with \"#\" needs quotes", at: scalar.mark)
        return nil
      }
      return Field(node, named: name, findings)
    }
  }

  func field(_ key: String, isShown: Bool = true) -> Field? {
    entries[key].flatMap { Field($0.value, named: fullName(key), isShown: isShown, findings) }
  }
}

/// One text with its name and place.
struct Field {
  let name: String
  let scalar: YAMLScalar
  /// False for what may be a secret put into the wrong place: messages leave the value out.
  let isShown: Bool
  let findings: Findings

  /// Nil where the node isn't a text, or an empty one.
  init?(_ node: YAMLNode, named name: String, isShown: Bool = true, _ findings: Findings) {
    guard case .scalar(let scalar) = node else {
      if case .refused = node { return nil }
      findings.report("\"\(name)\": expected a text, found \(node.kindText)", at: node.mark)
      return nil
    }
    guard !scalar.text.isEmpty else {
      findings.report("\"\(name)\" is empty; give it a value or leave it out", at: scalar.mark)
      return nil
    }
    if !scalar.isQuoted, ["~", "null", "Null", "NULL"].contains(scalar.text) {
      findings.report("\"\(name)\" is null; give it a value or leave it out", at: scalar.mark)
      return nil
    }
    self.name = name
    self.scalar = scalar
    self.isShown = isShown
    self.findings = findings
  }

  var text: String { scalar.text }

  func report(_ problem: String, at mark: Mark? = nil, _ severity: Diagnostic.Severity = .error) {
    let subject = isShown ? "\(name): \(text.clipped)" : name
    findings.report("\"\(subject)\": \(problem)", at: mark ?? scalar.mark, severity)
  }
}
