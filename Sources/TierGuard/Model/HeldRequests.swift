import TierCore

/// Those who wait on one file system, and until when. A value without clock or descriptors.
package struct HeldRequests: Sendable {
  private struct Entry: Sendable {
    var request: GuardRequest
    /// When somebody last answered for this one.
    var lastSign: Duration

    func end(_ bounds: GuardBounds) -> Duration {
      min(request.since + bounds.patience, lastSign + bounds.absence)
    }
  }

  package let limit: Int
  private var entries: [GuardToken: Entry] = [:]
  /// In the order of their coming, the next one last. What isn't in `entries` any more is passed over.
  private var unsent: [GuardToken] = []
  private var arrivals: [GuardToken] = []

  package init(limit: Int) { self.limit = limit }

  package var count: Int { entries.count }
  package var all: [GuardRequest] { entries.values.map(\.request) }

  /// False where too many wait already: this one is to be refused.
  package mutating func hold(_ request: GuardRequest, now: Duration) -> Bool {
    guard entries.count < limit, entries[request.token] == nil else { return false }
    entries[request.token] = Entry(request: request, lastSign: now)
    arrivals.append(request.token)
    return true
  }

  /// The oldest that the client wasn't told of yet; counts as told until `connected` or `unsend`.
  package mutating func takeUnsent() -> GuardRequest? {
    while true {
      if unsent.isEmpty {
        guard !arrivals.isEmpty else { return nil }
        unsent = arrivals.reversed()
        arrivals = []
      }
      if let entry = entries[unsent.removeLast()] { return entry.request }
    }
  }

  /// It couldn't be told after all.
  package mutating func unsend(_ token: GuardToken) { unsent.append(token) }

  /// A client has come: it is told everything, but what it brought itself, and gets the time to work.
  package mutating func connected(now: Duration, knows known: Set<GuardToken> = []) {
    unsent = entries.keys.filter { !known.contains($0) }.sorted(by: >)
    arrivals = []
    for token in Array(entries.keys) { entries[token]?.lastSign = now }
  }

  package mutating func stillWorking(_ token: GuardToken, now: Duration) { entries[token]?.lastSign = now }

  /// Nil: it waits no more.
  package mutating func take(_ token: GuardToken) -> GuardRequest? {
    entries.removeValue(forKey: token)?.request
  }

  package mutating func takeAll() -> [GuardRequest] {
    defer { entries = [:] }
    return entries.values.map(\.request)
  }

  /// Those whose time is over, the oldest first.
  package mutating func takeExpired(now: Duration, _ bounds: GuardBounds) -> [GuardRequest] {
    let expired = entries.values.filter { $0.end(bounds) <= now }.map(\.request).sorted {
      $0.token < $1.token
    }
    for request in expired { entries[request.token] = nil }
    return expired
  }

  /// When to look again. Nil: nobody waits.
  package func nextEnd(_ bounds: GuardBounds) -> Duration? { entries.values.map { $0.end(bounds) }.min() }
}
