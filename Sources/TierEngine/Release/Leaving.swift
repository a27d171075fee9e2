import TierCore
import TierLinux

/// A file about to become a stub: nobody has it open, and it is to the nanosecond the one that was archived.
struct Leaving {
  var row: CatalogFile
  let id: FileID
  let path: RelativePath
  let copy: ArchivedCopy
  /// Under a lease against everybody.
  let file: any OpenFile
  let status: FileStatus
  var intent: Intent
}

/// A file that became a stub a moment ago. It can still come back without the target, because what it held isn't
/// freed yet: somebody may have been on his way to it.
struct Lingering {
  enum Place {
    /// The old inode under its hidden name, as it was right after the swap.
    case hidden(FileVersion)
    /// The file itself, under its lease, as it was once it was marked.
    case itself(Placeholder, FileStatus)
  }
  var intent: Intent
  var place: Place
  /// On the monotonic clock.
  var until: Duration

  /// Somebody waits for the file, who must not wait for the end of its time. (Who opens an old inode finds it under its
  /// hidden name, too.)
  var isWanted: Bool {
    guard case .itself(let placeholder, _) = place else { return false }
    return (try? placeholder.file.leaseIsUndisturbed(at: "release.isWanted")) != true
  }
}

/// One way to release a file, and to take that back.
protocol ReleaseMethod {
  /// The intent is journaled. Leaves either a stub and what lingers, or the file as it was and an error.
  func begin(_ file: inout Leaving) throws(TierError) -> Lingering
  /// The last step: from here on only the target has the content. Puts the file back where somebody wants it.
  func free(_ item: Lingering) throws(TierError)
  /// Gives the file back as it was; its row, where nobody wrote to it since.
  func takeBack(_ item: Lingering) throws(TierError)
}

/// What can't be released just now, and why.
extension TierError {
  static func kept(_ reason: String) -> TierError { TierError(.fileBusy, reason, disposition: .retry) }
}
