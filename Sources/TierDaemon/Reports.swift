import TierAPI
import TierCore
import TierEngine
import TierLinux
import TierPolicyFile
import TierServer

/// From the engine's words to the API's.

extension EngineControl {
  func statusReport() throws(TierError) -> StatusReport {
    var volumes: [TierAPI.VolumeReport] = []
    for service in context.volumeServices { volumes.append(try volumeReport(service)) }
    var targets: [TierAPI.TargetReport] = []
    for service in context.windowServices { targets.append(try targetReport(service)) }
    let recalls = context.recallCounters
    return StatusReport(
      version: Daemon.version, started: UTCTime(started), now: now,
      isReady: context.volumeServices.allSatisfy { $0.condition.problem == nil }, volumes: volumes,
      targets: targets,
      policies: PolicySummary(
        count: context.policies.current.policies.count,
        diagnostics: policies.diagnostics.map(DiagnosticEntry.init)),
      requests: context.requests.running.map { RequestReport($0) },
      recalls: RecallsReport(
        served: recalls.recalls, failed: recalls.failures, refused: recalls.refused))
  }

  private func volumeReport(_ service: VolumeService) throws(TierError) -> TierAPI.VolumeReport {
    let settings = service.configuration
    let condition = service.condition
    let mount = try? MountTable.mount(holding: settings.path)
    var report = VolumeReport(
      name: settings.name, path: AbsolutePath(settings.path)!, fileSystem: mount?.fileSystem ?? "",
      stubs: stubs(of: service.volume), stubsNote: service.volume.map(note) ?? "",
      releasesAutomatically: settings.releases == .automatic, highWatermark: settings.highWatermark,
      lowWatermark: settings.lowWatermark)
    if let space = condition.space {
      report.totalBytes = space.total
      report.usedBytes = space.total - space.available
    }
    if let volume = service.volume { report.totals = TotalsReport(try context.catalog.totals(of: volume.id)) }
    report.watch = WatchReport(
      directories: condition.coverage.watchedDirectories,
      gaps: condition.coverage.gaps.map {
        .init(directory: absolute($0.directory, in: settings), reason: $0.reason)
      }, gapCount: condition.coverage.gapCount, overflows: condition.coverage.overflows)
    report.scan = ScanReport(
      state: condition.scanReason == nil ? .idle : .running, reason: condition.scanReason ?? "",
      filesSeen: condition.scannedFiles, filesExpected: condition.filesInLastScan,
      lastCompleted: condition.lastScan.map { UTCTime($0) })
    report.problems = [condition.problem, condition.bricksAway, service.volume?.guardProblem].compactMap {
      $0
    }
    report.problems += try service.volume?.unfinishedProblems() ?? []
    return report
  }

  private func stubs(of volume: Volume?) -> VolumeReport.Stubs {
    if volume?.usesPlaceholders == true { return .guarded }
    return configuration.targets.contains { $0.mountPath != nil } ? .linked : .dangling
  }

  private func note(_ volume: Volume) -> String {
    switch volume.stubMode {
    case .placeholders(let guardian): guardian.mode.limits.joined(separator: "; ")
    case .links(let reason): reason
    }
  }

  private func absolute(_ path: RelativePath, in volume: Configuration.Volume) -> AbsolutePath {
    AbsolutePath(Array(volume.path.utf8) + (path.isRoot ? [] : [.slash] + path.bytes))!
  }

  private func targetReport(_ service: WindowService) throws(TierError) -> TierAPI.TargetReport {
    let condition = service.condition
    let properties = service.target.properties
    let now = context.clock.now
    let pending = try service.pending(now: now)
    let last = try context.catalog.windows(of: service.target.name, limit: 1).first
    var report = TargetReport(
      name: service.target.name, kind: .init(rawValue: properties.kind) ?? .directory,
      address: properties.address,
      state: condition.isWindowOpen ? .window : condition.retryNotBefore == nil ? .idle : .retry,
      pending: PendingReport(pending, now: now), window: last.map(WindowEntry.init),
      lastError: condition.lastError, counters: TargetCounters(condition.counters))
    if let next = condition.nextWindow {
      let reason =
        condition.retryNotBefore == nil
        ? "the oldest change reaches its archive.within" : "another try after the failed window"
      report.nextWindow = NextWindow(at: UTCTime(next), reason: reason)
    }
    return report
  }

  func entry(_ file: ListedFile) -> FileEntry {
    var entry = FileEntry(path: AbsolutePath(file.path)!)
    if let status = file.status {
      entry.kind = FileEntry.Kind(status.kind)
      entry.sizeBytes = status.size
      entry.allocatedBytes = status.allocated
      entry.modified = UTCTime(status.modified.timestamp)
    }
    guard let row = file.row else { return entry }
    entry.kind = .file
    entry.state = state(of: row)
    entry.isDirty = row.state == .resident && row.copy != nil
    entry.isLost = row.isLost
    entry.sizeBytes = row.version.size
    entry.modified = UTCTime((row.copy?.modified ?? row.version.modified).timestamp)
    entry.allocatedBytes = row.state == .released ? 0 : row.allocated
    entry.policy = row.policy
    entry.target = row.copy?.target ?? row.target
    entry.targetPath = row.copy?.path.escaped
    entry.sha256 = row.copy?.hash.description
    entry.archivedAt = row.copy.map { UTCTime($0.archivedAt) }
    entry.archiveDue = row.archiveDue.map { UTCTime($0) }
    entry.archiveBy = row.archiveBy.map { UTCTime($0) }
    entry.releaseDue = row.releaseDue.map { UTCTime($0) }
    entry.isPinned = row.pinnedUntil.map { $0 > context.clock.now } ?? false
    entry.pinnedUntil = row.pinnedUntil.flatMap { $0 == .distantFuture ? nil : UTCTime($0) }
    entry.heldReason = row.heldReason
    return entry
  }

  /// What is under way stands in the journal, not in the row.
  private func state(of row: CatalogFile) -> FileEntry.State {
    let intents = row.id.flatMap { try? context.catalog.openIntents(for: $0) } ?? []
    if intents.contains(where: { $0.kind == .restore }) { return .restoring }
    if intents.contains(where: { $0.kind == .release }) { return .releasing }
    if intents.contains(where: { $0.kind == .archive }) { return .archiving }
    switch row.state {
    case .resident: return .resident
    case .archived: return .archived
    case .released: return .released
    }
  }

  func plan(_ action: RequestReport.Kind, _ plan: OrderPlan, wakes: Bool) -> PlanReport {
    let targets = plan.parts.sorted { $0.key < $1.key }.map { name, part in
      PlanTarget(target: name, files: part.files, bytes: part.bytes, isWoken: wakes && part.files > 0)
    }
    return PlanReport(
      action: action, files: targets.reduce(0) { $0 + $1.files }, bytes: targets.reduce(0) { $0 + $1.bytes },
      wakesTarget: targets.contains { $0.isWoken }, targets: targets, skippedFiles: plan.skippedFiles,
      skipped: plan.skipped.map { RequestMessage(path: AbsolutePath(escaped: $0.path), text: $0.reason) })
  }

  func policyEntry(_ policy: Policy) -> PolicyEntry {
    let root = context.volumeService(policy.volume)?.configuration.path ?? "/"
    return PolicyEntry(
      name: policy.name, volume: policy.volume,
      path: AbsolutePath(Array(root.utf8) + (policy.path.isRoot ? [] : [.slash] + policy.path.bytes))!,
      target: policy.target ?? "", priority: policy.priority,
      archiveAfterSeconds: policy.archive.after.wholeSeconds,
      archiveWithinSeconds: policy.archive.within.wholeSeconds,
      releaseAfterSeconds: policy.release.after?.wholeSeconds, keepBelowBytes: policy.release.keepBelow,
      isPinned: policy.pin, keepDeletedSeconds: policy.keepDeleted?.wholeSeconds,
      rules: policy.rules.map { "\($0.effect == .include ? "include" : "exclude") \($0.glob.text)" })
  }
}

extension FileSelection {
  init(_ selection: Selection) {
    switch selection {
    case .paths(let paths): self = .paths(paths.map(\.bytes))
    case .policy(let name): self = .policy(name)
    }
  }
}

extension WindowEntry {
  init(_ record: WindowRecord) {
    self.init(
      id: record.id?.value ?? 0, target: record.target, opened: UTCTime(record.opened),
      closed: record.closed.map { UTCTime($0) }, cause: record.cause, archivedFiles: record.archivedFiles,
      archivedBytes: record.archivedBytes, restoredFiles: record.restoredFiles,
      restoredBytes: record.restoredBytes, changesApplied: record.changesApplied, failures: record.failures,
      error: record.error)
  }
}

extension DiagnosticEntry {
  init(_ diagnostic: Diagnostic) {
    self.init(
      file: diagnostic.file, line: diagnostic.line, column: diagnostic.column, message: diagnostic.message)
  }
}

extension TotalsReport {
  init(_ totals: VolumeTotals) {
    func count(_ count: VolumeTotals.Count) -> CountReport {
      CountReport(files: count.files, bytes: count.bytes)
    }
    self.init(
      resident: count(totals.resident), archived: count(totals.archived), released: count(totals.released),
      ungoverned: count(totals.ungoverned), lostFiles: totals.lost)
  }
}

extension PendingReport {
  init(_ work: PendingWork, now: Timestamp) {
    self.init(
      dueFiles: work.dueFiles, dueBytes: work.dueBytes, laterFiles: work.laterFiles,
      laterBytes: work.laterBytes,
      unprovenFiles: work.unprovenFiles, removals: work.removals, renames: work.moves,
      earliestDeadline: work.earliestDeadline.map { UTCTime($0) },
      oldestUnarchivedSeconds: work.oldestDue.flatMap { $0 <= now ? (now - $0).wholeSeconds : nil })
  }
}

extension TargetCounters {
  init(_ counters: WindowCounters) {
    self.init(
      windows: counters.windows, failedWindows: counters.failedWindows,
      windowSeconds: Double(counters.openTime.nanoseconds) / 1e9, archivedFiles: counters.archivedFiles,
      archivedBytes: counters.archivedBytes, restoredFiles: counters.restoredFiles,
      restoredBytes: counters.restoredBytes, failures: counters.failures)
  }
}

extension RequestReport {
  init(_ state: RequestState) {
    var messages = state.notes.map { RequestMessage(text: $0) }
    messages += state.failures.map { RequestMessage(text: $0) }
    if let error = state.error { messages.append(RequestMessage(text: "\(error)")) }
    let outcome: RequestReport.State =
      if state.ended == nil {
        .running
      } else if state.error != nil || (state.failureCount > 0 && state.files == 0) {
        .failed
      } else {
        state.failureCount > 0 ? .partly : .done
      }
    self.init(
      id: state.id, kind: Kind(rawValue: state.kind) ?? .fsck, state: outcome, filesDone: state.files,
      filesTotal: state.expectedFiles > 0 ? state.expectedFiles : nil, bytesDone: state.bytes,
      bytesTotal: state.expectedBytes > 0 ? state.expectedBytes : nil, messages: messages,
      messageCount: state.notes.count + state.failureCount + (state.error == nil ? 0 : 1),
      started: UTCTime(state.started), ended: state.ended.map { UTCTime($0) })
  }
}

extension RemovedEntry {
  init?(_ removal: Removal, _ path: String) {
    guard let path = AbsolutePath(escaped: path) else { return nil }
    self.init(
      path: path, stage: removal.stage == .pending ? .pending : .trashed, sizeBytes: removal.copy.size,
      target: removal.copy.target, removedAt: UTCTime(removal.removedAt), expires: UTCTime(removal.expires))
  }
}

extension UsageEntry {
  init(_ usage: Usage) {
    self.init(
      path: AbsolutePath(usage.path)!, files: usage.files, releasedFiles: usage.releasedFiles,
      apparentBytes: usage.apparentBytes, cachedBytes: usage.cachedBytes, releasedBytes: usage.releasedBytes)
  }
}

extension FileEntry.Kind {
  init(_ kind: FileKind) {
    switch kind {
    case .regular: self = .file
    case .directory: self = .directory
    case .symlink: self = .symlink
    case .fifo, .socket, .device: self = .special
    }
  }
}

extension Duration {
  fileprivate var wholeSeconds: Int64 { components.seconds }
}
