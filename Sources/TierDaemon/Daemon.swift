import Glibc
import Logging
import ServiceLifecycle
import TierCatalog
import TierCore
import TierEngine
import TierGuard
import TierLinux
import TierObserve
import TierPolicyFile
import TierServer
import TierTargets

/// The daemon, put together from its configuration. `run` returns on SIGTERM or SIGINT; a part that fails ends
/// the whole loudly, and the next start recovers.
package struct Daemon {
  package static let version = "0.1.0"

  private let configuration: Configuration
  private let tuning: EngineTuning
  private let clock = SystemClock()

  package init(configuration: Configuration, tuning: EngineTuning = EngineTuning()) {
    self.configuration = configuration
    self.tuning = tuning
  }

  package func run() async throws {
    let log = Logger(label: "tierd") { _ in LineLogHandler(configuration.log, clock: clock) }
    raiseFileLimit()
    try makeDirectory(configuration.stateDirectory)
    let catalog = try SQLiteCatalog(directory: configuration.stateDirectory)
    defer { catalog.close() }

    let policies = PolicySource(configuration: configuration, log: log)
    let factory = TargetFactory(stateDirectory: configuration.stateDirectory, catalog: catalog, log: log)
    let engine = try Engine(
      configuration: configuration, policies: policies.loadAtStart(), catalog: catalog, clock: clock,
      tuning: tuning, log: log,
      targets: configuration.targets.map(factory.make),
      ports: { ports($0, log) })
    let control = EngineControl(
      engine: engine, configuration: configuration, policies: policies, catalog: catalog, started: clock.now)

    let notification = ServiceNotification()
    var services: [any Service] = [
      EngineService(engine: engine), PolicyReloadService(source: policies, engine: engine, log: log),
      ControlServer(control: control, socket: configuration.socket, version: Self.version, logger: log) {
        log.info("ready", metadata: ["socket": "\(configuration.socket)", "version": "\(Self.version)"])
        notification.ready(status: "serving \(configuration.volumes.count) volumes")
      },
    ]
    if let http = configuration.http {
      services.append(StatusServer(control: control, address: http, version: Self.version, logger: log))
    }
    // What services do, they say themselves; an error that ends the group is told once, by the caller.
    let silent = Logger(label: "lifecycle") { _ in SwiftLogNoOpLogHandler() }
    var group = ServiceGroupConfiguration(
      services: services.map { .init(service: $0) }, gracefulShutdownSignals: [.sigterm, .sigint],
      logger: silent
    )
    group.maximumGracefulShutdownDuration = .seconds(25)
    try await ServiceGroup(configuration: group).run()
    notification.stopping()
    log.info("stopped")
  }

  private func ports(_ volume: Configuration.Volume, _ log: Logger) -> VolumeService.Ports {
    VolumeService.Ports(
      openFiles: { () throws(TierError) in try LinuxFileSystem(root: volume.path) },
      makeWatcher: { _ throws(TierError) in try InotifyWatcher(path: volume.path) },
      connectGuard: volume.stubs == .auto ? guardConnector(of: volume, log) : nil)
  }

  private func guardConnector(of volume: Configuration.Volume, _ log: Logger)
    -> @Sendable (any FileSystem) throws(TierError) -> GuardConnection
  {
    let settings = configuration.guard
    return { files throws(TierError) in
      try GuardConnection(
        socket: settings.socket, program: settings.program ?? Self.programBeside("tier-guard"),
        patience: Self.isSupervised ? .seconds(3) : .zero, root: volume.path,
        terms: GuardTerms(
          isShared: files.isShared,
          bounds: GuardBounds(patience: settings.patience, absence: settings.absence))
      ) { line in log.warning("\(line)") }
    }
  }

  /// By systemd, which then has a guard of its own to start.
  private static var isSupervised: Bool { getenv("INVOCATION_ID") != nil }

  /// Nil where none is installed: somebody else starts it.
  private static func programBeside(_ name: String) -> String? {
    guard let own = realpath("/proc/self/exe", nil) else { return nil }
    defer { free(own) }
    let program =
      String(cString: own).split(separator: "/").dropLast().reduce("") { "\($0)/\($1)" } + "/" + name
    return access(program, X_OK) == 0 ? program : nil
  }

  private func makeDirectory(_ path: String) throws(TierError) {
    var prefix = ""
    for part in path.split(separator: "/") {
      prefix += "/" + part
      if mkdir(prefix, 0o700) != 0, errno != EEXIST {
        throw TierError(
          .badConfiguration,
          "can't be made: choose another stateDirectory or run tierd with the rights for it",
          path: prefix, cause: errnoText(errno))
      }
    }
  }

  /// Batches keep their files open; the default soft limit of 1024 is for programs that use `select`.
  private func raiseFileLimit() {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
    limit.rlim_cur = min(limit.rlim_max, 65_536)
    setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  }
}

/// The engine's threads, as one service.
struct EngineService: Service {
  let engine: Engine

  func run() async throws {
    let failure = await withTaskCancellationOrGracefulShutdownHandler {
      await withCheckedContinuation { continuation in
        _ = OwnedThread(name: "engine") { [engine] in continuation.resume(returning: engine.run()) }
      }
    } onCancelOrGracefulShutdown: {
      engine.stop()
    }
    if let failure { throw failure }
  }
}
