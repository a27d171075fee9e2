import CTierLinux
import Glibc
import TierCore

/// `ENOSPC: No space left on device`.
package func errnoText(_ number: Int32) -> String {
  let name = tier_errno_name(number).map { String(cString: $0) }
  let description = tier_errno_description(number).map { String(cString: $0) }
  guard let name, let description else { return "error \(number)" }
  return "\(name): \(description)"
}

extension TierError {
  /// What a failed call on a volume (or on the machine tierd runs on) means, and the way out. `code` and
  /// `disposition` follow from the errno; a target's adapter gives its own code instead.
  package init(_ error: SyscallError, code: Code? = nil) {
    let isAttribute = error.call.hasSuffix("setxattr")
    let meaning =
      isAttribute && [ENOSPC, E2BIG, ERANGE].contains(error.errno) ? .noRoom : Meaning(error.errno)
    self.init(
      code ?? meaning.code, meaning.message, path: error.path,
      cause: "\(error.call): \(errnoText(error.errno))", disposition: meaning.disposition)
  }
}

private struct Meaning {
  var code: TierError.Code
  var disposition: Disposition
  var message: String

  /// ext4 says ENOSPC for this on an empty disk too; on a full one it is the truth.
  static let noRoom = Meaning(
    .fileSystem, .retry,
    "no room for the attribute: the disk is full, or the file has more attributes, or a longer path, "
      + "than its file system has room for (ext4: 4 KiB a file)")

  init(_ code: TierError.Code, _ disposition: Disposition, _ message: String) {
    (self.code, self.disposition, self.message) = (code, disposition, message)
  }

  init(_ number: Int32) {
    (code, disposition, message) =
      switch number {
      case ENOSPC: (.volumeFull, .retry, "the file system is full: free some space, tierd tries again")
      case EDQUOT: (.volumeFull, .retry, "the quota is used up: raise it or free some space")
      case ENOTCONN, ESTALE, ENODEV, ESHUTDOWN, ETIMEDOUT:
        (.volumeUnavailable, .retry, "the file system is not there: mount it again, tierd tries again")
      case EIO: (.volumeUnavailable, .retry, "the disk or its server reports an error: see the kernel's log")
      case EROFS:
        (.volumeUnavailable, .retry, "the file system is read-only: see the kernel's log, then remount it")
      case EBUSY, EAGAIN, ETXTBSY: (.fileBusy, .retry, "it is in use: tierd tries again")
      case EINTR, ENOMEM, ENOBUFS: (.fileSystem, .retry, "the kernel had no room for the call")
      case EMFILE, ENFILE:
        (.fileSystem, .retry, "too many open files: raise LimitNOFILE= of the service (ulimit -n)")
      case ENOENT, ENOTDIR: (.notFound, .permanent, "no such file: it was moved or deleted")
      case ELOOP, EXDEV: (.fileChanged, .permanent, "a symbolic link stands in its path: tierd follows none")
      case EEXIST: (.fileChanged, .permanent, "the name is taken")
      case EACCES, EPERM:
        (
          .fileSystem, .permanent,
          "not permitted: run tierd as root or give it the rights; see `lsattr` for an immutable flag"
        )
      case EOPNOTSUPP, ENOSYS, EINVAL:
        (.unsupported, .permanent, "the file system or the kernel can't do this")
      case ENAMETOOLONG: (.fileSystem, .permanent, "the name is too long for this file system")
      case EFBIG: (.fileSystem, .permanent, "the file is too large for this file system")
      default: (.fileSystem, .permanent, "the file system refused")
      }
  }
}
