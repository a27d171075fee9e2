import TierAPI
import TierCore

extension StatusReport: Presentable {
  package func text(_ style: TextStyle) -> String {
    let age = HumanText.duration(seconds: now.seconds(since: started))
    var text = style.paint("tierd \(version)", .bold) + ", up \(age). \(summary(style))\n"
    if !targets.isEmpty { text += "\n" + targetTable(style) }
    if !volumes.isEmpty { text += "\n" + volumeTable(style) }
    if !requests.isEmpty { text += "\n" + requestTable(style) }
    let problems = problems
    if !problems.isEmpty {
      text += "\n" + problems.map { style.paint("Problem:", .red) + " \($0)\n" }.joined()
    }
    return text
  }

  /// The question that everybody has first: is everything on the NAS?
  private func summary(_ style: TextStyle) -> String {
    guard isReady else { return style.paint("Starting: not every volume is watched yet.", .yellow) }
    let files = targets.reduce(0) { $0 + $1.pending.dueFiles + $1.pending.laterFiles }
    let bytes = targets.reduce(Int64(0)) { $0 + $1.pending.dueBytes + $1.pending.laterBytes }
    guard files > 0 else { return style.paint("Every governed file has its copy on its target.", .green) }
    let oldest = targets.compactMap(\.pending.oldestUnarchivedSeconds).max()
    let age = oldest.map { "; the oldest has waited \(HumanText.duration(seconds: $0))" } ?? ""
    return "\(HumanText.files(files)) (\(HumanText.bytes(bytes))) to archive\(age)."
  }

  private func targetTable(_ style: TextStyle) -> String {
    var columns = ["TARGET", "STATE", "DUE", "LATER", "DEADLINE", "NEXT WINDOW", "LAST WINDOW"].map {
      Table.Column($0)
    }
    if style.isWide {
      columns += [.init("UNPROVEN"), .init("DELETIONS"), .init("RENAMES"), .init("ADDRESS")]
    }
    var table = Table(columns)
    for target in targets {
      let pending = target.pending
      var cells: [Table.Cell] = [
        "\(target.name)", .init(target.state.rawValue, target.state.color),
        "\(amount(pending.dueFiles, pending.dueBytes))", "\(amount(pending.laterFiles, pending.laterBytes))",
        "\(pending.earliestDeadline.map { HumanText.relative($0, to: now) } ?? "-")",
        "\(target.nextWindow.map { "\(HumanText.relative($0.at, to: now)) (\($0.reason))" } ?? "-")",
        "\(target.window.map { lastWindow($0) } ?? "-")",
      ]
      if style.isWide {
        cells += [
          "\(pending.unprovenFiles)", "\(pending.removals)", "\(pending.renames)",
          "\(target.kind.rawValue) \(target.address)",
        ]
      }
      table.add(cells)
    }
    return table.text(style)
  }

  private func lastWindow(_ window: WindowEntry) -> String {
    guard let closed = window.closed else {
      return "open since \(HumanText.relative(window.opened, to: now))"
    }
    return "\(HumanText.relative(closed, to: now))\(window.error == nil ? "" : ", failed")"
  }

  private func volumeTable(_ style: TextStyle) -> String {
    var columns = ["VOLUME", "USED", "CACHE ONLY", "ARCHIVED", "RELEASED", "UNGOVERNED", "SCAN"].map {
      Table.Column($0)
    }
    if style.isWide { columns += [.init("WATERMARKS"), .init("STUBS"), .init("WATCHES"), .init("PATH")] }
    var table = Table(columns)
    for volume in volumes {
      let totals = volume.totals
      var cells: [Table.Cell] = [
        "\(volume.name)",
        .init(
          "\(HumanText.percent(volume.usedBytes, of: volume.totalBytes)) of \(HumanText.bytes(volume.totalBytes))",
          Double(volume.usedBytes) > volume.highWatermark * Double(volume.totalBytes) ? .yellow : nil),
        "\(amount(totals.resident))", "\(amount(totals.archived))", "\(amount(totals.released))",
        "\(amount(totals.ungoverned))", "\(scan(volume.scan))",
      ]
      if style.isWide {
        cells += [
          "\(Int(volume.lowWatermark * 100))-\(Int(volume.highWatermark * 100)) %",
          "\(volume.stubs.rawValue)\(volume.releasesAutomatically ? "" : ", by hand")",
          "\(HumanText.count(volume.watch.directories)) (\(HumanText.count(volume.watch.gapCount)) gaps)",
          "\(volume.path) (\(volume.fileSystem))",
        ]
      }
      table.add(cells)
    }
    return table.text(style)
  }

  private func scan(_ scan: ScanReport) -> String {
    switch scan.state {
    case .idle: return scan.lastCompleted.map { HumanText.relative($0, to: now) } ?? "never"
    case .needed: return "needed: \(scan.reason)"
    case .running:
      let share =
        scan.filesExpected.map { " (\(HumanText.percent(Int64(scan.filesSeen), of: Int64($0))))" } ?? ""
      return "running, \(HumanText.files(scan.filesSeen))\(share)"
    }
  }

  private func requestTable(_ style: TextStyle) -> String {
    var table = Table(["REQUEST", "KIND", "STARTED", "PROGRESS"].map { Table.Column($0) })
    for request in requests {
      table.add([
        "\(request.id)", "\(request.kind.rawValue)", "\(HumanText.relative(request.started, to: now))",
        "\(request.progress)",
      ])
    }
    return table.text(style)
  }

  private var problems: [String] {
    volumes.flatMap { volume in
      let lost = volume.totals.lostFiles
      return volume.problems.map { "volume \(volume.name): \($0)" }
        + (lost == 0
          ? []
          : [
            "volume \(volume.name): \(HumanText.files(lost)) lost on the target: tierctl ls -R --lost \(volume.path)"
          ])
    } + targets.compactMap { target in target.lastError.map { "target \(target.name): \($0)" } }
      + policies.diagnostics.map { "policies (the earlier ones stay in force): \($0.sentence)" }
  }

  private func amount(_ files: Int, _ bytes: Int64) -> String {
    files == 0 ? "-" : "\(HumanText.count(files)) (\(HumanText.bytes(bytes)))"
  }

  private func amount(_ count: CountReport) -> String { amount(count.files, count.bytes) }
}

extension TargetReport.State {
  fileprivate var color: TextStyle.Color {
    switch self {
    case .idle: .faint
    case .window: .green
    case .retry: .red
    }
  }
}

extension WindowsReport: Presentable {
  package func text(_ style: TextStyle) -> String {
    guard !windows.isEmpty else { return "No window yet.\n" }
    var columns: [Table.Column] = [
      .init("OPENED"), .init("LASTED", .right), .init("TARGET"), .init("ARCHIVED"), .init("RESTORED"),
      .init("CHANGES", .right), .init("FAILED", .right), .init("CAUSE"),
    ]
    if style.isWide { columns += [.init("ID", .right), .init("AT"), .init("ERROR")] }
    var table = Table(columns)
    for window in windows {
      let lasted = window.closed.map { $0.seconds(since: window.opened) }
      let isBad = window.error != nil || window.failures > 0
      var cells: [Table.Cell] = [
        "\(HumanText.relative(window.opened, to: now))",
        "\(lasted.map { HumanText.duration(seconds: $0) } ?? "open")", "\(window.target)",
        "\(amount(window.archivedFiles, window.archivedBytes))",
        "\(amount(window.restoredFiles, window.restoredBytes))", "\(window.changesApplied)",
        .init("\(window.failures)", isBad ? .red : nil), "\(window.cause)",
      ]
      if style.isWide { cells += ["\(window.id)", "\(window.opened)", "\(window.error ?? "")"] }
      table.add(cells)
    }
    return table.text(style)
  }

  private func amount(_ files: Int, _ bytes: Int64) -> String {
    files == 0 ? "-" : "\(HumanText.count(files)) (\(HumanText.bytes(bytes)))"
  }
}
