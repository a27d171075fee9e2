import CLibNFS
import TierCore

/// The server's answer to a call that it didn't carry out.
struct NFSRefusal: Error, Hashable {
  /// As RFC 1813 names it, e.g. `RENAME`.
  var procedure: String
  var status: NFSStatus
}

/// `nfsstat3`.
struct NFSStatus: RawRepresentable, Hashable {
  var rawValue: UInt32

  init(rawValue: UInt32) { self.rawValue = rawValue }
  init(_ status: nfsstat3) { rawValue = status.rawValue }

  static let notOwner = NFSStatus(rawValue: 1)
  static let noEntry = NFSStatus(rawValue: 2)
  static let inputOutput = NFSStatus(rawValue: 5)
  static let accessDenied = NFSStatus(rawValue: 13)
  static let exists = NFSStatus(rawValue: 17)
  static let crossDevice = NFSStatus(rawValue: 18)
  static let notDirectory = NFSStatus(rawValue: 20)
  static let isDirectory = NFSStatus(rawValue: 21)
  static let invalid = NFSStatus(rawValue: 22)
  static let fileTooLarge = NFSStatus(rawValue: 27)
  static let noSpace = NFSStatus(rawValue: 28)
  static let readOnly = NFSStatus(rawValue: 30)
  static let nameTooLong = NFSStatus(rawValue: 63)
  static let notEmpty = NFSStatus(rawValue: 66)
  static let quota = NFSStatus(rawValue: 69)
  static let stale = NFSStatus(rawValue: 70)
  static let badHandle = NFSStatus(rawValue: 10001)
  static let badCookie = NFSStatus(rawValue: 10003)
  static let notSupported = NFSStatus(rawValue: 10004)
  static let serverFault = NFSStatus(rawValue: 10006)
  static let tryLater = NFSStatus(rawValue: 10008)

  var isStaleHandle: Bool { self == .stale || self == .badHandle }
  var isDenial: Bool { self == .notOwner || self == .accessDenied }

  /// True where nothing more can be written to the target at all.
  var endsSession: Bool { self == .noSpace || self == .quota || self == .readOnly }
}

extension TierError {
  /// What a refusal means for `path`, below the target at `address`, and the way out.
  init(_ refusal: NFSRefusal, _ path: RelativePath, at address: String) {
    let (code, disposition, message): (Code, Disposition, String) =
      switch refusal.status {
      case .noSpace:
        (.targetFull, .retry, "the target's disk is full: free some space on it, tierd tries again")
      case .quota:
        (
          .targetFull, .retry,
          "the quota on the target is used up: raise it or free some space, tierd tries again"
        )
      case .readOnly:
        (
          .targetDenied, .retry,
          "the export is read-only: allow reading and writing for this host in its NFS rules"
        )
      case .notOwner, .accessDenied:
        (
          .targetDenied, .retry,
          "the server denies it: set the export's squash to \"no mapping\" (no_root_squash), or give the user that "
            + "it maps to (or `owner` and `group` in the configuration) the right to write there"
        )
      case .stale, .badHandle:
        (
          .targetStale, .retry,
          "the server no longer knows the folder: it was replaced meanwhile; tierd tries again"
        )
      case .notDirectory:
        (
          .targetDenied, .retry,
          "something that is no folder stands where one is needed: rename it on the target"
        )
      case .isDirectory: (.targetFailed, .retry, "a folder stands on the target where a file is expected")
      case .nameTooLong: (.targetFailed, .permanent, "the name is too long for the target's file system")
      case .fileTooLarge: (.targetFailed, .permanent, "the file is too large for the target's file system")
      case .invalid: (.targetFailed, .permanent, "the target's file system can't hold this name")
      case .crossDevice:
        (
          .targetFailed, .permanent,
          "another file system is mounted below the export: name that one as the export"
        )
      case .inputOutput:
        (.targetFailed, .retry, "the target's disk reports an error: look at the NAS's health")
      case .noEntry: (.targetCopyMissing, .retry, "it is no longer there")
      case .tryLater: (.targetFailed, .retry, "the server asks to try later")
      default: (.targetFailed, .retry, "the server refuses")
      }
    self.init(
      code, message, path: path.isRoot ? address : "\(address)/\(path.escaped)",
      cause: "\(refusal.procedure): \(refusal.status)", disposition: disposition)
  }
}

extension NFSStatus: CustomStringConvertible {
  var description: String {
    let names: [UInt32: String] = [
      1: "PERM", 2: "NOENT", 5: "IO", 6: "NXIO", 13: "ACCES", 17: "EXIST", 18: "XDEV", 19: "NODEV",
      20: "NOTDIR",
      21: "ISDIR", 22: "INVAL", 27: "FBIG", 28: "NOSPC", 30: "ROFS", 31: "MLINK", 63: "NAMETOOLONG",
      66: "NOTEMPTY", 69: "DQUOT", 70: "STALE", 71: "REMOTE", 10001: "BADHANDLE", 10002: "NOT_SYNC",
      10003: "BAD_COOKIE", 10004: "NOTSUPP", 10005: "TOOSMALL", 10006: "SERVERFAULT", 10007: "BADTYPE",
      10008: "JUKEBOX",
    ]
    return names[rawValue].map { "NFS3ERR_\($0)" } ?? "NFS status \(rawValue)"
  }
}
