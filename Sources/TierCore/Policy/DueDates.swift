/// When a policy wants a file archived and released.
package struct DueDates: Hashable, Sendable {
  /// From when on it may be archived.
  package var archiveDue: Timestamp
  /// By when it is to be archived.
  package var archiveBy: Timestamp
  /// From when on it may be released; `.distantFuture` where only the high watermark or a person releases it, nil
  /// where it must stay, or only a person releases it (`restore.mode: manual`).
  package var releaseDue: Timestamp?

  package init(archiveDue: Timestamp, archiveBy: Timestamp, releaseDue: Timestamp?) {
    self.archiveDue = archiveDue
    self.archiveBy = archiveBy
    self.releaseDue = releaseDue
  }
}

extension Policy {
  /// `lastChange` is the latest of mtime, ctime and the first sight (copies come with old mtimes), not later than
  /// now (files come with mtimes in the future, too).
  package func dates(lastChange: Timestamp, lastUse: Timestamp, size: Int64) -> DueDates {
    let archiveDue = lastChange + archive.after
    return DueDates(
      archiveDue: archiveDue, archiveBy: archiveDue + archive.within,
      releaseDue: mayRelease(size: size) && restore.mode != .manual
        ? release.after.map { max(lastChange, lastUse) + $0 } ?? .distantFuture : nil)
  }

  /// By hand at least.
  package func mayRelease(size: Int64) -> Bool { !pin && size >= release.keepBelow && size > 0 }
}
