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

  /// `obstacles` tells what can't be had on this machine, which no file shows.
  package mutating func reload(_ obstacles: (PolicySet) -> [String] = { _ in [] }) -> Outcome {
    let (loaded, found) = PolicyDirectory.load(directory, configuration)
    diagnostics = found + (loaded.map(obstacles) ?? []).map { Diagnostic(file: directory, message: $0) }
    guard let loaded, diagnostics.allSatisfy({ $0.severity != .error }) else { return .refused(diagnostics) }
    let isUnchanged = loaded.fingerprint == policies.fingerprint
    policies = loaded
    return isUnchanged ? .unchanged(diagnostics) : .replaced(diagnostics)
  }
}
