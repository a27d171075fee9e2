/// One thing wrong in a file, where, and the way out. Never holds a secret: values of keys that lead to one are
/// left out.
package struct Diagnostic: Hashable, Sendable {
  package enum Severity: String, Hashable, Sendable {
    /// The file isn't used.
    case error
    /// The file is used as it is.
    case warning
  }

  package var severity: Severity
  package var file: String
  /// From 1; 0 where the whole file is meant.
  package var line: Int
  /// From 1, in characters.
  package var column: Int
  package var message: String

  package init(_ severity: Severity = .error, file: String, line: Int = 0, column: Int = 0, message: String) {
    self.severity = severity
    self.file = file
    self.line = line
    self.column = column
    self.message = message
  }
}

extension Diagnostic: CustomStringConvertible {
  /// As compilers print them: `policies/photos.yaml:7:12: …`.
  package var description: String {
    let place = line > 0 ? "\(file):\(line):\(column)" : file
    return severity == .error ? "\(place): \(message)" : "\(place): warning: \(message)"
  }
}

extension Sequence<Diagnostic> {
  package var hasErrors: Bool { contains { $0.severity == .error } }

  /// By file and place, as a person reads them.
  package var inOrder: [Diagnostic] {
    sorted { ($0.file, $0.line, $0.column, $0.message) < ($1.file, $1.line, $1.column, $1.message) }
  }
}

/// Collects what is wrong in one file. Bounded: after `limit` only the fact that there is more, and the same
/// words only so often.
final class Findings {
  private static let limit = 100
  private static let sameWordsLimit = 5

  let file: String
  private(set) var diagnostics: [Diagnostic] = []
  private var counts: [String: Int] = [:]

  init(file: String) { self.file = file }

  var hasErrors: Bool { diagnostics.hasErrors }

  func report(_ message: String, at mark: Mark?, _ severity: Diagnostic.Severity = .error) {
    counts[message, default: 0] += 1
    guard diagnostics.count <= Self.limit, counts[message]! <= Self.sameWordsLimit else { return }
    if diagnostics.count == Self.limit {
      diagnostics.append(
        Diagnostic(
          file: file, line: .max, column: 1, message: "more than \(Self.limit) problems: mend these first"))
      return
    }
    diagnostics.append(
      Diagnostic(severity, file: file, line: mark?.line ?? 0, column: mark?.column ?? 0, message: message))
  }
}
