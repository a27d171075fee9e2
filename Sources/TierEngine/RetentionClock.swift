import Logging
import Synchronization
import TierCore

/// Keeps a wrong clock from emptying the trash: what it holds is kept for as long as tierd saw time pass.
///
/// Where the wall clock jumps (a machine without a battery-backed clock hears from NTP, or somebody sets it wrong),
/// the dates on which the trash lets go jump with it, forth and back. Time in which tierd did not run looks just the
/// same at its next start, and is not counted either.
final class RetentionClock: Sendable {
  private let catalog: any Catalog
  private let clock: any TierClock
  private let log: Logger
  private let state = Mutex(State())

  private struct State {
    var last: (wall: Timestamp, monotonic: Duration)?
    var saved: Timestamp?
  }

  private static let setting = "retention/seen"
  /// Clocks are corrected by less than this all the time.
  private static let tolerance = Duration.seconds(300)
  /// A power cut costs at most this much of the time that was seen.
  private static let saveEvery = Duration.seconds(3600)

  init(catalog: any Catalog, clock: any TierClock, log: Logger) {
    self.catalog = catalog
    self.clock = clock
    self.log = log
  }

  /// To be called now and then, and before anything is destroyed because its time is over.
  func look() throws(TierError) {
    let (wall, monotonic) = (clock.now, clock.monotonic)
    let (last, saved) = state.withLock { ($0.last, $0.saved) }
    let expected: Timestamp
    if let last {
      expected = last.wall + (monotonic - last.monotonic)
    } else {
      expected = try savedTime() ?? wall
    }
    let jump = wall - expected
    let isJump = jump > Self.tolerance || jump < .zero - Self.tolerance
    let isSaveDue = saved.map { wall - $0 >= Self.saveEvery } ?? true
    if isJump || isSaveDue {
      try catalog.together { () throws(TierError) in
        if isJump { try catalog.postponeExpiry(by: jump, now: wall) }
        try save(wall)
      }
    }
    state.withLock {
      $0.last = (wall, monotonic)
      if isJump || isSaveDue { $0.saved = wall }
    }
    guard isJump, last != nil else { return }
    log.warning(
      "the wall clock jumped; the trash keeps what it holds for as long as before",
      metadata: ["seconds": "\(jump.nanoseconds / 1_000_000_000)"])
  }

  /// At the end, so that the next start knows how long nobody looked.
  func stop() throws(TierError) {
    try look()
    try save(clock.now)
  }

  private func save(_ time: Timestamp) throws(TierError) {
    try catalog.setSetting(Self.setting, to: Array("\(time.nanoseconds)".utf8))
  }

  private func savedTime() throws(TierError) -> Timestamp? {
    try catalog.setting(Self.setting).flatMap { Int64(String(decoding: $0, as: UTF8.self)) }
      .map { Timestamp(nanoseconds: $0) }
  }
}
