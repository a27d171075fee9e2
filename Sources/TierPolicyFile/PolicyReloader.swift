import TierCore

/// The policies in force. A reload that finds an error changes nothing.
package struct PolicyReloader: Sendable {
  package enum Outcome: Hashable, Sendable {
    /// The same content: nothing to compute anew. With warnings, if any.
    case unchanged([Diagnostic])
    case replaced([Diagnostic])
    /// The old ones stay in force; errors and warnings.
    case refused([Diagnostic])
  }

  package let directory: String
  package let configuration: Configuration
  package private(set) var policies: PolicySet
  /// Of the last attempt; for `status` and the log.
  package private(set) var diagnostics: [Diagnostic] = []

  /// Starts with `policies`, the last known good ones, or none.
  package init(configuration: Configuration, policies: PolicySet = .empty) {
    directory = configuration.policyDirectory
    self.configuration = configuration
    self.policies = policies
  }

  package mutating func reload() -> Outcome {
    let (loaded, diagnostics) = PolicyDirectory.load(directory, configuration)
    self.diagnostics = diagnostics
    guard let loaded else { return .refused(diagnostics) }
    let isUnchanged = loaded.fingerprint == policies.fingerprint
    policies = loaded
    return isUnchanged ? .unchanged(diagnostics) : .replaced(diagnostics)
  }
}
