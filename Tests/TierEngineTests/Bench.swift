import Glibc
import Logging
import Synchronization
import TierCatalog
import TierCore
import TierGuard
import TierLinux
import TierTargets
import TierTestSupport

@testable import TierEngine

/// A clock that stands still until a test moves it.
final class TestClock: TierClock {
  private let passed = Mutex((time: Duration.zero, jumps: Duration.zero))
  private let start = SystemClock().now

  var now: Timestamp { start + passed.withLock { $0.time + $0.jumps } }
  var monotonic: Duration { passed.withLock { $0.time } }
  func advance(_ step: Duration) { passed.withLock { $0.time += step } }
  /// Sets the wall clock forth or back.
  func jump(_ step: Duration) { passed.withLock { $0.jumps += step } }
}

/// Tells of nothing: the bench looks by scans, on its own thread, when the test says so.
final class SilentWatcher: Watcher {
  func start(progress: (Int) -> Void) throws(TierError) {}
  func wait(atMost timeout: Duration) throws(TierError) -> [Hint] { [] }
  func wake() {}
  var coverage: WatchCoverage { WatchCoverage() }
  func stop() {}
}

/// The engine on one volume and one directory target (a second one waits for who needs it), moved step by step by the test: no threads, no waiting.
final class Bench {
  let folder: TemporaryDirectory
  let clock = TestClock()
  let faults: FaultPlan
  let targetFaults: FaultPlan
  let configuration: Configuration
  private(set) var catalog: SQLiteCatalog
  private(set) var engine: Engine
  /// Gone while it restarts, with all that it has open.
  private(set) var loop: VolumeLoop!
  private let parts: Parts

  let cache: String
  /// Where the target's content can be looked at.
  let nas: String

  static let policy = Policy(
    name: "app", volume: "vol", path: .root, target: "nas",
    archive: .init(after: .seconds(60), within: .seconds(3600)),
    release: .init(after: .seconds(86_400), keepBelow: 1), keepDeleted: .seconds(86_400))

  /// `renameFlags: false`: a volume like GlusterFS, whose renames can neither exchange nor keep what is there.
  /// `cache`: a folder that exists already, on a file system of its own kind.
  init(
    policy: Policy = Bench.policy, tuning: EngineTuning = EngineTuning(roomPatience: .zero),
    renameFlags: Bool = true,
    in folder: TemporaryDirectory? = nil, cache: String? = nil, faults: FaultPlan = FaultPlan(),
    targetFaults: FaultPlan = FaultPlan(), target: (target: any Target, folder: String)? = nil,
    watching: @escaping (String) throws -> any Watcher = { _ in SilentWatcher() },
    connectGuard: (@Sendable (any FileSystem) throws(TierError) -> GuardConnection)? = nil
  ) throws {
    self.folder = try folder ?? TemporaryDirectory()
    let folder = self.folder
    self.faults = faults
    self.targetFaults = targetFaults
    for name in ["cache", "nas", "second", "state"] { mkdir(folder.path(name), 0o755) }
    let root = cache ?? folder.path("cache")
    self.cache = root
    configuration = Configuration(
      stateDirectory: folder.path("state"), volumes: [.init(name: "vol", path: root)],
      targets: ["nas", "second"].map { .init(name: $0, kind: .directory(path: folder.path($0))) })
    nas = target?.folder ?? folder.path("nas")
    let target =
      target?.target
      ?? DirectoryTarget(name: "nas", path: folder.path("nas"), memory: .none) { path throws(TierError) in
        FaultInjectingFileSystem(try LinuxFileSystem(root: path), targetFaults)
      }
    let second = DirectoryTarget(name: "second", path: folder.path("second"), memory: .none) {
      path throws(TierError) in try LinuxFileSystem(root: path)
    }
    parts = Parts(
      configuration: configuration, tuning: tuning, clock: clock, targets: [target, second],
      connectGuard: connectGuard
    ) {
      () throws(TierError) in
      FaultInjectingFileSystem(try LinuxFileSystem(root: root, renameFlags: renameFlags), faults)
    } makeWatcher: {
      try watching(root)
    }
    (catalog, engine, loop) = try parts.start(policy)
  }

  /// What outlives a restart.
  private struct Parts {
    let configuration: Configuration
    let tuning: EngineTuning
    let clock: TestClock
    let targets: [any Target]
    var connectGuard: (@Sendable (any FileSystem) throws(TierError) -> GuardConnection)?
    let openFiles: @Sendable () throws(TierError) -> any FileSystem
    let makeWatcher: () throws -> any Watcher

    func start(_ policy: Policy) throws -> (SQLiteCatalog, Engine, VolumeLoop) {
      let catalog = try SQLiteCatalog(directory: configuration.stateDirectory)
      var log = Logger(label: "test")
      log.logLevel = getenv("TIERD_TEST_LOG") == nil ? .critical : .trace
      let openFiles = openFiles
      let engine = try Engine(
        configuration: configuration, policies: try PolicySet([policy], defaultTarget: "nas"),
        catalog: catalog, clock: clock, tuning: tuning, log: log, targets: targets
      ) { _ in
        VolumeService.Ports(
          openFiles: openFiles, makeWatcher: { _ in SilentWatcher() }, connectGuard: connectGuard)
      }
      let service = engine.context.volumeServices[0]
      let files = try openFiles()
      let volume = try Volume.open(
        service.configuration, files: files, commit: service.commit, catalog: catalog, clock: clock,
        policies: engine.context.policies, tuning: tuning,
        guarding: { () throws(TierError) in try service.guarding(files) })
      try LocalRecovery(volume: volume, log: log).run()
      if volume.stubMode.guardian == nil {
        try PlaceholderConversion(volume: volume, links: engine.context.linkStubs).run(log)
      }
      return (catalog, engine, try service.attach(volume, try makeWatcher()))
    }
  }

  /// As if the daemon had been killed here: nothing of its memory survives. `whileDown`: what happens then.
  func restart(
    policy: Policy = Bench.policy, withGuard: Bool = true, whileDown: () throws -> Void = {}
  ) throws {
    leaveGuard()
    catalog.close()
    loop = nil
    try whileDown()
    var parts = parts
    if !withGuard { parts.connectGuard = nil }
    do {
      (catalog, engine, loop) = try parts.start(policy)
    } catch let error as TierError {
      // As the daemon does: a guard that is just ending is none at the next attempt.
      guard error.disposition == .retry else { throw error }
      (catalog, engine, loop) = try parts.start(policy)
    }
  }

  /// Who opens a stub waits for the next start.
  func leaveGuard() { engine.context.guardPosts.leave("vol") }

  deinit { leaveGuard() }

  var volume: Volume { loop.volume }
  var windows: WindowService { engine.context.windowServices[0] }

  // MARK: Steps

  /// Everything that apps did is seen, deletions included.
  func look() throws {
    for _ in 0..<3 {
      loop.scanNeeded("test")
      if let error = loop.settleNow() { throw error }
    }
  }

  /// One window, if the planner wants one; the error that ended it.
  @discardableResult
  func window() throws -> String? {
    try windows.window(cause: "test")
    return windows.condition.lastError
  }

  /// What the daemon's threads do where somebody waits: windows that orders ask for, commands, names to be looked at,
  /// what lingers.
  func serveOnce() throws {
    if windows.hasWaitingOrders { try window() }
    runCommands()
    if volume.hasExaminations, let error = loop.settleNow(scanning: false) { throw error }
    try loop.finishLingering()
  }

  func runCommands() {
    for command in loop.service.takeCommands() { command(.success(loop)) }
  }

  /// Seen, aged, archived.
  func archive() throws {
    try look()
    clock.advance(.seconds(61))
    try window()
    try look()
  }

  @discardableResult
  func release(_ path: String) throws -> [ReleaseOutcome] {
    let outcome = loop.release([try row(path)])
    clock.advance(.seconds(10))
    try loop.finishLingering()
    return outcome
  }

  func restore(_ path: String) throws -> RequestState {
    let handle = try engine.restore(.paths([Array("\(cache)/\(path)".utf8)]), pinUntil: nil)
    try window()
    return handle.current
  }

  // MARK: Looking

  func row(_ path: String) throws -> CatalogFile {
    guard let row = try find(path) else { throw Missing(path: path) }
    return row
  }

  func find(_ path: String) throws -> CatalogFile? {
    let path = RelativePath(path)!
    guard let parent = try catalog.directory(at: path.parent, in: volume.id) else { return nil }
    return try catalog.file(named: path.name!, in: parent)
  }

  struct Missing: Error { let path: String }

  // MARK: Apps

  func write(_ path: String, _ text: String, in root: String? = nil) {
    let full = "\(root ?? cache)/\(path)"
    makeParents(full)
    let fd = open(full, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
    precondition(fd >= 0, "cannot write \(full)")
    _ = text.withCString { Glibc.write(fd, $0, strlen($0)) }
    close(fd)
  }

  private func makeParents(_ path: String) {
    for (index, character) in path.enumerated() where character == "/" && index > 0 {
      mkdir(String(path.prefix(index)), 0o755)
    }
  }

  func read(_ path: String, in root: String? = nil) -> String? {
    let fd = open("\(root ?? cache)/\(path)", O_RDONLY)
    guard fd >= 0 else { return nil }
    defer { close(fd) }
    var status = stat()
    fstat(fd, &status)
    var buffer = [UInt8](repeating: 0, count: Int(status.st_size))
    let length = Glibc.read(fd, &buffer, buffer.count)
    return length >= 0 ? String(decoding: buffer[..<length], as: UTF8.self) : nil
  }

  func onNAS(_ path: String) -> String? { read("vol/\(path)", in: nas) }

  func isSymlink(_ path: String) -> Bool {
    var status = stat()
    return lstat("\(cache)/\(path)", &status) == 0 && status.st_mode & S_IFMT == S_IFLNK
  }

  func leftovers() -> [String] { names(in: "\(cache)/.tierd/tmp") + names(in: "\(nas)/.tierd/tmp") }

  func names(in directory: String) -> [String] {
    guard let handle = opendir(directory) else { return [] }
    defer { closedir(handle) }
    var names: [String] = []
    while let entry = readdir(handle) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names
  }
}
