import FoundationEssentials
import TierAPI
import TierCore

/// A listing that may be too long to hold: rendered page by page.
package struct FileListing {
  private let renderer: Renderer
  private let now: UTCTime
  /// Paths are shown below it; nil: absolute.
  private let base: AbsolutePath?
  private var isFirst = true

  package init(renderer: Renderer, now: UTCTime, base: AbsolutePath?) {
    self.renderer = renderer
    self.now = now
    self.base = base
  }

  /// The next part of the output. Call once with nothing where there is nothing, for the head.
  package mutating func page(_ entries: [FileEntry]) throws -> String {
    defer { isFirst = isFirst && entries.isEmpty }
    switch renderer.format {
    case .table: return table(entries, isWide: false)
    case .wide: return table(entries, isWide: true)
    case .json:
      return try entries.enumerated().map { index, entry in
        (isFirst && index == 0 ? "{\n\"entries\" : [\n" : ",\n") + (try StructuredText.json(entry)).dropLast()
      }.joined()
    case .yaml:
      return try (isFirst && !entries.isEmpty ? "entries:\n" : "")
        + (entries.isEmpty ? "" : StructuredText.yaml(entries))
    }
  }

  package func end() -> String {
    switch renderer.format {
    case .table, .wide: ""
    case .json:
      isFirst ? "{\n\"entries\" : [],\n\"now\" : \"\(now)\"\n}\n" : "\n],\n\"now\" : \"\(now)\"\n}\n"
    case .yaml: (isFirst ? "entries: []\n" : "") + "now: \"\(now)\"\n"
    }
  }

  private func table(_ entries: [FileEntry], isWide: Bool) -> String {
    guard !entries.isEmpty else { return "" }
    let style = renderer.style
    var columns: [Table.Column] = [
      .init("STATE", widthMin: 15), .init("SIZE", .right, widthMin: 6), .init("MODIFIED", widthMin: 10),
    ]
    if isWide {
      columns += [
        .init("CACHED", .right, widthMin: 6), .init("POLICY", widthMin: 10), .init("TARGET", widthMin: 6),
        .init("ARCHIVED", widthMin: 10), .init("NEXT", widthMin: 20),
      ]
    }
    var table = Table(columns + [.init("PATH")])
    for entry in entries {
      var cells: [Table.Cell] = [
        .init(entry.stateText, entry.color),
        "\(entry.kind == .directory ? "" : HumanText.bytes(entry.sizeBytes))",
        "\(entry.modified.map { HumanText.relative($0, to: now) } ?? "")",
      ]
      if isWide {
        cells += [
          "\(entry.kind == .directory ? "" : HumanText.bytes(entry.allocatedBytes))", "\(entry.policy ?? "")",
          "\(entry.target ?? "")", "\(entry.archivedAt.map { HumanText.relative($0, to: now) } ?? "")",
          "\(entry.next(now) ?? "")",
        ]
      }
      table.add(cells + ["\(shown(entry))"])
    }
    return style.printable(table.text(style, hasHead: isFirst))
  }

  private func shown(_ entry: FileEntry) -> String {
    let suffix = entry.kind == .directory ? "/" : ""
    guard let base, let below = entry.path.relative.relative(to: base.relative), !below.isRoot else {
      return "\(entry.path)\(suffix)"
    }
    return below.escaped + suffix
  }
}

extension FileEntry {
  /// State and flags in one word or two.
  fileprivate var stateText: String {
    switch kind {
    case .directory: return "directory"
    case .special: return "special"
    case .file, .symlink: break
    }
    if isLost { return "\(state.rawValue), lost" }
    if isDirty { return "\(state.rawValue), dirty" }
    return isPinned ? "\(state.rawValue), pin" : state.rawValue
  }

  fileprivate var color: TextStyle.Color? {
    if isLost { return .red }
    switch state {
    case .released: return .faint
    case .resident: return .yellow
    case .archived: return .green
    default: return nil
    }
  }

  fileprivate func next(_ now: UTCTime) -> String? {
    if let heldReason { return "held: \(heldReason)" }
    switch state {
    case .resident: return archiveBy.map { "archive \(HumanText.relative($0, to: now))" }
    case .archived:
      return isPinned ? "pinned" : releaseDue.map { "release \(HumanText.relative($0, to: now))" }
    default: return nil
    }
  }
}

extension WhyReport: Presentable {
  package func text(_ style: TextStyle) -> String {
    var text = style.paint("\(entry.path)", .bold) + "\n" + sentences.map { "  \($0)\n" }.joined()
    guard style.isWide else { return text }
    var table = Table([.init("FIELD"), .init("VALUE")])
    let times: [(String, UTCTime?)] = [
      ("modified", entry.modified), ("archived", entry.archivedAt), ("archive due", entry.archiveDue),
      ("archive by", entry.archiveBy), ("release due", entry.releaseDue), ("pinned until", entry.pinnedUntil),
    ]
    let texts: [(String, String?)] = [
      ("state", entry.state.rawValue), ("size", "\(entry.sizeBytes) bytes"),
      ("in the cache", "\(entry.allocatedBytes) bytes"), ("policy", entry.policy), ("target", entry.target),
      ("place there", entry.targetPath), ("SHA-256", entry.sha256), ("held", entry.heldReason),
    ]
    for (name, value) in texts where value != nil { table.add(["\(name)", "\(value!)"]) }
    for (name, time) in times where time != nil {
      table.add(["\(name)", "\(time!) (\(HumanText.relative(time!, to: now)))"])
    }
    text += table.text(style, hasHead: false)
    return text
  }
}

extension UsageReport: Presentable {
  package func text(_ style: TextStyle) -> String {
    var table = Table([
      .init("CACHED", .right), .init("RELEASED", .right), .init("TOTAL", .right), .init("FILES", .right),
      .init("RELEASED FILES", .right), .init("PATH"),
    ])
    for entry in entries + [total] {
      table.add([
        "\(HumanText.bytes(entry.cachedBytes))", "\(HumanText.bytes(entry.releasedBytes))",
        "\(HumanText.bytes(entry.apparentBytes))", "\(HumanText.count(entry.files))",
        "\(HumanText.count(entry.releasedFiles))", "\(entry.path)",
      ])
    }
    return table.text(style)
  }
}

extension PinReport: Presentable {
  package func text(_ style: TextStyle) -> String {
    "\(HumanText.files(files))\(until.map { ": pinned until \($0)" } ?? "")\n"
  }
}

extension UndeleteReport: Presentable {
  package func text(_ style: TextStyle) -> String {
    guard !removed.isEmpty else { return "Nothing that was deleted there is kept.\n" }
    var table = Table([
      .init("DELETED"), .init("SIZE", .right), .init("TARGET"), .init("KEPT UNTIL"), .init("PATH"),
    ])
    for entry in removed {
      table.add([
        "\(entry.removedAt)", "\(HumanText.bytes(entry.sizeBytes))", "\(entry.target)", "\(entry.expires)",
        "\(entry.path)",
      ])
    }
    return table.text(style)
  }
}
