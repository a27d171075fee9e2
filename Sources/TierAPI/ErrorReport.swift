import TierCore

/// The body of every answer that isn't a success.
package struct ErrorReport: Codable, Hashable, Sendable, Error {
  /// `TierError.Code`, as text: a client must live with codes that it doesn't know.
  package var code: String
  /// One sentence for a person.
  package var message: String
  /// Escaped text.
  package var path: String?
  package var cause: String?
  package var fix: String?
  /// The same request may succeed later.
  package var mayRetry: Bool

  package init(
    code: String, message: String, path: String? = nil, cause: String? = nil, fix: String? = nil,
    mayRetry: Bool = false
  ) {
    self.code = code
    self.message = message
    self.path = path
    self.cause = cause
    self.fix = fix
    self.mayRetry = mayRetry
  }

  package init(_ error: TierError, fix: String? = nil) {
    self.init(
      code: error.code.rawValue, message: error.message, path: error.path, cause: error.cause, fix: fix,
      mayRetry: error.disposition == .retry)
  }
}
