import Glibc
import Logging
import TierCatalog
import TierCore
import TierEngine
import TierLinux
import TierTestSupport

/// The engine as the daemon runs it, on one volume, with its catalog on disk and real watches.
final class RunningEngine {
  private let state: TemporaryDirectory
  private let catalog: SQLiteCatalog
  private let engine: Engine
  private let thread: OwnedThread

  /// Returns when the first scan has put everything into the catalog.
  init(volume path: String, target: any Target, kind: Configuration.Kind) throws {
    state = try TemporaryDirectory()
    catalog = try SQLiteCatalog(directory: state.path)
    let configuration = Configuration(
      stateDirectory: state.path, volumes: [.init(name: "bench", path: path)],
      targets: [.init(name: target.name, kind: kind)])
    let policy = Policy(name: "bench", volume: "bench", path: .root, target: target.name)
    let engine = try Engine(
      configuration: configuration, policies: PolicySet([policy], defaultTarget: target.name),
      catalog: catalog,
      clock: SystemClock(), log: Logger(label: "bench") { _ in SwiftLogNoOpLogHandler() }, targets: [target]
    ) { volume in
      VolumeService.Ports(
        openFiles: { () throws(TierError) in try LinuxFileSystem(root: volume.path) },
        makeWatcher: { _ throws(TierError) in try InotifyWatcher(path: volume.path) })
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
