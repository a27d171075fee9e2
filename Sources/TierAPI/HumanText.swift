import TierCore

extension HumanText {
  /// `3 h ago`, `in 2 h`, `now`, `never`.
  package static func relative(_ time: UTCTime, to now: UTCTime) -> String {
    guard time.timestamp != .distantFuture else { return "never" }
    let seconds = time.seconds(since: now)
    if seconds == 0 { return "now" }
    return seconds < 0 ? "\(duration(seconds: seconds)) ago" : "in \(duration(seconds: seconds))"
  }
}
