import TierCore
import TierLinux

extension Volume {
  /// Writes on the file itself which copy is its own. The caller holds a lease against writers.
  ///
  /// Some files can't carry the mark: their own attributes leave no room, or they are immutable. Then the error is
  /// given back, and no mark of an older copy is left. Such a file counts as archived, but is not released:
  /// restored, it couldn't carry what it had.
  func mark(_ file: any OpenFile, with copy: ArchivedCopy, at site: CallSite) throws(SyscallError)
    -> TierError?
  {
    let record = IdentityRecord(state: .archived, epoch: epoch, copy: copy)
    do throws(SyscallError) {
      try file.setAttribute(identityAttribute, to: record.encoded, at: site)
      return nil
    } catch {
      try? file.removeAttribute(identityAttribute, at: "mark.removeOlder")
      var refusal = TierError(error, while: "marking it as archived")
      refusal.path = nil
      return refusal
    }
  }

  /// True where the file says that this copy is its own.
  func isMarked(_ path: RelativePath, with copy: ArchivedCopy, at site: CallSite) throws(SyscallError) -> Bool
  {
    guard let value = try files.attribute(identityAttribute, of: path, at: site) else { return false }
    return (try? IdentityRecord.parse(value))?.archiveID == copy.archiveID
  }
}
