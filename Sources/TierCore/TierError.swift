/// A system call that failed: the leaf of every error about files.
package struct SyscallError: Error, Hashable, Sendable {
  /// As in the manual, e.g. `renameat2`.
  package var call: String
  /// Escaped for print.
  package var path: String
  package var errno: Int32

  package init(call: String, path: String, errno: Int32) {
    self.call = call
    self.path = path
    self.errno = errno
  }
}

/// What may be done about an error.
package enum Disposition: String, Sendable {
  /// Passing: again later, with back-off.
  case retry
  /// Stays so until a person or an app changes something.
  case permanent
  /// The daemon can't go on.
  case fatal
}

/// The one error that crosses module boundaries: what, where, and the way out.
package struct TierError: Error, Sendable {
  package enum Code: String, Sendable {
    case badConfiguration, badRequest, notFound, unsupported
    case targetUnreachable, targetTimeout, targetRestarted, targetFull, targetDenied, targetStale,
      targetFailed
    case targetCopyMissing, targetCopyDiffers
    case volumeUnavailable, volumeFull, fileChanged, fileBusy, fileSystem
    case catalog, catalogTooNew, corruptRecord
    case cancelled, internalFault
  }

  package var code: Code
  /// One sentence for a person. Says what to do where that is known.
  package var message: String
  /// Escaped for print.
  package var path: String?
  package var cause: String?
  package var disposition: Disposition

  package init(
    _ code: Code, _ message: String, path: String? = nil, cause: String? = nil,
    disposition: Disposition = .permanent
  ) {
    self.code = code
    self.message = message
    self.path = path
    self.cause = cause
    self.disposition = disposition
  }
}

extension TierError: CustomStringConvertible {
  package var description: String {
    var text = path.map { "\($0): \(message)" } ?? message
    if let cause { text += " (\(cause))" }
    return text
  }
}
