import Glibc
import Logging
import Synchronization
import TierCore

/// Writes one line for each message to standard error: text for people, JSON for collectors.
package struct LineLogHandler: LogHandler {
  package var logLevel: Logger.Level
  package var metadata: Logger.Metadata = [:]
  private let format: Configuration.Log.Format
  private let clock: any TierClock
  private let sink: LineSink

  package init(_ log: Configuration.Log, clock: any TierClock, sink: LineSink = .standardError) {
    logLevel = Logger.Level(log.level)
    format = log.format
    self.clock = clock
    self.sink = sink
  }

  package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  package func log(event: LogEvent) {
    let fields = metadata.merging(event.metadata ?? [:]) { _, new in new }
      .map { ($0.key, "\($0.value)") }.sorted { $0.0 < $1.0 }
    // Milliseconds: a line a nanosecond is nobody's need.
    let now = Timestamp(nanoseconds: clock.now.nanoseconds / 1_000_000 * 1_000_000)
    let line =
      switch format {
      case .text: Self.text(now, event.level, "\(event.message)", fields)
      case .json: Self.json(now, event.level, "\(event.message)", fields)
      }
    sink.write(line + "\n")
  }

  static func text(
    _ now: Timestamp, _ level: Logger.Level, _ message: String, _ fields: [(String, String)]
  ) -> String {
    let name = level.rawValue + String(repeating: " ", count: max(0, 7 - level.rawValue.count))
    let tail = fields.map { key, value in
      let needsQuotes = value.isEmpty || value.utf8.contains { $0 == 0x20 || $0 == 0x22 || $0 < 0x20 }
      return " \(key)=" + (needsQuotes ? JSONText.quoted(value) : value)
    }
    return "\(now.utcText) \(name) \(message)" + tail.joined()
  }

  static func json(
    _ now: Timestamp, _ level: Logger.Level, _ message: String, _ fields: [(String, String)]
  ) -> String {
    let all = [("time", now.utcText), ("level", level.rawValue), ("message", message)] + fields
    return "{" + all.map { "\(JSONText.quoted($0)):\(JSONText.quoted($1))" }.joined(separator: ",") + "}"
  }
}

/// Where lines go; whole lines, whatever the thread.
package final class LineSink: Sendable {
  private let output: Mutex<@Sendable (String) -> Void>

  package init(_ output: @escaping @Sendable (String) -> Void) { self.output = Mutex(output) }

  package static let standardError = LineSink { line in
    var rest = Array(line.utf8)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(2, $0.baseAddress, $0.count) }
      // A reader that went away must not stop the daemon.
      if count <= 0 { return }
      rest = rest.dropFirst(count)
    }
  }

  package func write(_ line: String) { output.withLock { $0(line) } }
}

enum JSONText {
  static func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\t": result += "\\t"
      case _ where scalar.value < 0x20:
        let digits = String(scalar.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }
}

extension Logger.Level {
  init(_ level: Configuration.Log.Level) {
    switch level {
    case .trace: self = .trace
    case .debug: self = .debug
    case .info: self = .info
    case .warning: self = .warning
    case .error: self = .error
    }
  }
}
