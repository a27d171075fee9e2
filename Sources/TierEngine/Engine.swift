import Logging
import Synchronization
import TierCore
import TierLinux

/// What all parts of the engine share.
package final class EngineContext: Sendable {
  package let catalog: any Catalog
  package let clock: any TierClock
  package let policies: PolicyBook
  package let tuning: EngineTuning
  package let log: Logger
  package let requests: RequestBook
  let retention: RetentionClock
  let guardPosts = GuardPosts()
  private let mountPaths: [String: String]
  /// Weak: the services hold the context.
  private let services = Mutex<(volumes: [Weak<VolumeService>], windows: [Weak<WindowService>])>(([], []))

  init(
    catalog: any Catalog, clock: any TierClock, policies: PolicySet, tuning: EngineTuning, log: Logger,
    mountPaths: [String: String]
  ) {
    self.catalog = catalog
    self.clock = clock
    self.policies = PolicyBook(policies)
    self.tuning = tuning
    self.log = log
    self.mountPaths = mountPaths
    requests = RequestBook(clock: clock)
    retention = RetentionClock(catalog: catalog, clock: clock, log: log)
  }

  func register(_ volumes: [VolumeService], _ windows: [WindowService]) {
    services.withLock { $0 = (volumes.map(Weak.init), windows.map(Weak.init)) }
  }

  /// Of all guarded file systems together.
  package var recallCounters: RecallCounters {
    guardPosts.all.map(\.counters).reduce(into: RecallCounters()) { $0.add($1) }
  }

  package var volumeServices: [VolumeService] { services.withLock { $0.volumes.compactMap(\.object) } }
  package var windowServices: [WindowService] { services.withLock { $0.windows.compactMap(\.object) } }

  package func volumeService(_ name: String) -> VolumeService? {
    volumeServices.first { $0.configuration.name == name }
  }

  func windowService(_ target: String) -> WindowService? {
    windowServices.first { $0.target.name == target }
  }

  /// Nil while the volume isn't there.
  func volume(_ id: VolumeID) -> Volume? {
    for service in volumeServices { if let volume = service.volume, volume.id == id { return volume } }
    return nil
  }

  var linkStubs: SymlinkStub { SymlinkStub(mountPaths: mountPaths) }

  /// What a stub is made as where no file stands.
  func stubs(for row: CatalogFile, at path: RelativePath, in volume: Volume) -> any StubKind {
    volume.stubAsked(for: row, at: path) == .placeholder ? PlaceholderStub() : linkStubs
  }

  /// Only a window can make room: asks those targets that the volume's policies name.
  func volumeIsFull(_ volume: Volume) {
    let names = Set(policies.current.policies(in: volume.name).compactMap(\.target))
    for service in windowServices where names.contains(service.target.name) {
      service.volumeIsFull(volume.name)
    }
  }

  /// Lets the volume release colder files for what is to be restored, as far as their policies let it.
  func makeRoom(_ bytes: Int64, on volume: Volume) {
    volumeService(volume.name)?.enqueue { loop in
      if case .success(let loop) = loop { loop.wantRoom(bytes) }
    }
  }

  func wakeWindows() { for service in windowServices { service.wake() } }
}

private struct Weak<Object: AnyObject> {
  weak var object: Object?
  init(_ object: Object) { self.object = object }
}

/// The whole of tierd but its edges: volumes, windows, and what people ask of them.
package final class Engine: Sendable {
  package let context: EngineContext
  private let volumes: [VolumeService]
  private let windows: [WindowService]

  package init(
    configuration: Configuration, policies: PolicySet, catalog: any Catalog, clock: any TierClock,
    tuning: EngineTuning = EngineTuning(), log: Logger, targets: [any Target],
    ports: (Configuration.Volume) -> VolumeService.Ports
  ) throws(TierError) {
    let mountPaths = configuration.targets.reduce(into: [:]) { $0[$1.name] = $1.mountPath }
    let context = EngineContext(
      catalog: catalog, clock: clock, policies: policies, tuning: tuning, log: log, mountPaths: mountPaths)
    var volumes: [VolumeService] = []
    for volume in configuration.volumes {
      volumes.append(try VolumeService(configuration: volume, engine: context, ports: ports(volume)))
    }
    var windows: [WindowService] = []
    for target in targets {
      guard let settings = configuration.targets.first(where: { $0.name == target.name }) else { continue }
      windows.append(try WindowService(target: target, configuration: settings, engine: context))
    }
    context.register(volumes, windows)
    self.context = context
    self.volumes = volumes
    self.windows = windows
  }

  /// Runs every service on a thread of its own until `stop`. Gives the first error that ended one.
  package func run() -> TierError? {
    let failure = Mutex<TierError?>(nil)
    func thread(_ name: String, _ body: @escaping @Sendable () throws(TierError) -> Void) -> OwnedThread {
      OwnedThread(name: name) { [self] in
        do throws(TierError) {
          try body()
        } catch {
          failure.withLock { $0 = $0 ?? error }
          stop()
        }
      }
    }
    let threads =
      volumes.map { service in thread("vol-\(service.configuration.name)", service.run) }
      + windows.map { service in thread("win-\(service.target.name)", service.run) }
    for thread in threads { thread.join() }
    return failure.withLock { $0 }
  }

  package func stop() {
    // Windows first: what they still report, volumes still note.
    for service in context.windowServices { service.stop() }
    for service in context.volumeServices { service.stop() }
  }

  /// Puts a checked set of policies in force; every file is judged anew.
  package func replacePolicies(with policies: PolicySet) {
    guard policies.fingerprint != context.policies.current.fingerprint else { return }
    context.policies.replace(with: policies)
    for service in context.volumeServices {
      if service.volume?.lacksAskedGuard == true { service.reopen(reason: "a policy asks for a guard") }
      service.requestScan(reason: "the policies changed")
    }
  }

  // MARK: Places

  /// The volume that an absolute path lies in, and the path below its root. Volumes don't nest.
  package func locate(_ absolute: [UInt8]) throws(TierError) -> (VolumeService, RelativePath) {
    for service in context.volumeServices {
      let root = Array(service.configuration.path.utf8)
      guard absolute.starts(with: root) else { continue }
      let rest = absolute.dropFirst(root.count)
      if rest.isEmpty { return (service, .root) }
      guard rest.first == .slash, let path = RelativePath(Array(rest.dropFirst())) else { continue }
      return (service, path)
    }
    let known = context.volumeServices.map(\.configuration.path).joined(separator: ", ")
    throw TierError(
      .notFound, "not in any volume of tierd (\(known))", path: EscapedText.encode(absolute))
  }

  func present(_ service: VolumeService) throws(TierError) -> Volume {
    guard let volume = service.volume else {
      throw TierError(
        .volumeUnavailable,
        "volume \(service.configuration.name) isn't served now: \(service.condition.problem ?? "starting")",
        path: service.configuration.path, disposition: .retry)
    }
    return volume
  }

  /// The files that a path means: itself, or all below it.
  func files(at path: RelativePath, in volume: Volume, _ body: ([CatalogFile]) throws(TierError) -> Void)
    throws(TierError)
  {
    if let name = path.name, let parent = try context.catalog.directory(at: path.parent, in: volume.id),
      let file = try context.catalog.file(named: name, in: parent)
    {
      return try body([file])
    }
    guard let directory = try context.catalog.directory(at: path, in: volume.id) else {
      throw TierError(
        .notFound, "tierd knows no file here: is the name right? Only regular files are kept account of",
        path: volume.absolute(path))
    }
    var after: FileID?
    while true {
      let page = try context.catalog.files(below: directory, after: after, limit: 512)
      if page.isEmpty { return }
      try body(page)
      after = page.last?.id
    }
  }
}
