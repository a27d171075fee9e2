/// How the policies came to their verdict on one file; for `tierctl policy explain`.
package struct PolicyExplanation: Hashable, Sendable {
  package struct Step: Hashable, Sendable {
    package var policy: Policy
    /// Nil: another one had decided before.
    package var judgement: PolicyJudgement?
  }

  package var volume: String
  package var path: RelativePath
  package var size: Int64
  /// The policies whose subtree holds the file, in the order in which they are asked.
  package var steps: [Step]
  /// Policies of the volume whose subtree doesn't hold the file.
  package var policiesElsewhere: Int
  package var verdict: Verdict

  /// Sentences for a person: each policy's answer, then the verdict.
  package var lines: [String] { steps.map(\.line) + [verdictLine] }

  private var verdictLine: String {
    switch verdict {
    case .governed(let policy): policy.effectLine
    case .excluded(let policy, let rule):
      rule.map { "Stays in the cache: policy \"\(policy.name)\" excludes it by \"\($0.glob.text)\"." }
        ?? "Stays in the cache: no policy is about it; \"\(policy.name)\" includes other files only."
    case .tooSmall(let policy):
      "Stays in the cache: smaller than policy \"\(policy.name)\" wants (size.min \(policy.minimumText))."
    case .tooLarge(let policy):
      "Stays in the cache: larger than policy \"\(policy.name)\" wants (size.max \(policy.maximumText))."
    case .temporary(let pattern):
      TemporaryNames.reservedPatterns.contains(pattern)
        ? "Never touched: a name of the system's or tierd's own (\"\(pattern)\")."
        : "Stays in the cache: a temporary file by its name (built-in pattern \"\(pattern)\"); "
          + "an exclude line with \"!\" and a pattern takes that back."
    case .ungoverned:
      policiesElsewhere == 0
        ? "Stays in the cache: volume \"\(volume)\" has no policy."
        : "Stays in the cache: none of the volume's \(policiesElsewhere) policies is for this path."
    }
  }
}

extension PolicyExplanation.Step {
  package var line: String {
    let path = policy.path.isRoot ? "the whole volume" : "\(policy.path)"
    let priority = policy.priority == 0 ? "" : ", priority \(policy.priority)"
    return "Policy \"\(policy.name)\" (\(path)\(priority)): \(answer)"
  }

  private var answer: String {
    switch judgement {
    case nil: "not asked, the decision is made."
    case .takes(let rule?): "takes it by include \"\(rule.glob.text)\"."
    case .takes(nil): "takes it; it is for every file here."
    case .notIncluded: "passes it over: no include pattern matches."
    case .excluded(let rule): "excludes it by \"\(rule.glob.text)\"; that is final."
    case .temporary(let pattern): "leaves it alone: a temporary name (\"\(pattern)\"); that is final."
    case .tooSmall: "passes it over: smaller than size.min \(policy.minimumText)."
    case .tooLarge: "passes it over: larger than size.max \(policy.maximumText)."
    }
  }
}

extension Policy {
  fileprivate var minimumText: String { ByteCount.exactText(minimumSize ?? 0) }
  fileprivate var maximumText: String { ByteCount.exactText(maximumSize ?? 0) }

  /// What the policy does to the files that it governs.
  fileprivate var effectLine: String {
    let archived =
      "Governed by policy \"\(name)\": archived to \"\(target ?? "")\" once unchanged for "
      + "\(archive.after.unitText), at the latest \(archive.within.unitText) later; "
    if pin { return archived + "never released (pin)\(restoreClause)." }
    let small =
      release.keepBelow > 0 ? "; below \(ByteCount.exactText(release.keepBelow)) it always stays" : ""
    let released =
      if restore.mode == .manual {
        "released and restored only by hand"
      } else if let after = release.after {
        "released once unused for \(after.unitText)"
      } else {
        "released only when the volume fills up or by hand"
      }
    return "\(archived)\(released)\(small)\(restoreClause)."
  }

  /// What the policy says of restoring that isn't the default.
  private var restoreClause: String {
    let usual = Restore()
    var parts: [String] = []
    if restore.mode != usual.mode, restore.mode != .manual { parts.append("mode \(restore.mode.rawValue)") }
    if restore.stay != usual.stay { parts.append("stay \(restore.stay.unitText)") }
    if !restore.refuse.rules.isEmpty {
      parts.append("refuse " + restore.refuse.rules.map { "\"\($0.text)\"" }.joined(separator: " "))
    }
    if restore.perMinute != usual.perMinute { parts.append("perMinute \(restore.perMinute)") }
    return parts.isEmpty ? "" : "; restore: " + parts.joined(separator: ", ")
  }
}
