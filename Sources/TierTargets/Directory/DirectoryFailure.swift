import Glibc
import TierCore
import TierLinux

/// What a failed call on the target's directory means.
enum DirectoryFailure: Error {
  /// One file's own trouble: the session goes on.
  case file(TierError)
  /// A name that was to be given anew belongs to something already.
  case nameTaken(TierError)
  /// The target's: full, gone, read-only.
  case session(TierError)

  init(_ error: SyscallError) {
    let cause = "\(error.call): \(errnoText(error.errno))"
    func target(_ code: TierError.Code, _ message: String, _ disposition: Disposition = .retry) -> TierError {
      TierError(code, message, path: error.path, cause: cause, disposition: disposition)
    }
    self =
      switch error.errno {
      case ENOSPC, EDQUOT:
        .session(
          target(
            .targetFull,
            "the target is full: free some space there, or shorten keepDeleted (its .tierd/trash)"))
      case EROFS:
        .session(target(.targetDenied, "the target is mounted read-only: mount it for writing"))
      case EIO, ESTALE, ENOTCONN, ENODEV, ESHUTDOWN, ETIMEDOUT, EHOSTDOWN, EHOSTUNREACH, ECONNRESET,
        EREMOTEIO:
        .session(
          target(.targetUnreachable, "the target does not answer: see the kernel's log, and its mount"))
      case EMFILE, ENFILE, ENOMEM, ENOBUFS:
        .session(
          target(.targetFailed, "this machine ran out of files or memory: raise LimitNOFILE= or MemoryMax="))
      case EACCES, EPERM:
        .file(
          target(
            .targetDenied, "not permitted on the target: give tierd the right to write there", .permanent))
      case EEXIST, ENOTEMPTY:
        .nameTaken(target(.targetFailed, "on the target the name is taken"))
      case ELOOP, EXDEV, ENOTDIR:
        .file(
          target(
            .targetDenied,
            "on the target a file or a symbolic link stands where a folder is needed: move it away",
            .permanent))
      case EISDIR, ENXIO:
        .file(target(.targetDenied, "on the target this is no regular file: move it away", .permanent))
      case ENAMETOOLONG, EINVAL, EILSEQ:
        .file(target(.targetFailed, "the target can't hold a file of this name", .permanent))
      case EFBIG:
        .file(target(.targetFailed, "the file is too large for the target's file system", .permanent))
      default:
        .file(target(.targetFailed, "the target refused"))
      }
  }

  /// What came of copying `path`.
  init(_ failure: Content.Failure, path: RelativePath) {
    switch failure {
    case .source(let error): self = .file(TierError(error))
    case .destination(let error): self.init(error)
    case .length(let expected):
      self = .file(
        TierError(
          .fileChanged, "it no longer has the \(expected) bytes that it had: it is tried again",
          path: path.escaped, disposition: .retry))
    case .differs(let offset):
      self = .file(
        TierError(
          .targetCopyDiffers,
          "what the target gives back differs from what was written, from byte \(offset) on: check its disks and "
            + "memory",
          path: path.escaped, disposition: .retry))
    }
  }

  /// The file's error; throws what is the session's.
  func ofFile() throws(TierError) -> TierError {
    switch self {
    case .file(let error), .nameTaken(let error): return error
    case .session(let error): throw error
    }
  }

  var isNameTaken: Bool { if case .nameTaken = self { true } else { false } }

  static func inTheWay(_ path: RelativePath) -> DirectoryFailure {
    .file(
      TierError(
        .targetDenied, "on the target a file stands where a folder is needed: move it away",
        path: path.escaped))
  }

  var error: TierError {
    switch self {
    case .file(let error), .nameTaken(let error), .session(let error): error
    }
  }
}
