import GRDB
import TierCore

/// What SQLite's result codes mean for the daemon.
enum CatalogFailure {
  static let rebuild = """
    Nothing was moved or deleted. `tierctl fsck --rebuild` sets this file aside and builds a new one from the \
    volumes' stubs and the targets' manifests
    """

  static func damaged(_ path: String, cause: String?) -> TierError {
    TierError(
      .catalog, "the catalog is damaged or no catalog at all. \(rebuild)", path: path, cause: cause,
      disposition: .fatal)
  }

  static func corruptRow(_ path: String, _ what: String) -> TierError {
    TierError(
      .corruptRecord, "the catalog holds an impossible value. \(rebuild)", path: path, cause: what,
      disposition: .fatal)
  }

  static func tierError(for error: any Error, path: String) -> TierError {
    switch error {
    case let error as TierError:
      return error
    case let error as ImpossibleValue:
      return corruptRow(path, error.description)
    case let error as DatabaseError:
      return tierError(for: error, path: path)
    default:
      return TierError(
        .internalFault, "the catalog failed in an unknown way", path: path, cause: "\(error)",
        disposition: .fatal)
    }
  }

  private static func tierError(for error: DatabaseError, path: String) -> TierError {
    // Without the arguments: file names are not for logs of this kind.
    let cause = "SQLite \(error.extendedResultCode.rawValue): \(error.message ?? "no message")"
    func failure(
      _ message: String, _ disposition: Disposition, code: TierError.Code = .catalog
    ) -> TierError {
      TierError(code, message, path: path, cause: cause, disposition: disposition)
    }
    switch error.extendedResultCode {
    case .SQLITE_IOERR_SHMSIZE:
      return failure("the disk that holds the catalog is full: make room there", .retry)
    case .SQLITE_CONSTRAINT_FOREIGNKEY:
      return failure("the directory or volume was forgotten meanwhile", .permanent, code: .notFound)
    default: break
    }
    switch error.resultCode {
    case .SQLITE_FULL:
      return failure("the disk that holds the catalog is full: make room there", .retry)
    case .SQLITE_BUSY, .SQLITE_LOCKED:
      return failure("another program holds the catalog: end it (`fuser` on the file names it)", .retry)
    case .SQLITE_CORRUPT, .SQLITE_NOTADB:
      return damaged(path, cause: cause)
    case .SQLITE_READONLY, .SQLITE_CANTOPEN, .SQLITE_PERM, .SQLITE_AUTH:
      return failure(
        "the catalog can't be opened for writing: check that its directory exists, is mounted read-write and "
          + "belongs to tierd's user", .fatal)
    case .SQLITE_IOERR:
      return failure("the disk that holds the catalog fails: see the kernel's log", .fatal)
    case .SQLITE_CONSTRAINT:
      return failure("a change that contradicts itself was refused", .permanent, code: .internalFault)
    case .SQLITE_MISUSE:
      return failure("the catalog is closed", .permanent)
    default:
      return failure("the catalog failed", .fatal)
    }
  }
}

/// A value that no version of tierd writes.
struct ImpossibleValue: Error, CustomStringConvertible {
  var description: String
  init(_ description: String) { self.description = description }
}
