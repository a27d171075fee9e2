import Synchronization
import TierCore
import TierLinux
import TierTestSupport

@testable import TierEngine

/// tierd's two threads, doing what a daemon does, far too often and in no order: the volume's looks, releases and frees;
/// the target's archives and restores. One at a time works on each part of the bench, as in the daemon.
final class TierdAtWork: Sendable {
  private struct State {
    var isEnding = false
    var failure: (any Error)?
    var releases = 0
  }

  private let state: Shared
  private let threads: [OwnedThread]

  private final class Shared: Sendable {
    let value = Mutex(State())
  }

  /// The bench isn't made for threads; its parts are.
  private struct Parts: @unchecked Sendable {
    let ground: Ground
    var bench: Bench { ground.bench }
    var loop: VolumeLoop { ground.bench.loop }
  }

  init(_ ground: Ground, seed: UInt64) {
    let state = Shared()
    self.state = state
    let parts = Parts(ground: ground)
    threads = [
      Self.thread("volume", state, seed) { try Self.volumeActs(parts, state, &$0) },
      Self.thread("target", state, seed &+ 1) { try Self.targetActs(parts, &$0) },
    ]
  }

  var hasFailed: Bool { state.value.withLock { $0.failure != nil } }
  var failure: (any Error)? { state.value.withLock { $0.failure } }
  var releases: Int { state.value.withLock { $0.releases } }

  func end() {
    state.value.withLock { $0.isEnding = true }
    for thread in threads { thread.join() }
  }

  private static func thread(
    _ name: String, _ state: Shared, _ seed: UInt64,
    _ act: @escaping @Sendable (inout SplitMix) throws -> Void
  ) -> OwnedThread {
    OwnedThread(name: name) {
      var random = SplitMix(state: seed)
      do {
        while !state.value.withLock(\.isEnding) {
          try act(&random)
          pause(atMost: 2000)
        }
      } catch { state.value.withLock { $0.failure = error } }
    }
  }

  private static func volumeActs(_ parts: Parts, _ state: Shared, _ random: inout SplitMix) throws {
    let (bench, loop) = (parts.bench, parts.loop)
    switch Int.random(in: 0..<4, using: &random) {
    case 0:
      loop.scanNeeded("race")
      if let error = loop.settleNow() { throw error }
    case 1:
      let rows = try bench.catalog.files(below: bench.volume.rootDirectory, after: nil, limit: 100)
      let begun = loop.release(rows.filter { $0.state == .archived && Bool.random(using: &random) })
      let count = begun.count { if case .released = $0 { true } else { false } }
      state.value.withLock { $0.releases += count }
    case 2:
      bench.clock.advance(.milliseconds(Int64.random(in: 0...3000, using: &random)))
    default:
      if bench.volume.hasExaminations, let error = loop.settleNow(scanning: false) { throw error }
    }
    bench.runCommands()
    try loop.finishLingering()
  }

  private static func targetActs(_ parts: Parts, _ random: inout SplitMix) throws {
    let bench = parts.bench
    if parts.ground.stub == .link { try restoreSome(parts, &random) }
    guard bench.windows.hasWaitingOrders || Int.random(in: 0..<8, using: &random) == 0 else { return }
    if let error = try bench.window() { throw Broken(description: "a window failed: \(error)") }
  }

  /// Who needs a link's content asks for it.
  private static func restoreSome(_ parts: Parts, _ random: inout SplitMix) throws {
    let bench = parts.bench
    let rows = try bench.catalog.files(below: bench.volume.rootDirectory, after: nil, limit: 100)
    for row in rows where row.state == .released && Int.random(in: 0..<3, using: &random) == 0 {
      guard let path = try bench.volume.path(of: row) else { continue }
      do throws(TierError) {
        _ = try bench.engine.restore(.paths([Array(bench.volume.absolute(path).utf8)]), pinUntil: nil)
      } catch {
        // Renamed since the row was read, and seen: a person would look again.
        guard error.code == .notFound else { throw error }
      }
    }
  }
}
