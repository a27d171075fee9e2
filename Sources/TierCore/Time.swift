/// A point of wall-clock time: nanoseconds since 1970. For ages and deadlines, never for measuring delays.
package struct Timestamp: Hashable, Sendable, Comparable {
  package var nanoseconds: Int64

  package init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }
  package init(seconds: Int64) { nanoseconds = seconds.multipliedClamped(by: 1_000_000_000) }

  /// Far enough in the future to mean "never" and in the past to mean "at once".
  package static let distantFuture = Timestamp(nanoseconds: .max)
  package static let distantPast = Timestamp(nanoseconds: .min)

  package var seconds: Int64 { nanoseconds / 1_000_000_000 }

  package static func < (left: Timestamp, right: Timestamp) -> Bool { left.nanoseconds < right.nanoseconds }

  package static func + (time: Timestamp, delay: Duration) -> Timestamp {
    Timestamp(nanoseconds: time.nanoseconds.addedClamped(delay.nanoseconds))
  }

  package static func - (time: Timestamp, delay: Duration) -> Timestamp {
    Timestamp(nanoseconds: time.nanoseconds.addedClamped(-delay.nanoseconds))
  }

  package static func - (left: Timestamp, right: Timestamp) -> Duration {
    .nanoseconds(left.nanoseconds.addedClamped(right.nanoseconds == .min ? .max : -right.nanoseconds))
  }
}

/// A file's time exactly as its file system keeps it. Wider than `Timestamp`: an mtime can be anything.
package struct FileTime: Hashable, Sendable, Comparable {
  package var seconds: Int64
  /// 0 to 999,999,999.
  package var nanoseconds: UInt32

  package init(seconds: Int64, nanoseconds: UInt32) {
    self.seconds = seconds
    self.nanoseconds = nanoseconds
  }

  package static func < (left: FileTime, right: FileTime) -> Bool {
    (left.seconds, left.nanoseconds) < (right.seconds, right.nanoseconds)
  }

  /// Clamped to what a `Timestamp` holds (the years 1677 to 2262).
  package var timestamp: Timestamp { Timestamp(seconds: seconds) + .nanoseconds(Int64(nanoseconds)) }
}

extension Duration {
  /// Clamped to ±292 years.
  package var nanoseconds: Int64 {
    let (seconds, attoseconds) = components
    return seconds.multipliedClamped(by: 1_000_000_000).addedClamped(attoseconds / 1_000_000_000)
  }
}

/// The two clocks. Wall time may jump; monotonic time may not.
package protocol TierClock: Sendable {
  var now: Timestamp { get }
  /// Time since some fixed start; only differences mean something.
  var monotonic: Duration { get }
}

extension Int64 {
  func addedClamped(_ other: Int64) -> Int64 {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? (other > 0 ? .max : .min) : sum
  }

  func multipliedClamped(by other: Int64) -> Int64 {
    let (product, overflow) = multipliedReportingOverflow(by: other)
    return overflow ? ((self > 0) == (other > 0) ? .max : .min) : product
  }
}
