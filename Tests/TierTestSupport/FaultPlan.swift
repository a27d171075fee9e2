import Glibc
import Synchronization
import TierCore

/// Which calls fail, and how; and which calls were made at all.
package final class FaultPlan: Sendable {
  package enum Action: Sendable {
    /// The call isn't made and fails.
    case fail(errno: Int32)
    /// The call is made, and fails all the same: what a lost answer looks like.
    case failAfter(errno: Int32)
    /// Runs before the call, which is then made: changes the tree under its feet.
    case before(@Sendable () throws -> Void)
    case after(@Sendable () throws -> Void)
    /// Ends the process as `kill -9` does, before or after the call.
    case killBefore
    case killAfter
  }

  private struct State {
    var actions: [String: [Int: Action]] = [:]
    var counts: [String: Int] = [:]
    var order: [String] = []
    var closureError: (any Error)?
  }
  private let state = Mutex(State())

  package init() {}

  /// For processes that are started to be killed: `release.exchange:1:kill`, several parted by commas. Actions:
  /// `kill`, `kill-after`, or an errno's number. Nil where it doesn't read.
  package convenience init?(parsing text: String) {
    self.init()
    for part in text.split(separator: ",") {
      let fields = part.split(separator: ":").map(String.init)
      guard fields.count == 3, let occurrence = Int(fields[1]) else { return nil }
      let action: Action
      switch fields[2] {
      case "kill": action = .killBefore
      case "kill-after": action = .killAfter
      default:
        guard let number = Int32(fields[2]) else { return nil }
        action = .fail(errno: number)
      }
      add(fields[0], occurrence, action)
    }
  }

  /// `occurrence` counts from 1, from the plan's start, whatever the file.
  package func at(_ site: CallSite, occurrence: Int = 1, _ action: Action) {
    add(site.description, occurrence, action)
  }

  /// Every call site met, in the order of its first call.
  package var sitesSeen: [String] { state.withLock(\.order) }
  /// How often each call site was met.
  package var counts: [String: Int] { state.withLock(\.counts) }
  package func count(of site: CallSite) -> Int { state.withLock { $0.counts[site.description] ?? 0 } }
  /// What an injected closure threw; look at it at a test's end.
  package var closureError: (any Error)? { state.withLock(\.closureError) }

  /// Makes the call as planned.
  func perform<Value>(
    _ site: CallSite, _ call: String, _ path: String, _ body: () throws(SyscallError) -> Value
  ) throws(SyscallError) -> Value {
    switch next(site.description) {
    case nil:
      return try body()
    case .fail(let number):
      throw SyscallError(call: call, path: path, errno: number)
    case .failAfter(let number):
      _ = try body()
      throw SyscallError(call: call, path: path, errno: number)
    case .before(let closure):
      run(closure)
      return try body()
    case .after(let closure):
      let value = try body()
      run(closure)
      return value
    case .killBefore:
      Self.killProcess()
    case .killAfter:
      _ = try? body()
      Self.killProcess()
    }
  }

  private func add(_ site: String, _ occurrence: Int, _ action: Action) {
    state.withLock { $0.actions[site, default: [:]][occurrence] = action }
  }

  private func next(_ site: String) -> Action? {
    state.withLock { state in
      let count = (state.counts[site] ?? 0) + 1
      state.counts[site] = count
      if count == 1 { state.order.append(site) }
      // Each happens once; kept, its closure would keep the test's own objects for ever.
      return state.actions[site]?.removeValue(forKey: count)
    }
  }

  private func run(_ closure: () throws -> Void) {
    do { try closure() } catch { state.withLock { $0.closureError = error } }
  }

  private static func killProcess() -> Never {
    kill(getpid(), SIGKILL)
    while true { pause() }
  }
}
