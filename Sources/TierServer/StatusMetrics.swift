import TierAPI

extension StatusReport {
  /// All metrics. No paths in labels: only the configuration's own names.
  package var metrics: MetricsText {
    var metrics = MetricsText()
    addTargets(to: &metrics)
    addVolumes(to: &metrics)
    addDaemon(to: &metrics)
    return metrics
  }

  private func addTargets(to metrics: inout MetricsText) {
    func add(
      _ name: String, _ help: String, _ kind: MetricsText.Kind = .gauge, _ value: (TargetReport) -> Double?
    ) {
      metrics.add(name, kind, help, targets.map { ([("target", $0.name)], value($0)) })
    }
    add(
      "tierd_oldest_unarchived_seconds", "Age of the oldest change that is due and has no copy yet; 0: none."
    ) {
      Double($0.pending.oldestUnarchivedSeconds ?? 0)
    }
    add("tierd_pending_files", "Files that may be archived now.") { Double($0.pending.dueFiles) }
    add("tierd_pending_bytes", "Bytes of the files that may be archived now.") { Double($0.pending.dueBytes) }
    add("tierd_pending_later_files", "Files that will be due later.") { Double($0.pending.laterFiles) }
    add("tierd_pending_later_bytes", "Bytes of the files that will be due later.") {
      Double($0.pending.laterBytes)
    }
    add("tierd_unproven_files", "Archived files that the target may not have on disk yet.") {
      Double($0.pending.unprovenFiles)
    }
    add("tierd_pending_removals", "Deletions that the target doesn't know yet.") {
      Double($0.pending.removals)
    }
    add("tierd_pending_renames", "Renames that the target doesn't know yet.") { Double($0.pending.renames) }
    add("tierd_next_deadline_timestamp_seconds", "The earliest deadline of what is pending.") {
      $0.pending.earliestDeadline?.unixSeconds
    }
    add("tierd_next_window_timestamp_seconds", "When the next window is planned.") {
      $0.nextWindow?.at.unixSeconds
    }
    metrics.add(
      "tierd_target_state", .gauge, "1 for the state that the target is in.",
      targets.flatMap { target in
        TargetReport.State.allCases.map { state in
          ([("target", target.name), ("state", state.rawValue)], target.state == state ? 1 : 0)
        }
      })
    add("tierd_windows_total", "Windows opened.", .counter) { Double($0.counters.windows) }
    add("tierd_failed_windows_total", "Windows that ended early.", .counter) {
      Double($0.counters.failedWindows)
    }
    add("tierd_window_seconds_total", "Time spent connected.", .counter) { $0.counters.windowSeconds }
    add("tierd_archived_files_total", "Files archived.", .counter) { Double($0.counters.archivedFiles) }
    add("tierd_archived_bytes_total", "Bytes archived.", .counter) { Double($0.counters.archivedBytes) }
    add("tierd_restored_files_total", "Files restored.", .counter) { Double($0.counters.restoredFiles) }
    add("tierd_restored_bytes_total", "Bytes restored.", .counter) { Double($0.counters.restoredBytes) }
    add("tierd_failures_total", "Files that could not be handled in a window.", .counter) {
      Double($0.counters.failures)
    }
  }

  private func addVolumes(to metrics: inout MetricsText) {
    func add(
      _ name: String, _ help: String, _ kind: MetricsText.Kind = .gauge, _ value: (VolumeReport) -> Double?
    ) {
      metrics.add(name, kind, help, volumes.map { ([("volume", $0.name)], value($0)) })
    }
    add("tierd_volume_used_bytes", "Used space of the volume.") { Double($0.usedBytes) }
    add("tierd_volume_size_bytes", "Size of the volume.") { Double($0.totalBytes) }
    add("tierd_volume_high_watermark_ratio", "Used fraction above which files are released.") {
      $0.highWatermark
    }
    add("tierd_volume_low_watermark_ratio", "Used fraction at which releasing stops.") { $0.lowWatermark }
    let states: [(String, (TotalsReport) -> CountReport)] = [
      ("resident", \.resident), ("archived", \.archived), ("released", \.released),
      ("ungoverned", \.ungoverned),
    ]
    let samples = volumes.flatMap { volume in
      states.map { state in
        (labels: [("volume", volume.name), ("state", state.0)], count: state.1(volume.totals))
      }
    }
    metrics.add(
      "tierd_files", .gauge, "Files by state.", samples.map { ($0.labels, Double($0.count.files)) })
    metrics.add(
      "tierd_file_bytes", .gauge, "Sizes of the files by state.",
      samples.map { ($0.labels, Double($0.count.bytes)) })
    add("tierd_lost_files", "Files whose copy on the target is missing or wrong.") {
      Double($0.totals.lostFiles)
    }
    add("tierd_watched_directories", "Directories with a watch.") { Double($0.watch.directories) }
    add("tierd_watch_gaps", "Subtrees that only scans cover.") { Double($0.watch.gapCount) }
    add("tierd_watch_overflows_total", "Times that events were lost.", .counter) {
      Double($0.watch.overflows)
    }
    add("tierd_scan_running", "1 while a scan runs.") { $0.scan.state == .running ? 1 : 0 }
    add("tierd_scan_needed", "1 while the catalog is in doubt.") { $0.scan.state == .idle ? 0 : 1 }
    add("tierd_scan_completed_timestamp_seconds", "When the last complete scan ended.") {
      $0.scan.lastCompleted?.unixSeconds
    }
    add("tierd_volume_guarded", "1 where a guard stands before released files.") {
      $0.stubs == .guarded ? 1 : 0
    }
    add("tierd_volume_problems", "Problems that status reports.") { Double($0.problems.count) }
  }

  private func addDaemon(to metrics: inout MetricsText) {
    metrics.add("tierd_policies", .gauge, "Policies in force.", Double(policies.count))
    metrics.add(
      "tierd_policy_diagnostics", .gauge, "Errors of the last reload.", Double(policies.diagnostics.count))
    metrics.add(
      "tierd_recalls_total", .counter,
      "Opens of released files: files brought back, opens that failed or were refused.",
      [("served", recalls.served), ("failed", recalls.failed), ("refused", recalls.refused)].map {
        (labels: [("outcome", $0.0)], value: Double($0.1))
      })
    metrics.add("tierd_requests_running", .gauge, "Requests of people that run.", Double(requests.count))
    metrics.add("tierd_ready", .gauge, "1 once every volume is watched.", isReady ? 1 : 0)
    metrics.add("tierd_start_timestamp_seconds", .gauge, "When the daemon started.", started.unixSeconds)
    metrics.add("tierd_build", .gauge, "Always 1.", [(labels: [("version", version)], value: 1)])
  }
}

extension UTCTime {
  fileprivate var unixSeconds: Double { Double(timestamp.nanoseconds) / 1e9 }
}
