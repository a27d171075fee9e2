import TierCore

/// The keys of a policy file, for the parser, its suggestions, and the schema's test.
package enum PolicyKeys {
  package static let policy = [
    "name", "volume", "path", "target", "priority", "include", "exclude", "size", "archive", "release", "pin",
    "keepDeleted", "restore",
  ]
  package static let required = ["name", "volume", "path"]
  package static let size = ["min", "max"]
  package static let archive = ["after", "within"]
  package static let release = ["after", "keepBelow"]
  package static let restore = ["mode", "stay", "refuse", "perMinute"]
}

/// Reads one policy from YAML. `docs/policies.md` is the reference.
package enum PolicyFile {
  package static func load(_ path: String) -> (policy: Policy?, diagnostics: [Diagnostic]) {
    let findings = Findings(file: path)
    let parsed = SourceText.load(path, findings).flatMap { ParsedPolicy($0, findings) }
    return (parsed?.policy, findings.diagnostics.inOrder)
  }

  /// `file` is for messages only.
  package static func parse(_ bytes: [UInt8], file: String) -> (policy: Policy?, diagnostics: [Diagnostic]) {
    let findings = Findings(file: file)
    let parsed = SourceText(bytes, findings).flatMap { ParsedPolicy($0, findings) }
    return (parsed?.policy, findings.diagnostics.inOrder)
  }
}

/// A policy with the places of what other files can contradict.
struct ParsedPolicy {
  let policy: Policy
  let findings: Findings
  private let fields: Fields

  func mark(of key: String) -> Mark { fields.mark(of: key) }

  var modeMark: Mark { fields.group("restore", keys: PolicyKeys.restore)?.mark(of: "mode") ?? fields.mark }

  /// Nil after an error; warnings alone don't stop it.
  init?(_ source: SourceText, _ findings: Findings) {
    guard let node = YAMLDocument.read(source, findings),
      let fields = Fields(node, named: "", keys: PolicyKeys.policy, findings)
    else { return nil }
    for key in PolicyKeys.required { fields.missing(key) }
    let name = fields.field("name")?.checkedName()
    let volume = fields.field("volume")?.checkedName()
    let path = fields.field("path")?.relativePath(below: "the volume")
    var policy = Policy(name: name ?? "", volume: volume ?? "", path: path ?? .root)
    policy.target = fields.field("target")?.checkedName()
    policy.priority = fields.field("priority")?.integer(-1000...1000) ?? policy.priority
    policy.rules = Self.rules(fields)
    Self.readSize(fields, into: &policy)
    Self.readRestore(fields, into: &policy)
    Self.readDates(fields, into: &policy)
    policy.pin = fields.field("pin")?.boolean() ?? policy.pin
    if policy.pin, fields.has("release") {
      findings.report(
        "\"release\" has no effect beside \"pin: true\"", at: fields.keyMark(of: "release"), .warning)
    }
    guard !findings.hasErrors else { return nil }
    self.policy = policy
    self.findings = findings
    self.fields = fields
  }

  private static let upToACentury = Duration.zero...Duration.seconds(100 * 365 * 24 * 3600)

  private static func rules(_ fields: Fields) -> [PathRule] {
    fields.patterns("include").compactMap { item in item.glob().map { PathRule(.include, $0) } }
      + fields.patterns("exclude").compactMap { $0.exclusion() }
  }

  private static func readSize(_ fields: Fields, into policy: inout Policy) {
    guard let size = fields.group("size", keys: PolicyKeys.size) else { return }
    policy.minimumSize = size.field("min")?.size()
    policy.maximumSize = size.field("max")?.size(from: 1)
    if let minimum = policy.minimumSize, let maximum = policy.maximumSize, minimum > maximum {
      fields.findings.report(
        "\"size.min\" is larger than \"size.max\": no file fits", at: size.mark(of: "min"))
    }
  }

  private static func readRestore(_ fields: Fields, into policy: inout Policy) {
    guard let restore = fields.group("restore", keys: PolicyKeys.restore) else { return }
    policy.restore.mode = restore.field("mode")?.choice() ?? policy.restore.mode
    policy.restore.stay = restore.field("stay")?.duration(upToACentury) ?? policy.restore.stay
    policy.restore.refuse = RefusedProcesses(restore.patterns("refuse").compactMap { $0.processRule() })
    policy.restore.perMinute = restore.field("perMinute")?.integer(1...1_000_000) ?? policy.restore.perMinute
  }

  private static func readDates(_ fields: Fields, into policy: inout Policy) {
    if let archive = fields.group("archive", keys: PolicyKeys.archive) {
      policy.archive.after = archive.field("after")?.duration(upToACentury) ?? policy.archive.after
      policy.archive.within =
        archive.field("within")?.duration(.seconds(1)...upToACentury.upperBound) ?? policy.archive.within
    }
    if let release = fields.group("release", keys: PolicyKeys.release) {
      if let after = release.field("after") {
        policy.release.after =
          after.text == "never" ? nil : after.duration(upToACentury, orWords: "never") ?? policy.release.after
        if policy.restore.mode == .manual, policy.release.after != nil {
          after.report(
            "has no effect beside \"restore.mode: manual\": only tierctl release releases",
            at: release.keyMark(of: "after"), .warning)
        }
      }
      policy.release.keepBelow = release.field("keepBelow")?.size() ?? policy.release.keepBelow
    }
    guard let kept = fields.field("keepDeleted") else { return }
    switch kept.text {
    case "never": policy.keepDeleted = nil
    case "forever": policy.keepDeleted = .forever
    default:
      policy.keepDeleted = kept.duration(upToACentury, orWords: "never or forever") ?? policy.keepDeleted
    }
  }
}
