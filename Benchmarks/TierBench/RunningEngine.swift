import Glibc
import Logging
import TierCatalog
import TierCore
import TierEngine
import TierGuard
import TierGuardSupport
import TierLinux
import TierTestSupport

/// The engine as the daemon runs it, on one volume, with its catalog on disk and real watches.
final class RunningEngine {
  private let state: TemporaryDirectory
  private let catalog: SQLiteCatalog
  private let engine: Engine
  private let thread: OwnedThread

  /// Returns when the first scan has put everything into the catalog. `guarded`: below `tree`, files become placeholders
  /// when `release` says so.
  init(volume path: String, target: any Target, kind: Configuration.Kind, guarded: GuardBench? = nil) throws {
    state = try TemporaryDirectory()
    catalog = try SQLiteCatalog(directory: state.path)
    let configuration = Configuration(
      stateDirectory: state.path, volumes: [.init(name: "bench", path: path)],
      targets: [.init(name: target.name, kind: kind)])
    var policy = Policy(name: "bench", volume: "bench", path: .root, target: target.name)
    var tuning = EngineTuning()
    var connectGuard: (@Sendable (any FileSystem) throws(TierError) -> GuardConnection)?
    if let socket = guarded?.socket {
      policy.path = RelativePath("tree")!
      policy.release.keepBelow = 0
      policy.restore = Policy.Restore(mode: .guard, stay: .zero, perMinute: .max)
      tuning.linger = .zero
      tuning.proofDelay = .zero
      connectGuard = { _ throws(TierError) in
        try GuardConnection(
          socket: socket, program: GuardBench.program("tier-guard"), root: path,
          terms: GuardTerms(isShared: false))
      }
    }
    let engine = try Engine(
      configuration: configuration, policies: PolicySet([policy], defaultTarget: target.name),
      catalog: catalog,
      clock: SystemClock(), tuning: tuning, log: Logger(label: "bench") { _ in SwiftLogNoOpLogHandler() },
      targets: [target]
    ) { [connectGuard] volume in
      VolumeService.Ports(
        openFiles: { () throws(TierError) in try LinuxFileSystem(root: volume.path) },
        makeWatcher: { _ throws(TierError) in try InotifyWatcher(path: volume.path) },
        connectGuard: connectGuard)
    }
    self.engine = engine
    thread = OwnedThread(name: "engine") { _ = engine.run() }
    try wait("the first scan") { lastScan != nil }
  }

  /// One scan of the whole volume, at full speed.
  func scan() throws -> Duration {
    let before = lastScan
    return try timed {
      engine.context.volumeServices[0].requestScan(reason: "measured")
      try wait("the scan") { lastScan != before }
    }
  }

  /// One window that archives everything, as `tierctl flush --wait` does it.
  func flush(expecting files: Int) throws -> Duration {
    var outcome: RequestState?
    let time = try timed {
      let request = try engine.flush(.everything)
      try wait("the flush") { request.current.ended != nil }
      outcome = request.current
    }
    guard let outcome, outcome.error == nil, outcome.failureCount == 0, outcome.files == files else {
      throw SyscallFailure(description: "the flush went wrong: \(String(describing: outcome))")
    }
    return time
  }

  /// Reads every copy back, so that what it is of may be released.
  func prove() throws {
    let request = try engine.verify(.everything)
    try wait("the proof") { request.current.ended != nil }
  }

  /// As `tierctl release` does it.
  func release() throws {
    let request = try engine.release(.everything)
    try wait("the release") { request.current.ended != nil }
  }

  func stop() {
    engine.stop()
    thread.join()
    catalog.close()
  }

  private var lastScan: Timestamp? { engine.context.volumeServices[0].condition.lastScan }

  private func wait(_ what: String, until condition: () -> Bool) throws {
    try eventually(within: .seconds(1800), what, condition)
  }
}
