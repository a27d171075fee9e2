import Glibc
import TierCore
import TierLinux

extension TierError {
  /// `while`: what tierd was doing, for the message: "while making its stub".
  init(_ error: SyscallError, while purpose: String) {
    self.init(error)
    message += ", " + purpose
  }
}

extension TierError {
  static let stopping = TierError(.cancelled, "tierd is stopping", disposition: .retry)

  /// The file system's word on one name; not a failure of the catalog's or of our own.
  var isOfOnePlace: Bool {
    switch code {
    case .fileSystem, .fileBusy, .fileChanged, .notFound, .unsupported, .volumeUnavailable: true
    default: false
    }
  }
}

extension SyscallError {
  /// The name, or a directory on the way to it, isn't there.
  var isMissing: Bool { errno == ENOENT || errno == ENOTDIR }
  /// The new name exists already.
  var isTaken: Bool { errno == EEXIST }
  /// A lease isn't granted: somebody has the file open.
  var isBusy: Bool { errno == EAGAIN }
  /// The file system lacks the call or this form of it.
  var isUnsupported: Bool { errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP }
  /// A symbolic link stands where a file was expected.
  var isLink: Bool { errno == ELOOP }
  /// It is a program that is being run: nobody may write to it.
  var isRunning: Bool { errno == ETXTBSY }
  /// A directory, FIFO, socket or device stands where a file was expected.
  var isOtherKind: Bool { errno == EISDIR || errno == ENXIO }
  /// Nothing that another attempt or another moment could mend: the directory stays unreadable.
  var isDenied: Bool { errno == EACCES || errno == EPERM }

  static func vanished(_ path: RelativePath) -> SyscallError {
    SyscallError(call: "statx", path: path.escaped, errno: ENOENT)
  }
}

/// Runs calls on a volume; what fails is told with its purpose.
func wrapping<Result>(_ purpose: String, _ body: () throws(SyscallError) -> Result) throws(TierError)
  -> Result
{
  do throws(SyscallError) { return try body() } catch { throw TierError(error, while: purpose) }
}
