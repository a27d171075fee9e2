import TierCore

/// `expect.yaml` beside a `policy.yaml`: files by path, size and age, and what must become of them. Run by
/// `tierd check-policy`, so that a policy is tested before it moves anything. `docs/policies.md` is the
/// reference.
package enum PolicyExpectations {
  package static let keys = ["path", "size", "age", "unused", "expect", "release", "by", "policy"]

  /// What becomes of the file now.
  package enum Outcome: String, CaseIterable, Sendable {
    /// Governed, not old enough to be archived.
    case young
    /// May be archived by any window.
    case due
    /// Must have been archived by now: a window opens for it.
    case overdue
    case excluded, notIncluded, tooSmall, tooLarge, temporary, ungoverned
  }

  package enum ReleaseOutcome: String, CaseIterable, Sendable {
    case stays, later, due, whenFull
  }

  /// Checks the `expect.yaml` beside each policy of the directory that has one. Nothing to say: all hold.
  package static func check(_ directory: String, _ policies: PolicySet) -> [Diagnostic] {
    guard case .success(let files) = PolicyDirectory.files(in: directory) else { return [] }
    var diagnostics: [Diagnostic] = []
    for file in files where file.hasSuffix("/policy.yaml") {
      let expectations = file.dropLast("policy.yaml".count) + "expect.yaml"
      guard SourceText.exists(String(expectations)), let policy = PolicyFile.load(file).policy else {
        continue
      }
      diagnostics += check(String(expectations), of: policy, policies).diagnostics
    }
    return diagnostics
  }

  /// `policy` is the one beside the file; `policies` decides. `count` is the number of files looked at.
  package static func check(_ file: String, of policy: Policy, _ policies: PolicySet)
    -> (count: Int, diagnostics: [Diagnostic])
  {
    let findings = Findings(file: file)
    guard let source = SourceText.load(file, findings), let node = YAMLDocument.read(source, findings) else {
      return (0, findings.diagnostics)
    }
    guard case .sequence(let items, _) = node else {
      findings.report("the file: expected a list, found \(node.kindText)", at: node.mark)
      return (0, findings.diagnostics)
    }
    for (index, item) in items.enumerated() {
      if let expectation = Expectation(item, named: "[\(index)]", policy, findings) {
        expectation.compare(with: policies)
      }
    }
    return (items.count, findings.diagnostics.inOrder)
  }
}

/// One file of an `expect.yaml`.
private struct Expectation {
  private let fields: Fields
  private let path: RelativePath
  private let size: Int64
  private let age: Duration
  private let unused: Duration
  private let outcome: PolicyExpectations.Outcome
  private let release: PolicyExpectations.ReleaseOutcome?
  /// The pattern that must have decided.
  private let by: String?
  private let policy: String
  private let volume: String

  init?(_ node: YAMLNode, named name: String, _ policy: Policy, _ findings: Findings) {
    guard let fields = Fields(node, named: name, keys: PolicyExpectations.keys, findings) else { return nil }
    fields.missing("path", "expect")
    let ages = Duration.zero...Duration.seconds(100 * 365 * 24 * 3600)
    guard let path = fields.field("path")?.relativePath(below: "the volume"),
      let outcome = fields.field("expect")?.choice(PolicyExpectations.Outcome.self)
    else { return nil }
    self.fields = fields
    self.path = path
    self.outcome = outcome
    size = fields.field("size")?.size() ?? 1 << 20
    age = fields.field("age")?.duration(ages) ?? .zero
    unused = fields.field("unused")?.duration(ages) ?? age
    release = fields.field("release")?.choice()
    by = fields.field("by")?.text
    self.policy = fields.field("policy")?.checkedName() ?? policy.name
    volume = policy.volume
  }

  func compare(with policies: PolicySet) {
    let (outcome, release, by, policy) = actual(policies)
    guard outcome == self.outcome else {
      let why = policies.explain(volume: volume, path: path, size: size).lines.joined(separator: " ")
      fields.findings.report(
        "\(path): expected \(self.outcome.rawValue), it is \(outcome.rawValue). \(why)",
        at: fields.mark(of: "expect"))
      return
    }
    if let expected = self.release, expected != release {
      let found = release?.rawValue ?? "not governed"
      fields.findings.report(
        "\(path): expected release \(expected.rawValue), it is \(found)", at: fields.mark(of: "release"))
    }
    if let expected = self.by, expected != by {
      fields.findings.report(
        "\(path): expected \"\(expected)\" to decide, it was \(by.map { "\"\($0)\"" } ?? "no pattern")",
        at: fields.mark(of: "by"))
    }
    if let policy, policy != self.policy {
      fields.findings.report(
        "\(path): expected policy \"\(self.policy)\" to decide, it was \"\(policy)\"",
        at: fields.mark(of: fields.has("policy") ? "policy" : "path"))
    }
  }

  private func actual(_ policies: PolicySet) -> (
    outcome: PolicyExpectations.Outcome, release: PolicyExpectations.ReleaseOutcome?, by: String?,
    policy: String?
  ) {
    switch policies.decide(volume: volume, path: path, size: size) {
    case .governed(let policy):
      let (outcome, release) = dates(policy)
      let steps = policies.explain(volume: volume, path: path, size: size).steps
      var by: String?
      if case .takes(let rule?)? = steps.last(where: { $0.judgement != nil })?.judgement {
        by = rule.glob.text
      }
      return (outcome, release, by, policy.name)
    case .excluded(let policy, let rule?): return (.excluded, nil, rule.glob.text, policy.name)
    case .excluded(let policy, nil): return (.notIncluded, nil, nil, policy.name)
    case .tooSmall(let policy): return (.tooSmall, nil, nil, policy.name)
    case .tooLarge(let policy): return (.tooLarge, nil, nil, policy.name)
    case .temporary(let pattern): return (.temporary, nil, pattern, nil)
    case .ungoverned: return (.ungoverned, nil, nil, nil)
    }
  }

  private func dates(_ policy: Policy) -> (PolicyExpectations.Outcome, PolicyExpectations.ReleaseOutcome) {
    // Any moment will do: only differences matter.
    let now = Timestamp(seconds: 1_800_000_000)
    let dates = policy.dates(lastChange: now - age, lastUse: now - unused, size: size)
    let outcome: PolicyExpectations.Outcome =
      now < dates.archiveDue ? .young : now < dates.archiveBy ? .due : .overdue
    let release: PolicyExpectations.ReleaseOutcome =
      switch dates.releaseDue {
      case nil: .stays
      case .distantFuture?: .whenFull
      case let due?: due <= now ? .due : .later
      }
    return (outcome, release)
  }
}
