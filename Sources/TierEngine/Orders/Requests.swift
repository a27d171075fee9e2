import Synchronization
import TierCore

/// How far something has come that a person asked for.
package struct RequestState: Hashable, Sendable {
  package var id: String
  /// `flush`, `restore`, `release`, `verify`, `undelete`, `fsck`.
  package var kind: String
  package var started: Timestamp
  package var ended: Timestamp?
  package var files = 0
  package var bytes: Int64 = 0
  /// What is expected in all; 0 where that isn't known.
  package var expectedFiles = 0
  package var expectedBytes: Int64 = 0
  /// At most the first 100; `failureCount` counts all.
  package var failures: [String] = []
  package var failureCount = 0
  package var notes: [String] = []
  /// The error that ended the whole request.
  package var error: TierError?

  static let keptFailures = 100
}

extension TierError: Hashable {
  package static func == (left: TierError, right: TierError) -> Bool {
    left.code == right.code && left.message == right.message && left.path == right.path
      && left.cause == right.cause && left.disposition == right.disposition
  }

  package func hash(into hasher: inout Hasher) { hasher.combine(message) }
}

/// Lets the threads that do the work report on one request.
package final class RequestHandle: Sendable {
  package let id: String
  private let state: Mutex<RequestState>
  private let clock: any TierClock

  init(id: String, kind: String, clock: any TierClock) {
    self.id = id
    self.clock = clock
    state = Mutex(RequestState(id: id, kind: kind, started: clock.now))
  }

  package var current: RequestState { state.withLock { $0 } }

  func expect(files: Int, bytes: Int64) {
    state.withLock {
      $0.expectedFiles += files
      $0.expectedBytes += bytes
    }
  }

  func advance(files: Int, bytes: Int64) {
    state.withLock {
      $0.files += files
      $0.bytes += bytes
    }
  }

  func note(_ text: String) { state.withLock { $0.notes.append(text) } }

  func fail(_ text: String) {
    state.withLock {
      $0.failureCount += 1
      if $0.failures.count < RequestState.keptFailures { $0.failures.append(text) }
    }
  }

  /// Only the first call counts.
  func finish(_ error: TierError? = nil) {
    let now = clock.now
    state.withLock {
      guard $0.ended == nil else { return }
      $0.error = error
      $0.ended = now
    }
  }
}

/// The requests of the last hours; the oldest ended ones make room.
package final class RequestBook: Sendable {
  private let clock: any TierClock
  private let limit: Int
  private let book = Mutex<(next: Int, handles: [RequestHandle])>((1, []))

  init(clock: any TierClock, limit: Int = 200) {
    self.clock = clock
    self.limit = limit
  }

  func open(_ kind: String) -> RequestHandle {
    book.withLock { book in
      let handle = RequestHandle(id: "\(kind)-\(book.next)", kind: kind, clock: clock)
      book.next += 1
      if book.handles.count >= limit, let oldest = book.handles.firstIndex(where: { $0.current.ended != nil })
      {
        book.handles.remove(at: oldest)
      }
      book.handles.append(handle)
      return handle
    }
  }

  package func state(of id: String) -> RequestState? {
    book.withLock { book in book.handles.first { $0.id == id }?.current }
  }

  package var running: [RequestState] {
    book.withLock { book in book.handles.map(\.current).filter { $0.ended == nil } }
  }
}

/// Calls back once, when as many parts as were announced have ended.
final class Countdown: Sendable {
  private let left: Mutex<Int>
  private let done: @Sendable () -> Void

  init(_ parts: Int, _ done: @escaping @Sendable () -> Void) {
    left = Mutex(parts)
    self.done = done
    if parts == 0 { done() }
  }

  /// True for the last one.
  @discardableResult
  func partEnded() -> Bool {
    let isLast = left.withLock { left in
      left -= 1
      return left == 0
    }
    if isLast { done() }
    return isLast
  }
}
