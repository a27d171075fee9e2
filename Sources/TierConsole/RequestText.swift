import TierAPI
import TierCore

extension RequestReport: Presentable {
  /// The outcome in one line; the messages go to the standard error.
  package func text(_ style: TextStyle) -> String {
    let amount = "\(HumanText.files(filesDone)) (\(HumanText.bytes(bytesDone)))"
    let took = ended.map {
      " in \(HumanText.duration(seconds: $0.seconds(since: started)))"
    }
    switch state {
    case .running: return "\(kind.rawValue) \(id) is running: \(progress); see tierctl status\n"
    case .done: return "\(kind.rawValue): " + style.paint("done", .green) + ", \(amount)\(took ?? "")\n"
    case .partly:
      let total = filesTotal.map { " of \(HumanText.count($0))" } ?? ""
      return "\(kind.rawValue): " + style.paint("partly done", .yellow) + ", \(amount)\(total)\(took ?? "")\n"
    case .failed: return "\(kind.rawValue): " + style.paint("failed", .red) + "\n"
    }
  }

  /// What was not done, and why: one line each.
  package var messageLines: [String] {
    let hidden = messageCount - messages.count
    return messages.map(\.line)
      + (hidden > 0 ? ["… and \(HumanText.count(hidden)) more; see tierd's log"] : [])
  }

  /// `3 of 10 files, 12 MB of 48 MB: copies from nas`
  package var progress: String {
    let files =
      filesTotal.map { "\(HumanText.count(filesDone)) of \(HumanText.files($0))" }
      ?? HumanText.files(filesDone)
    let bytes =
      bytesTotal.map { "\(HumanText.bytes(bytesDone)) of \(HumanText.bytes($0))" }
      ?? HumanText.bytes(bytesDone)
    return "\(files), \(bytes)\(activity.isEmpty ? "" : ": \(activity)")"
  }
}

extension RequestMessage {
  package var line: String { path.map { "\($0): \(text)" } ?? text }
}

extension PlanReport: Presentable {
  package func text(_ style: TextStyle) -> String {
    let time = estimatedSeconds.map { ", about \(HumanText.duration(seconds: $0))" } ?? ""
    var text = "Would \(action.rawValue) \(HumanText.files(files)) (\(HumanText.bytes(bytes)))\(time).\n"
    text += "Wakes the NAS: " + (wakesTarget ? style.paint("yes", .yellow) : "no") + ".\n"
    if !targets.isEmpty {
      var table = Table([
        .init("TARGET"), .init("FILES", .right), .init("SIZE", .right), .init("TIME", .right), .init("WAKES"),
      ])
      for target in targets {
        table.add([
          "\(target.target)", "\(HumanText.count(target.files))", "\(HumanText.bytes(target.bytes))",
          "\(target.estimatedSeconds.map { HumanText.duration(seconds: $0) } ?? "-")",
          "\(target.isWoken ? "yes" : "no")",
        ])
      }
      text += table.text(style)
    }
    if skippedFiles > 0 {
      text += "Not: \(HumanText.files(skippedFiles)).\n" + skipped.map { "  \($0.line)\n" }.joined()
      if skippedFiles > skipped.count, !skipped.isEmpty {
        text += "  and \(HumanText.count(skippedFiles - skipped.count)) more\n"
      }
    }
    return text
  }
}
