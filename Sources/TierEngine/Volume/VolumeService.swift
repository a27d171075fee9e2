import Logging
import Synchronization
import TierCore
import TierGuard
import TierLinux

/// Keeps one volume and the catalog in step, and releases what may go. One thread: events, scans and releases
/// never race each other.
package final class VolumeService: Sendable {
  package struct Ports: Sendable {
    /// Opens the folder anew, after a start and after an unmount.
    package var openFiles: @Sendable () throws(TierError) -> any FileSystem
    package var makeWatcher: @Sendable (any FileSystem) throws(TierError) -> any Watcher
    /// The way to the guard of the volume's file system; nil: stubs are links.
    package var connectGuard: (@Sendable (any FileSystem) throws(TierError) -> GuardConnection)?

    package init(
      openFiles: @escaping @Sendable () throws(TierError) -> any FileSystem,
      makeWatcher: @escaping @Sendable (any FileSystem) throws(TierError) -> any Watcher,
      connectGuard: (@Sendable (any FileSystem) throws(TierError) -> GuardConnection)? = nil
    ) {
      self.openFiles = openFiles
      self.makeWatcher = makeWatcher
      self.connectGuard = connectGuard
    }
  }

  package let configuration: Configuration.Volume
  let engine: EngineContext
  let ports: Ports
  let commit = CommitLock()
  private let state = Mutex(State())
  private let idle: Wakeup

  struct State {
    var isStopping = false
    /// Nobody is there any more to run a command.
    var hasEnded = false
    var volume: Volume?
    var watcher: (any Watcher)?
    var commands: [Command] = []
    var condition = VolumeCondition()
    /// There was none at the last attempt.
    var lacksGuard = false
  }

  /// Run on the volume's thread, in order, while the volume is there; else told that it isn't.
  typealias Command = @Sendable (borrowing Result<VolumeLoop, TierError>) -> Void

  package init(configuration: Configuration.Volume, engine: EngineContext, ports: Ports) throws(TierError) {
    idle = try wrapping("while preparing a thread") { () throws(SyscallError) in try Wakeup() }
    self.configuration = configuration
    self.engine = engine
    self.ports = ports
  }

  /// The volume, while it is there.
  package var volume: Volume? { state.withLock { $0.volume } }
  package var condition: VolumeCondition { state.withLock { $0.condition } }

  /// Blocks until `stop`. Fails only when the daemon can't go on (the catalog).
  package func run() throws(TierError) {
    defer {
      state.withLock { $0.hasEnded = true }
      refuseCommands(.stopping)
    }
    while !isStopping {
      do {
        try serve()
      } catch {
        if error.disposition == .fatal || error.code == .catalogTooNew { throw error }
        engine.log.warning(
          "volume is not available", metadata: ["volume": "\(configuration.name)", "error": "\(error)"])
        state.withLock {
          $0.condition = VolumeCondition()
          $0.condition.problem = "\(error)"
        }
        refuseCommands(error)
        _ = idle.wait(atMost: .seconds(10))
      }
    }
  }

  package func stop() {
    state.withLock { $0.isStopping = true }
    wake()
  }

  /// Makes the thread look again: a command came, a policy changed.
  package func wake() {
    state.withLock { $0.watcher?.wake() }
    idle.signal()
  }

  /// Compares what recent events told at once, without waiting for quiet, then calls back on the thread. A scan
  /// that a doubt asked for may take minutes: with `scanning`, it is waited for.
  package func settleNow(
    scanning: Bool = true, unheard: [RelativePath] = [], _ done: @escaping @Sendable (TierError?) -> Void
  ) {
    enqueue { loop in
      switch loop {
      case .success(let loop): done(loop.settleNow(scanning: scanning, unheard: unheard))
      case .failure(let error): done(error)
      }
    }
  }

  package func requestScan(reason: String) {
    enqueue { loop in if case .success(let loop) = loop { loop.scanNeeded(reason) } }
  }

  /// Ends this life of the volume; the next one begins by finding out what is possible there.
  func reopen(reason: String) {
    enqueue { loop in if case .success(let loop) = loop { loop.end(reason) } }
  }

  func enqueue(_ command: @escaping Command) {
    let isLate = state.withLock {
      $0.commands.append(command)
      return $0.hasEnded
    }
    if isLate { refuseCommands(.stopping) } else { wake() }
  }

  var isStopping: Bool { state.withLock { $0.isStopping } }

  func takeCommands() -> [Command] {
    state.withLock { state in
      defer { state.commands = [] }
      return state.commands
    }
  }

  /// True where a window changed rows, or found something that should be looked at.
  func hasWork(after run: WindowRun) -> Bool {
    run.touchedVolumes.contains(configuration.name) || volume?.hasExaminations == true
  }

  func update(_ change: (inout VolumeCondition) -> Void) { state.withLock { change(&$0.condition) } }

  private func refuseCommands(_ error: TierError) {
    for command in takeCommands() { command(.failure(error)) }
  }

  /// One life of the volume: from finding it to losing it.
  private func serve() throws(TierError) {
    let files = try ports.openFiles()
    let volume = try Volume.open(
      configuration, files: files, commit: commit, catalog: engine.catalog, clock: engine.clock,
      policies: engine.policies, tuning: engine.tuning,
      guarding: { () throws(TierError) in try guarding(files) })
    defer { engine.guardPosts.leave(configuration.name) }
    if let problem = volume.guardProblem { engine.log.error("\(problem)") }
    try LocalRecovery(volume: volume, log: engine.log).run()
    if volume.stubMode.guardian == nil {
      try PlaceholderConversion(volume: volume, links: engine.linkStubs).run(engine.log)
    }
    let watcher = try ports.makeWatcher(files)
    defer {
      detach()
      watcher.stop()
    }
    let loop = try attach(volume, watcher)
    try loop.run()
  }

  /// Placeholders where a guard can stand before the whole file system, and only there.
  func guarding(_ files: any FileSystem) throws(TierError) -> StubMode {
    guard let connect = ports.connectGuard else { return .links(because: "volumes.stubs is link") }
    if (try? MountTable.mount(holding: configuration.path))?.fileSystem == "fuse.glusterfs" {
      return .links(because: "clients of GlusterFS cache what a placeholder's holes look like")
    }
    let asks = engine.policies.current.policies(in: configuration.name).contains { $0.restore.mode == .guard }
    let has = try Volume.hasPlaceholders(files)
    if !asks, !has { return .links(because: StubMode.notAsked) }
    if let obstacle = try Volume.obstacleToPlaceholders(files) { return .links(because: obstacle) }
    do throws(TierError) {
      let root = try wrapping("while looking for its file system") { () throws(SyscallError) in
        try files.status(of: .root, at: "volume.guardedRoot")
      }
      guard let root else { return .links(because: "its root is gone") }
      let post = try engine.guardPosts.enter(configuration.name, device: root.device, engine: engine) {
        () throws(TierError) in try connect(files)
      }
      state.withLock { $0.lacksGuard = false }
      return .placeholders(post)
    } catch {
      if error.code == .volumeUnavailable { throw error }
      // A guard that is just being started again: links are for good, so not at the first failure.
      let isFirst = state.withLock { state in
        defer { state.lacksGuard = true }
        return !state.lacksGuard
      }
      if has, isFirst, error.disposition == .retry { throw error }
      return .links(because: "\(error.message)" + (error.cause.map { " (\($0))" } ?? ""))
    }
  }

  /// From here on windows see the volume.
  func attach(_ volume: Volume, _ watcher: any Watcher) throws(TierError) -> VolumeLoop {
    let loop = try VolumeLoop(service: self, volume: volume, watcher: watcher)
    state.withLock {
      $0.watcher = watcher
      $0.condition = VolumeCondition()
      $0.volume = volume
    }
    engine.wakeWindows()
    return loop
  }

  private func detach() {
    state.withLock {
      $0.watcher = nil
      $0.volume = nil
    }
  }
}

/// What `status` shows of a volume.
package struct VolumeCondition: Sendable, Hashable {
  /// Why the volume isn't served; nil while it is.
  package var problem: String? = "starting"
  package var coverage = WatchCoverage()
  package var scanReason: String?
  package var scannedFiles = 0
  package var filesInLastScan: Int?
  package var lastScan: Timestamp?
  package var space: FileSystemSpace?
  package var isFull = false
  /// Bricks that can't be reached, while others hold all files.
  package var away: [String] = []
  package var bricksAway: String? {
    if away.isEmpty { return nil }
    return "\(away.joined(separator: ", ")) can't be reached; what is deleted meanwhile stays on the target"
  }
  package var watchingSince: Timestamp?

  package init() {}
}
