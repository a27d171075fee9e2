/// Reads one document strictly: no aliases, anchors, tags or merge keys, keys are texts and stand once, and
/// nothing is nested deeper than any of our formats needs.
struct YAMLDocument {
  private static let depthLimit = 16

  private let events: YAMLEvents
  private let source: SourceText
  private let findings: Findings

  /// Nil where there is no node to go on with; what is wrong is in `findings` in any case.
  static func read(_ source: SourceText, _ findings: Findings) -> YAMLNode? {
    let document = YAMLDocument(events: YAMLEvents(source.bytes), source: source, findings: findings)
    do {
      return try document.root()
    } catch {
      if let error = error as? YAMLEvents.SyntaxError {
        let (message, mark) = error.explanation(in: source)
        findings.report(message, at: mark)
      }
      return nil
    }
  }

  /// Ends the reading after a report.
  private struct Stop: Error {}

  private func root() throws -> YAMLNode? {
    let first = try events.next()
    guard case .documentStart = first.event else {
      findings.report("the file is empty", at: Mark(line: 1, column: 1))
      return nil
    }
    let node = try node(events.next(), depth: 0)
    _ = try events.next()
    let after = try events.next()
    if case .documentStart = after.event {
      findings.report("a second document starts here; write it into a file of its own", at: after.mark)
    }
    return node
  }

  private func node(_ item: YAMLEvents.Item, depth: Int) throws -> YAMLNode {
    guard depth <= Self.depthLimit else {
      findings.report("nested deeper than \(Self.depthLimit) levels", at: item.mark)
      throw Stop()
    }
    let isRefused = refuse(item)
    let node: YAMLNode
    switch item.event {
    case .scalar(let scalar): node = .scalar(scalar)
    case .sequenceStart: node = .sequence(try items(depth), item.mark)
    case .mappingStart: node = .mapping(try entries(depth), item.mark)
    default: node = .refused(item.mark)
    }
    return isRefused ? .refused(item.mark) : node
  }

  private func items(_ depth: Int) throws -> [YAMLNode] {
    var items: [YAMLNode] = []
    while true {
      let item = try events.next()
      if case .sequenceEnd = item.event { return items }
      items.append(try node(item, depth: depth + 1))
    }
  }

  private func entries(_ depth: Int) throws -> [YAMLEntry] {
    var entries: [YAMLEntry] = []
    var lines: [String: Int] = [:]
    while true {
      let item = try events.next()
      if case .mappingEnd = item.event { return entries }
      let key = try node(item, depth: depth + 1)
      let value = try node(events.next(), depth: depth + 1)
      guard case .scalar(let scalar) = key else {
        if case .refused = key { continue }
        findings.report("a key must be a text, found \(key.kindText)", at: key.mark)
        continue
      }
      if scalar.text == "<<", !scalar.isQuoted {
        findings.report("merge keys (\"<<\") aren't supported; write the keys out", at: scalar.mark)
      } else if let line = lines[scalar.text] {
        findings.report("\"\(scalar.text.clipped)\" is set twice; first on line \(line)", at: scalar.mark)
      } else {
        lines[scalar.text] = scalar.mark.line
        entries.append(YAMLEntry(key: scalar, value: value))
      }
    }
  }

  /// True where the node uses what we don't have, which is then reported.
  private func refuse(_ item: YAMLEvents.Item) -> Bool {
    if case .alias = item.event {
      findings.report(
        "a text that starts with \"*\" needs quotes; YAML aliases aren't supported", at: item.mark)
      return true
    }
    if item.anchor != nil {
      findings.report(
        "a text that starts with \"&\" needs quotes; YAML anchors aren't supported", at: item.mark)
      return true
    }
    // "!" alone marks quoted texts in some emitters' output; it is a tag all the same.
    if item.tag != nil {
      findings.report(
        "a text that starts with \"!\" needs quotes; YAML tags aren't supported", at: item.mark)
      return true
    }
    return false
  }
}
