/// What `tierctl status`, the status page and the metrics show.
package struct StatusReport: Codable, Hashable, Sendable {
  package var version: String
  package var started: UTCTime
  /// The daemon's clock when it answered; ages and "in 2 h" count from here.
  package var now: UTCTime
  package var isReady: Bool
  package var volumes: [VolumeReport]
  package var targets: [TargetReport]
  package var policies: PolicySummary
  /// The running ones.
  package var requests: [RequestReport]
  package var recalls: RecallsReport

  package init(
    version: String, started: UTCTime, now: UTCTime, isReady: Bool = true, volumes: [VolumeReport] = [],
    targets: [TargetReport] = [], policies: PolicySummary = PolicySummary(), requests: [RequestReport] = [],
    recalls: RecallsReport = RecallsReport()
  ) {
    self.version = version
    self.started = started
    self.now = now
    self.isReady = isReady
    self.volumes = volumes
    self.targets = targets
    self.policies = policies
    self.requests = requests
    self.recalls = recalls
  }
}

/// What opens of released files came to, since the daemon started.
package struct RecallsReport: Codable, Hashable, Sendable {
  /// Files that were brought back.
  package var served: Int
  /// Opens that got an error, because the content couldn't be brought.
  package var failed: Int
  /// Opens that got an error by `restore.refuse` or `restore.perMinute`.
  package var refused: Int

  package init(served: Int = 0, failed: Int = 0, refused: Int = 0) {
    self.served = served
    self.failed = failed
    self.refused = refused
  }
}

package struct VolumeReport: Codable, Hashable, Sendable {
  /// What a released file leaves behind.
  package enum Stubs: String, Codable, Hashable, Sendable, CaseIterable {
    /// A symbolic link to the file below the target's mount path.
    case linked
    /// A symbolic link that names target and place, but leads nowhere.
    case dangling
    /// A placeholder of the same size and times: who opens it waits for its content.
    case guarded
  }

  package var name: String
  package var path: AbsolutePath
  /// As in `/proc/mounts`: `ext4`.
  package var fileSystem: String
  package var stubs: Stubs
  /// Why stubs aren't `guarded`; or what the guard can't see there. Empty where there is nothing to say.
  package var stubsNote: String
  /// False: only by `tierctl release`.
  package var releasesAutomatically: Bool
  package var usedBytes: Int64
  package var totalBytes: Int64
  /// Fractions of `totalBytes`.
  package var highWatermark: Double
  package var lowWatermark: Double
  package var totals: TotalsReport
  package var watch: WatchReport
  package var scan: ScanReport
  /// Sentences; each says the way out.
  package var problems: [String]

  package init(
    name: String, path: AbsolutePath, fileSystem: String = "", stubs: Stubs = .dangling,
    stubsNote: String = "", releasesAutomatically: Bool = true, usedBytes: Int64 = 0, totalBytes: Int64 = 0,
    highWatermark: Double = 0.85, lowWatermark: Double = 0.75, totals: TotalsReport = TotalsReport(),
    watch: WatchReport = WatchReport(), scan: ScanReport = ScanReport(), problems: [String] = []
  ) {
    self.name = name
    self.path = path
    self.fileSystem = fileSystem
    self.stubs = stubs
    self.stubsNote = stubsNote
    self.releasesAutomatically = releasesAutomatically
    self.usedBytes = usedBytes
    self.totalBytes = totalBytes
    self.highWatermark = highWatermark
    self.lowWatermark = lowWatermark
    self.totals = totals
    self.watch = watch
    self.scan = scan
    self.problems = problems
  }
}

package struct CountReport: Codable, Hashable, Sendable {
  package var files: Int
  package var bytes: Int64

  package init(files: Int = 0, bytes: Int64 = 0) {
    self.files = files
    self.bytes = bytes
  }
}

/// Every file of a volume is in exactly one of the first four; `lostFiles` counts across them.
package struct TotalsReport: Codable, Hashable, Sendable {
  package var resident: CountReport
  package var archived: CountReport
  package var released: CountReport
  package var ungoverned: CountReport
  package var lostFiles: Int

  package init(
    resident: CountReport = CountReport(), archived: CountReport = CountReport(),
    released: CountReport = CountReport(), ungoverned: CountReport = CountReport(), lostFiles: Int = 0
  ) {
    self.resident = resident
    self.archived = archived
    self.released = released
    self.ungoverned = ungoverned
    self.lostFiles = lostFiles
  }
}

package struct WatchReport: Codable, Hashable, Sendable {
  package struct Gap: Codable, Hashable, Sendable {
    package var directory: AbsolutePath
    package var reason: String

    package init(directory: AbsolutePath, reason: String) {
      self.directory = directory
      self.reason = reason
    }
  }

  package var directories: Int
  /// Subtrees that only scans cover; the first ones, `gapCount` counts all.
  package var gaps: [Gap]
  package var gapCount: Int
  package var overflows: Int

  package init(directories: Int = 0, gaps: [Gap] = [], gapCount: Int = 0, overflows: Int = 0) {
    self.directories = directories
    self.gaps = gaps
    self.gapCount = gapCount
    self.overflows = overflows
  }
}

package struct ScanReport: Codable, Hashable, Sendable {
  package enum State: String, Codable, Hashable, Sendable, CaseIterable { case idle, needed, running }

  package var state: State
  /// Why it runs or is needed.
  package var reason: String
  /// Of the running scan.
  package var filesSeen: Int
  /// Of the last complete scan, to judge the running one by; nil before the first.
  package var filesExpected: Int?
  package var lastCompleted: UTCTime?

  package init(
    state: State = .idle, reason: String = "", filesSeen: Int = 0, filesExpected: Int? = nil,
    lastCompleted: UTCTime? = nil
  ) {
    self.state = state
    self.reason = reason
    self.filesSeen = filesSeen
    self.filesExpected = filesExpected
    self.lastCompleted = lastCompleted
  }
}

package struct TargetReport: Codable, Hashable, Sendable {
  package enum Kind: String, Codable, Hashable, Sendable, CaseIterable { case nfs, rsync, directory }
  package enum State: String, Codable, Hashable, Sendable, CaseIterable {
    /// No connection.
    case idle
    /// Talking to the target.
    case window
    /// After a failure: waits until `nextWindow`.
    case retry
  }

  package var name: String
  package var kind: Kind
  /// `nas:/volume1/tier`, without any secret.
  package var address: String
  package var state: State
  package var pending: PendingReport
  package var nextWindow: NextWindow?
  /// The open window, else the last one.
  package var window: WindowEntry?
  package var lastError: String?
  /// Since the daemon started.
  package var counters: TargetCounters

  package init(
    name: String, kind: Kind, address: String, state: State = .idle, pending: PendingReport = PendingReport(),
    nextWindow: NextWindow? = nil, window: WindowEntry? = nil, lastError: String? = nil,
    counters: TargetCounters = TargetCounters()
  ) {
    self.name = name
    self.kind = kind
    self.address = address
    self.state = state
    self.pending = pending
    self.nextWindow = nextWindow
    self.window = window
    self.lastError = lastError
    self.counters = counters
  }
}

package struct PendingReport: Codable, Hashable, Sendable {
  package var dueFiles: Int
  package var dueBytes: Int64
  package var laterFiles: Int
  package var laterBytes: Int64
  /// Archived, but not yet proven to be on the target's disks.
  package var unprovenFiles: Int
  package var removals: Int
  package var renames: Int
  package var earliestDeadline: UTCTime?
  /// The age of the oldest change that is due and that no copy holds yet.
  package var oldestUnarchivedSeconds: Int64?

  package init(
    dueFiles: Int = 0, dueBytes: Int64 = 0, laterFiles: Int = 0, laterBytes: Int64 = 0,
    unprovenFiles: Int = 0, removals: Int = 0, renames: Int = 0, earliestDeadline: UTCTime? = nil,
    oldestUnarchivedSeconds: Int64? = nil
  ) {
    self.dueFiles = dueFiles
    self.dueBytes = dueBytes
    self.laterFiles = laterFiles
    self.laterBytes = laterBytes
    self.unprovenFiles = unprovenFiles
    self.removals = removals
    self.renames = renames
    self.earliestDeadline = earliestDeadline
    self.oldestUnarchivedSeconds = oldestUnarchivedSeconds
  }
}

package struct NextWindow: Codable, Hashable, Sendable {
  package var at: UTCTime
  /// In words: "deadline of photos".
  package var reason: String

  package init(at: UTCTime, reason: String) {
    self.at = at
    self.reason = reason
  }
}

package struct TargetCounters: Codable, Hashable, Sendable {
  package var windows: Int
  package var failedWindows: Int
  package var windowSeconds: Double
  package var archivedFiles: Int
  package var archivedBytes: Int64
  package var restoredFiles: Int
  package var restoredBytes: Int64
  package var failures: Int

  package init(
    windows: Int = 0, failedWindows: Int = 0, windowSeconds: Double = 0, archivedFiles: Int = 0,
    archivedBytes: Int64 = 0, restoredFiles: Int = 0, restoredBytes: Int64 = 0, failures: Int = 0
  ) {
    self.windows = windows
    self.failedWindows = failedWindows
    self.windowSeconds = windowSeconds
    self.archivedFiles = archivedFiles
    self.archivedBytes = archivedBytes
    self.restoredFiles = restoredFiles
    self.restoredBytes = restoredBytes
    self.failures = failures
  }
}

package struct PolicySummary: Codable, Hashable, Sendable {
  package var count: Int
  /// Of the last reload; any error means that the policies before it are still in force.
  package var diagnostics: [DiagnosticEntry]

  package init(count: Int = 0, diagnostics: [DiagnosticEntry] = []) {
    self.count = count
    self.diagnostics = diagnostics
  }
}

package struct DiagnosticEntry: Codable, Hashable, Sendable {
  package var file: String
  /// From 1; 0 where it is about the whole file.
  package var line: Int
  package var column: Int
  package var message: String

  package init(file: String, line: Int = 0, column: Int = 0, message: String) {
    self.file = file
    self.line = line
    self.column = column
    self.message = message
  }
}

package struct WindowsReport: Codable, Hashable, Sendable {
  package var now: UTCTime
  /// The newest first.
  package var windows: [WindowEntry]

  package init(now: UTCTime, windows: [WindowEntry] = []) {
    self.now = now
    self.windows = windows
  }
}

package struct WindowEntry: Codable, Hashable, Sendable {
  package var id: Int64
  package var target: String
  package var opened: UTCTime
  package var closed: UTCTime?
  /// Why it was opened, in words.
  package var cause: String
  package var archivedFiles: Int
  package var archivedBytes: Int64
  package var restoredFiles: Int
  package var restoredBytes: Int64
  package var changesApplied: Int
  package var failures: Int
  /// What ended it early.
  package var error: String?

  package init(
    id: Int64, target: String, opened: UTCTime, closed: UTCTime? = nil, cause: String, archivedFiles: Int = 0,
    archivedBytes: Int64 = 0, restoredFiles: Int = 0, restoredBytes: Int64 = 0, changesApplied: Int = 0,
    failures: Int = 0, error: String? = nil
  ) {
    self.id = id
    self.target = target
    self.opened = opened
    self.closed = closed
    self.cause = cause
    self.archivedFiles = archivedFiles
    self.archivedBytes = archivedBytes
    self.restoredFiles = restoredFiles
    self.restoredBytes = restoredBytes
    self.changesApplied = changesApplied
    self.failures = failures
    self.error = error
  }
}
