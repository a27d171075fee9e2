/// Decides when to contact a target. Pure: the same code plans for the daemon and for a simulation.
///
/// Work waits as long as its policy allows; the earliest deadline opens the window, and everything that may go
/// then goes along. For a known set of deadlines no schedule has fewer windows (interval stabbing).
package enum WindowPlanner {
  /// All that the decision depends on.
  package struct Situation: Hashable, Sendable {
    package var pending: PendingWork
    /// People and apps that wait, oldest first: each opens a window at once.
    package var urgent: [Urgency]
    /// Volumes above their high watermark that only a window can help.
    package var fullVolumes: [String]
    /// No window before, but for urgent work: back-off after a failure.
    package var retryNotBefore: Timestamp?
    /// Watermark windows that brought nothing aren't repeated before.
    package var watermarkNotBefore: Timestamp?

    package init(
      pending: PendingWork, urgent: [Urgency] = [], fullVolumes: [String] = [],
      retryNotBefore: Timestamp? = nil, watermarkNotBefore: Timestamp? = nil
    ) {
      self.pending = pending
      self.urgent = urgent
      self.fullVolumes = fullVolumes
      self.retryNotBefore = retryNotBefore
      self.watermarkNotBefore = watermarkNotBefore
    }
  }

  package struct Urgency: Hashable, Sendable {
    /// `tierctl flush photos`, `restore of photos/a.jpg`.
    package var cause: String
    package init(cause: String) { self.cause = cause }
  }

  package enum Decision: Hashable, Sendable {
    /// The cause in words, for the ledger.
    case open(cause: String)
    /// Nothing to do before; nil: nothing is pending at all.
    case sleep(until: Timestamp?)
  }

  package static func decide(_ situation: Situation, now: Timestamp) -> Decision {
    if let first = situation.urgent.first { return .open(cause: first.cause) }
    let blockedUntil = situation.retryNotBefore.flatMap { $0 > now ? $0 : nil }
    var next: Timestamp?

    if let volume = situation.fullVolumes.first {
      let from = max(blockedUntil ?? .distantPast, situation.watermarkNotBefore ?? .distantPast)
      if from <= now { return .open(cause: "\(volume) is above its high watermark") }
      next = from
    }
    if let deadline = situation.pending.earliestDeadline {
      let from = max(deadline, blockedUntil ?? .distantPast)
      if from <= now { return .open(cause: "the oldest change reached its archive.within") }
      next = next.map { min($0, from) } ?? from
    }
    return .sleep(until: next)
  }
}
