import TierAPI
import TierCore

/// The status report as one plain page: no script, nothing loaded from elsewhere.
struct StatusPage {
  let report: StatusReport

  var html: String {
    """
    <!DOCTYPE html>
    <html lang="en"><head><meta charset="utf-8"><title>tierd</title>
    <meta name="viewport" content="width=device-width"><meta http-equiv="refresh" content="30">
    <style>\(Self.style)</style></head>
    <body><h1>tierd \(escape(report.version))</h1>
    <p>Started \(time(report.started)). \(readiness) \(HumanText.count(report.policies.count)) policies.</p>
    \(problems)<h2>Targets</h2>
    \(targets)<h2>Volumes</h2>
    \(volumes)\(requests)</body></html>

    """
  }

  private static let style = """
    body{font:16px/1.5 system-ui,sans-serif;margin:2em auto;max-width:70em;padding:0 1em}\
    table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3em .8em .3em 0;\
    border-bottom:1px solid #8884;vertical-align:top}.problem{color:#b00020}small{opacity:.7}\
    @media(prefers-color-scheme:dark){body{background:#111;color:#ddd}.problem{color:#ff6b6b}}
    """

  private var readiness: String {
    report.isReady ? "Ready." : "<strong>Starting: not every volume is watched yet.</strong>"
  }

  private var problems: String {
    let texts =
      report.volumes.flatMap { volume in volume.problems.map { "\(volume.name): \($0)" } }
      + report.volumes.filter { $0.totals.lostFiles > 0 }.map {
        "\($0.name): \(HumanText.files($0.totals.lostFiles)) lost on the target; see tierctl ls"
      } + report.targets.compactMap { target in target.lastError.map { "\(target.name): \($0)" } }
      + report.policies.diagnostics.map { "\($0.file):\($0.line):\($0.column): \($0.message)" }
    guard !texts.isEmpty else { return "" }
    return "<ul class=\"problem\">" + texts.map { "<li>\(escape($0))</li>" }.joined() + "</ul>\n"
  }

  private var targets: String {
    table(
      ["Target", "State", "Waiting", "Oldest change without a copy", "Next window", "Last window"],
      report.targets.map { target in
        [
          "\(escape(target.name))<br><small>\(escape(target.address))</small>", target.state.rawValue,
          "\(HumanText.files(target.pending.dueFiles)), \(HumanText.bytes(target.pending.dueBytes))",
          target.pending.oldestUnarchivedSeconds.map { HumanText.duration(seconds: $0) } ?? "none",
          target.nextWindow.map { "\(time($0.at))<br><small>\(escape($0.reason))</small>" } ?? "none planned",
          target.window.map { "\(time($0.opened))<br><small>\(escape($0.cause))</small>" } ?? "none yet",
        ]
      })
  }

  private var volumes: String {
    table(
      ["Volume", "Used", "In the cache only", "Archived", "Released", "Ungoverned", "Scan"],
      report.volumes.map { volume in
        [
          "\(escape(volume.name))<br><small>\(escape(volume.path.description))</small>",
          "\(HumanText.percent(volume.usedBytes, of: volume.totalBytes)) of \(HumanText.bytes(volume.totalBytes))",
          count(volume.totals.resident), count(volume.totals.archived), count(volume.totals.released),
          count(volume.totals.ungoverned),
          volume.scan.state == .idle
            ? volume.scan.lastCompleted.map(time) ?? "never"
            : "\(volume.scan.state.rawValue)<br><small>\(escape(volume.scan.reason))</small>",
        ]
      })
  }

  private var requests: String {
    guard !report.requests.isEmpty else { return "" }
    let rows = report.requests.map { request in
      [
        escape(request.id), request.kind.rawValue, escape(request.activity),
        "\(HumanText.files(request.filesDone)), \(HumanText.bytes(request.bytesDone))", time(request.started),
      ]
    }
    return "<h2>Requests</h2>\n" + table(["Id", "Kind", "Activity", "Done", "Started"], rows)
  }

  private func count(_ count: CountReport) -> String {
    "\(HumanText.files(count.files))<br><small>\(HumanText.bytes(count.bytes))</small>"
  }

  private func time(_ time: UTCTime) -> String {
    "<time datetime=\"\(time)\" title=\"\(time)\">\(HumanText.relative(time, to: report.now))</time>"
  }

  /// Cells are HTML already.
  private func table(_ heads: [String], _ rows: [[String]]) -> String {
    "<table><tr>" + heads.map { "<th>\($0)</th>" }.joined() + "</tr>\n"
      + rows.map { "<tr>" + $0.map { "<td>\($0)</td>" }.joined() + "</tr>\n" }.joined() + "</table>\n"
  }

  private func escape(_ text: String) -> String {
    text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
      .replacing("\"", with: "&quot;").replacing("'", with: "&#39;")
  }
}
