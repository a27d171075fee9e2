/// Metrics in Prometheus's text format, version 0.0.4. Names are in base units; counters end in `_total`.
package struct MetricsText: Sendable {
  package enum Kind: String, Sendable { case gauge, counter }

  package private(set) var text = ""

  package init() {}

  /// One family. A sample's value is nil where it isn't known: it is then left out.
  package mutating func add(
    _ name: String, _ kind: Kind, _ help: String, _ samples: [(labels: [(String, String)], value: Double?)]
  ) {
    precondition((kind == .counter) == name.hasSuffix("_total"), "\(name) isn't named as a \(kind.rawValue)")
    let known = samples.filter { $0.value != nil }
    guard !known.isEmpty else { return }
    text += "# HELP \(name) \(Self.escape(help, quotes: false))\n# TYPE \(name) \(kind.rawValue)\n"
    for sample in known {
      let labels = sample.labels.map { "\($0.0)=\"\(Self.escape($0.1, quotes: true))\"" }.joined(
        separator: ",")
      text += labels.isEmpty ? name : "\(name){\(labels)}"
      text += " \(Self.number(sample.value!))\n"
    }
  }

  package mutating func add(_ name: String, _ kind: Kind, _ help: String, _ value: Double?) {
    add(name, kind, help, [(labels: [], value: value)])
  }

  private static func number(_ value: Double) -> String {
    if value.isNaN { return "NaN" }
    if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
    return Int64(exactly: value).map(String.init) ?? "\(value)"
  }

  private static func escape(_ text: String, quotes: Bool) -> String {
    text.replacing("\\", with: "\\\\").replacing("\n", with: "\\n").replacing(
      "\"", with: quotes ? "\\\"" : "\"")
  }
}
