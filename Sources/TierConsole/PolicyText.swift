import TierAPI
import TierCore

extension PoliciesReport: Presentable {
  package func text(_ style: TextStyle) -> String {
    guard !policies.isEmpty else { return "No policy: every file stays in the cache.\n" }
    var columns: [Table.Column] = [
      .init("POLICY"), .init("VOLUME"), .init("TARGET"), .init("ARCHIVE AFTER"), .init("WITHIN"),
      .init("RELEASE AFTER"), .init("PATH"),
    ]
    if style.isWide {
      columns += [
        .init("KEEP BELOW"), .init("KEEP DELETED"), .init("PRIORITY", .right), .init("RULES"), .init("FILE"),
      ]
    }
    var table = Table(columns)
    for policy in policies {
      let release = policy.releaseAfterSeconds.map { Self.text($0) } ?? "when full"
      var cells: [Table.Cell] = [
        "\(policy.name)", "\(policy.volume)", "\(policy.target)", "\(Self.text(policy.archiveAfterSeconds))",
        "\(Self.text(policy.archiveWithinSeconds))", "\(policy.isPinned ? "never" : release)",
        "\(policy.path)",
      ]
      if style.isWide {
        cells += [
          "\(ByteCount.exactText(policy.keepBelowBytes))",
          "\(policy.keepDeletedSeconds.map { Self.text($0) } ?? "never")", "\(policy.priority)",
          "\(policy.rules.joined(separator: ", "))", "\(policy.file ?? "")",
        ]
      }
      table.add(cells)
    }
    return table.text(style)
  }

  /// As it would be written in a policy.
  private static func text(_ seconds: Int64) -> String { Duration.seconds(seconds).unitText }
}

extension ExplainReport: Presentable {
  package func text(_ style: TextStyle) -> String {
    style.paint("\(path)", .bold) + "\n" + sentences.map { "  \($0)\n" }.joined()
  }
}

extension PolicyCheckReport: Presentable {
  package func text(_ style: TextStyle) -> String {
    diagnostics.map { $0.sentence + "\n" }.joined() + (isValid && diagnostics.isEmpty ? "valid\n" : "")
  }
}

extension DiagnosticEntry {
  /// `policies/photos.yaml:7:12: "archive.after: 5x": unknown unit "x"`
  package var sentence: String { line > 0 ? "\(file):\(line):\(column): \(message)" : "\(file): \(message)" }
}

extension DoctorReport: Presentable {
  package func text(_ style: TextStyle) -> String {
    checks.map { check in
      let (mark, color): (String, TextStyle.Color) =
        switch check.result {
        case .ok: ("ok", .green)
        case .warning: ("warning", .yellow)
        case .problem: ("problem", .red)
        }
      let fix = check.fix.map { "\n         do: \($0)" } ?? ""
      return style.paint(mark.padded(to: 7), color) + "  \(check.name): \(check.text)\(fix)\n"
    }.joined()
  }
}
