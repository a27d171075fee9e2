package struct PoliciesReport: Codable, Hashable, Sendable {
  package var policies: [PolicyEntry]
  /// Of the last reload.
  package var diagnostics: [DiagnosticEntry]

  package init(policies: [PolicyEntry] = [], diagnostics: [DiagnosticEntry] = []) {
    self.policies = policies
    self.diagnostics = diagnostics
  }
}

package struct PolicyEntry: Codable, Hashable, Sendable {
  package var name: String
  package var file: String?
  package var volume: String
  /// The governed subtree.
  package var path: AbsolutePath
  package var target: String
  package var priority: Int
  package var archiveAfterSeconds: Int64
  package var archiveWithinSeconds: Int64
  /// Nil: only by the high watermark or by hand.
  package var releaseAfterSeconds: Int64?
  package var keepBelowBytes: Int64
  package var isPinned: Bool
  /// Nil: what apps delete goes at once.
  package var keepDeletedSeconds: Int64?
  /// As written: `include *.jpg`, `exclude cache/`.
  package var rules: [String]

  package init(
    name: String, file: String? = nil, volume: String, path: AbsolutePath, target: String, priority: Int = 0,
    archiveAfterSeconds: Int64, archiveWithinSeconds: Int64, releaseAfterSeconds: Int64? = nil,
    keepBelowBytes: Int64, isPinned: Bool = false, keepDeletedSeconds: Int64? = nil, rules: [String] = []
  ) {
    self.name = name
    self.file = file
    self.volume = volume
    self.path = path
    self.target = target
    self.priority = priority
    self.archiveAfterSeconds = archiveAfterSeconds
    self.archiveWithinSeconds = archiveWithinSeconds
    self.releaseAfterSeconds = releaseAfterSeconds
    self.keepBelowBytes = keepBelowBytes
    self.isPinned = isPinned
    self.keepDeletedSeconds = keepDeletedSeconds
    self.rules = rules
  }
}

/// Which policies were asked about a path, what each said and which decided.
package struct ExplainReport: Codable, Hashable, Sendable {
  package var path: AbsolutePath
  /// Nil: governed by none.
  package var policy: String?
  package var sentences: [String]

  package init(path: AbsolutePath, policy: String? = nil, sentences: [String] = []) {
    self.path = path
    self.policy = policy
    self.sentences = sentences
  }
}

package struct PolicyCheckReport: Codable, Hashable, Sendable {
  package var isValid: Bool
  package var diagnostics: [DiagnosticEntry]

  package init(isValid: Bool, diagnostics: [DiagnosticEntry] = []) {
    self.isValid = isValid
    self.diagnostics = diagnostics
  }
}
