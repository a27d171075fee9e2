import TierAPI
import TierCore

/// Reports with every field set and awkward names in them, as the daemon could answer.
package enum Samples {
  package static let now = time("2026-11-23T10:58:00Z")
  package static let photo = AbsolutePath("/srv/cache/photos/2026/IMG_0001.jpg")!
  /// Not UTF-8, a newline, a backslash, an escape sequence and a right-to-left override.
  package static let hostile = AbsolutePath(
    Array("/srv/cache/photos/a\nb\\c\u{1B}[31m\u{202E}gpj.".utf8) + [0xFF, 0xFE])!

  package static func time(_ text: String) -> UTCTime { UTCTime(Timestamp(utcText: text)!) }

  package static let status = StatusReport(
    version: "0.1.0", started: time("2026-11-20T08:00:00Z"), now: now, isReady: true,
    volumes: [
      VolumeReport(
        name: "cache", path: AbsolutePath("/srv/cache")!, fileSystem: "ext4", stubs: .linked,
        releasesAutomatically: true, usedBytes: 400_000_000_000, totalBytes: 500_000_000_000,
        totals: TotalsReport(
          resident: CountReport(files: 12, bytes: 34_000_000),
          archived: CountReport(files: 12_345, bytes: 380_000_000_000),
          released: CountReport(files: 98_765, bytes: 2_400_000_000_000),
          ungoverned: CountReport(files: 3, bytes: 4096), lostFiles: 1),
        watch: WatchReport(
          directories: 8192,
          gaps: [.init(directory: AbsolutePath("/srv/cache/deep")!, reason: "limit of 8192 watches reached")],
          gapCount: 1, overflows: 2),
        scan: ScanReport(
          state: .running, reason: "events were lost", filesSeen: 50_000, filesExpected: 111_125,
          lastCompleted: time("2026-11-23T02:00:00Z")),
        problems: ["1 directory is not watched: sysctl -w fs.inotify.max_user_watches=16384"])
    ],
    targets: [
      TargetReport(
        name: "nas", kind: .nfs, address: "nas.lan:/volume1/tier", state: .retry,
        pending: PendingReport(
          dueFiles: 12, dueBytes: 34_000_000, laterFiles: 2, laterBytes: 1000, unprovenFiles: 5, removals: 1,
          renames: 2, earliestDeadline: time("2026-11-23T12:30:00Z"), oldestUnarchivedSeconds: 4000),
        nextWindow: NextWindow(at: time("2026-11-23T11:00:00Z"), reason: "retry after a failure"),
        window: window, lastError: "nas.lan does not answer on port 2049: is it switched on?",
        counters: TargetCounters(
          windows: 7, failedWindows: 1, windowSeconds: 81.5, archivedFiles: 900, archivedBytes: 9_000_000,
          restoredFiles: 3, restoredBytes: 3_000_000, failures: 2))
    ],
    policies: PolicySummary(count: 2, diagnostics: [diagnostic]), requests: [running])

  package static let diagnostic = DiagnosticEntry(
    file: "policies/photos.yaml", line: 7, column: 12,
    message: "\"archive.after: 5x\": unknown unit \"x\" (use s, m, h, d, w)")

  package static let window = WindowEntry(
    id: 42, target: "nas", opened: time("2026-11-23T09:58:00Z"), closed: time("2026-11-23T09:58:42Z"),
    cause: "deadline of photos", archivedFiles: 120, archivedBytes: 480_000_000, restoredFiles: 1,
    restoredBytes: 4_000_000, changesApplied: 3, failures: 1, error: "nas.lan does not answer")

  package static let windows = WindowsReport(
    now: now,
    windows: [
      window,
      WindowEntry(
        id: 41, target: "nas", opened: time("2026-11-22T21:00:00Z"), closed: time("2026-11-22T21:01:10Z"),
        cause: "flush by a person", archivedFiles: 3, archivedBytes: 12_000),
    ])

  package static let running = RequestReport(
    id: "r7", kind: .restore, state: .running, activity: "copies from nas", filesDone: 3, filesTotal: 10,
    bytesDone: 12_000_000, bytesTotal: 48_000_000, started: time("2026-11-23T10:57:30Z"))

  package static let partly = RequestReport(
    id: "r8", kind: .restore, state: .partly, activity: "", filesDone: 9, filesTotal: 10,
    bytesDone: 44_000_000, bytesTotal: 48_000_000,
    messages: [RequestMessage(path: hostile, text: "the target's copy is missing")], messageCount: 1,
    started: time("2026-11-23T10:57:30Z"), ended: now)

  package static func done(_ kind: RequestReport.Kind, id: String = "r9") -> RequestReport {
    RequestReport(
      id: id, kind: kind, state: .done, filesDone: 10, filesTotal: 10, bytesDone: 48_000_000,
      bytesTotal: 48_000_000, started: time("2026-11-23T10:57:30Z"), ended: now)
  }

  package static let entry = FileEntry(
    path: photo, kind: .file, state: .released, isDirty: false, isLost: false, sizeBytes: 4_200_000,
    allocatedBytes: 0, modified: time("2026-06-01T12:00:00Z"), policy: "photos", target: "nas",
    targetPath: "cache/photos/2026/IMG_0001.jpg",
    sha256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    archivedAt: time("2026-06-01T14:00:00Z"), archiveDue: time("2026-06-01T13:00:00Z"),
    archiveBy: time("2026-06-02T13:00:00Z"), releaseDue: time("2026-07-01T12:00:00Z"), isPinned: true,
    pinnedUntil: time("2026-11-25T10:58:00Z"), heldReason: "open in another program")

  package static let files = FilesReport(
    now: now,
    entries: [
      FileEntry(path: AbsolutePath("/srv/cache/photos/2026")!, kind: .directory), entry,
      FileEntry(
        path: hostile, kind: .file, state: .resident, isDirty: true, isLost: true, sizeBytes: 999,
        allocatedBytes: 4096, modified: time("2026-11-23T10:50:00Z"), policy: "photos", target: "nas",
        archiveDue: time("2026-11-23T11:50:00Z"), archiveBy: time("2026-11-24T11:50:00Z"), isPinned: true),
    ])

  package static let why = WhyReport(
    now: now, entry: entry,
    sentences: [
      "Released: its content (4.2 MB) is on nas as cache/photos/2026/IMG_0001.jpg.",
      "Governed by policy \"photos\".",
      "Nothing happens next; a restore brings it back: tierctl restore /srv/cache/photos/2026/IMG_0001.jpg",
    ])

  package static let usage = UsageReport(
    total: UsageEntry(
      path: AbsolutePath("/srv/cache/photos")!, files: 30, releasedFiles: 20, apparentBytes: 120_000_000,
      cachedBytes: 40_000_000, releasedBytes: 80_000_000),
    entries: [
      UsageEntry(
        path: AbsolutePath("/srv/cache/photos/2026")!, files: 30, releasedFiles: 20,
        apparentBytes: 120_000_000,
        cachedBytes: 40_000_000, releasedBytes: 80_000_000)
    ])

  package static let plan = PlanReport(
    action: .restore, files: 10, bytes: 48_000_000, estimatedSeconds: 45, wakesTarget: true,
    targets: [PlanTarget(target: "nas", files: 10, bytes: 48_000_000, estimatedSeconds: 45, isWoken: true)],
    skippedFiles: 1, skipped: [RequestMessage(path: hostile, text: "in the cache already")])

  package static let policies = PoliciesReport(
    policies: [
      PolicyEntry(
        name: "photos", file: "/etc/tierd/policies/photos.yaml", volume: "cache",
        path: AbsolutePath("/srv/cache/photos")!, target: "nas", priority: 1, archiveAfterSeconds: 3600,
        archiveWithinSeconds: 86_400, releaseAfterSeconds: 2_592_000, keepBelowBytes: 65_536, isPinned: false,
        keepDeletedSeconds: 2_592_000, rules: ["exclude *.tmp"]),
      PolicyEntry(
        name: "media", volume: "cache", path: AbsolutePath("/srv/cache/media")!, target: "nas",
        archiveAfterSeconds: 7200, archiveWithinSeconds: 604_800, keepBelowBytes: 0, isPinned: true),
    ], diagnostics: [diagnostic])

  package static let explain = ExplainReport(
    path: photo, policy: "photos",
    sentences: [
      "Policy \"photos\" (photos): takes it; it is for every file here.", "Governed by policy \"photos\".",
    ])

  package static let check = PolicyCheckReport(isValid: false, diagnostics: [diagnostic])

  package static let undelete = UndeleteReport(
    removed: [
      RemovedEntry(
        path: photo, stage: .trashed, sizeBytes: 4_200_000, target: "nas",
        removedAt: time("2026-11-20T10:58:00Z"), expires: time("2026-12-20T10:58:00Z"))
    ], request: done(.undelete))

  package static let doctor = DoctorReport(checks: [
    DoctorCheck(name: "inotify watches", result: .ok, text: "8,192 needed, the limit is 65,536"),
    DoctorCheck(
      name: "target nas", result: .problem, text: "does not answer on port 2049",
      fix: "switch it on, then `tierctl flush`"),
    DoctorCheck(
      name: "clock", result: .warning, text: "not synchronized", fix: "timedatectl set-ntp true"),
  ])

  package static let pin = PinReport(files: 3, until: time("2026-11-25T10:58:00Z"))
}
