package struct FilesReport: Codable, Hashable, Sendable {
  package var now: UTCTime
  package var entries: [FileEntry]
  /// Give it as `after` to go on; nil: that was all.
  package var next: String?

  package init(now: UTCTime, entries: [FileEntry] = [], next: String? = nil) {
    self.now = now
    self.entries = entries
    self.next = next
  }
}

package struct FileEntry: Codable, Hashable, Sendable {
  package enum Kind: String, Codable, Hashable, Sendable, CaseIterable {
    case file, directory, symlink, special
  }
  /// DESIGN's states; `unknown` for what the catalog doesn't hold (yet).
  package enum State: String, Codable, Hashable, Sendable, CaseIterable {
    case resident, archiving, archived, releasing, released, restoring, unknown
  }

  package var path: AbsolutePath
  package var kind: Kind
  package var state: State
  /// The target holds an older version.
  package var isDirty: Bool
  /// The target's copy is missing or wrong.
  package var isLost: Bool
  /// The file's own size, released or not.
  package var sizeBytes: Int64
  /// What it occupies in the cache.
  package var allocatedBytes: Int64
  package var modified: UTCTime?
  package var policy: String?
  package var target: String?
  /// Escaped text, below the target's root.
  package var targetPath: String?
  package var sha256: String?
  package var archivedAt: UTCTime?
  package var archiveDue: UTCTime?
  package var archiveBy: UTCTime?
  package var releaseDue: UTCTime?
  package var isPinned: Bool
  /// Nil with `isPinned`: until unpinned.
  package var pinnedUntil: UTCTime?
  /// Why the last attempt to archive or release came to nothing.
  package var heldReason: String?

  package init(
    path: AbsolutePath, kind: Kind = .file, state: State = .unknown, isDirty: Bool = false,
    isLost: Bool = false, sizeBytes: Int64 = 0, allocatedBytes: Int64 = 0, modified: UTCTime? = nil,
    policy: String? = nil, target: String? = nil, targetPath: String? = nil, sha256: String? = nil,
    archivedAt: UTCTime? = nil, archiveDue: UTCTime? = nil, archiveBy: UTCTime? = nil,
    releaseDue: UTCTime? = nil, isPinned: Bool = false, pinnedUntil: UTCTime? = nil, heldReason: String? = nil
  ) {
    self.path = path
    self.kind = kind
    self.state = state
    self.isDirty = isDirty
    self.isLost = isLost
    self.sizeBytes = sizeBytes
    self.allocatedBytes = allocatedBytes
    self.modified = modified
    self.policy = policy
    self.target = target
    self.targetPath = targetPath
    self.sha256 = sha256
    self.archivedAt = archivedAt
    self.archiveDue = archiveDue
    self.archiveBy = archiveBy
    self.releaseDue = releaseDue
    self.isPinned = isPinned
    self.pinnedUntil = pinnedUntil
    self.heldReason = heldReason
  }
}

/// The answer to "why is this file where it is, and what happens next?".
package struct WhyReport: Codable, Hashable, Sendable {
  package var now: UTCTime
  package var entry: FileEntry
  /// State; the policy and rule that decide; what happens next and when; what blocks it.
  package var sentences: [String]

  package init(now: UTCTime, entry: FileEntry, sentences: [String] = []) {
    self.now = now
    self.entry = entry
    self.sentences = sentences
  }
}

/// As `du`, with what was released beside what is there.
package struct UsageReport: Codable, Hashable, Sendable {
  package var total: UsageEntry
  /// One for each directory directly below.
  package var entries: [UsageEntry]

  package init(total: UsageEntry, entries: [UsageEntry] = []) {
    self.total = total
    self.entries = entries
  }
}

package struct UsageEntry: Codable, Hashable, Sendable {
  package var path: AbsolutePath
  package var files: Int
  package var releasedFiles: Int
  /// What the files would occupy if all were in the cache.
  package var apparentBytes: Int64
  package var cachedBytes: Int64
  package var releasedBytes: Int64

  package init(
    path: AbsolutePath, files: Int = 0, releasedFiles: Int = 0, apparentBytes: Int64 = 0,
    cachedBytes: Int64 = 0, releasedBytes: Int64 = 0
  ) {
    self.path = path
    self.files = files
    self.releasedFiles = releasedFiles
    self.apparentBytes = apparentBytes
    self.cachedBytes = cachedBytes
    self.releasedBytes = releasedBytes
  }
}

package struct PinReport: Codable, Hashable, Sendable {
  package var files: Int
  /// Nil: until unpinned; also nil after unpinning.
  package var until: UTCTime?

  package init(files: Int, until: UTCTime? = nil) {
    self.files = files
    self.until = until
  }
}

package struct UndeleteReport: Codable, Hashable, Sendable {
  /// The newest first.
  package var removed: [RemovedEntry]
  /// Nil where it was only to be listed.
  package var request: RequestReport?

  package init(removed: [RemovedEntry] = [], request: RequestReport? = nil) {
    self.removed = removed
    self.request = request
  }
}

package struct RemovedEntry: Codable, Hashable, Sendable {
  package enum Stage: String, Codable, Hashable, Sendable, CaseIterable {
    /// The target doesn't know yet: its copy is still in place.
    case pending
    /// In the target's trash.
    case trashed
  }

  package var path: AbsolutePath
  package var stage: Stage
  package var sizeBytes: Int64
  package var target: String
  package var removedAt: UTCTime
  /// When the trash lets it go.
  package var expires: UTCTime

  package init(
    path: AbsolutePath, stage: Stage, sizeBytes: Int64, target: String, removedAt: UTCTime, expires: UTCTime
  ) {
    self.path = path
    self.stage = stage
    self.sizeBytes = sizeBytes
    self.target = target
    self.removedAt = removedAt
    self.expires = expires
  }
}
