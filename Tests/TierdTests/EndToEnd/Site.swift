import Glibc
import Testing
import TierAPI
import TierCore
import TierLinux
import TierTestSupport

/// How tierd reaches the NAS.
enum Transport: String, CaseIterable, CustomTestStringConvertible {
  case nfs = "NFS"
  case rsync = "rsync daemon"

  var testDescription: String { rawValue }
}

/// What the cache is.
enum Cache {
  case disk(LoopFileSystem)
  case gluster(GlusterVolume)

  static func disk() throws -> Cache { .disk(try LoopFileSystem(.ext4, mebibytes: 1024)) }

  var path: String {
    switch self {
    case .disk(let disk): disk.path
    case .gluster(let volume): volume.path
    }
  }

  func close() {
    if case .gluster(let volume) = self { volume.close() }
  }
}

/// A cache, a NAS, and the real programs between them.
final class Site {
  let nas: NASStandIn
  let transport: Transport
  private let volumeDisk: Cache
  private let folder: TemporaryDirectory
  private var running: DaemonRun?

  /// Why there can be none here.
  static var obstacle: String? { NASStandIn.obstacle ?? TreePicture.obstacle }

  init(_ transport: Transport, policies: [String], cache: Cache? = nil) throws {
    self.transport = transport
    nas = try NASStandIn(diskMiB: 2048)
    volumeDisk = try cache ?? .disk()
    let target =
      switch transport {
      case .nfs: "nfs: { host: \(nas.address), export: \(nas.nfsExport) }"
      case .rsync:
        "rsync: { host: \(nas.address), module: \(nas.rsyncModule), user: \(nas.rsyncUser), secretsFile: secret }"
      }
    folder = try DaemonRun.prepare(cache: volumeDisk.path, target: target, policies: policies)
    try folder.fileSystem().put(at("secret"), nas.rsyncPassword + "\n", mode: 0o600)
  }

  func close() {
    running?.stop()
    running = nil
    nas.close()
    volumeDisk.close()
  }

  /// The volume's root.
  var cache: String { volumeDisk.path }
  /// Where the volume's copies lie, as the NAS itself sees them.
  var copies: String { (transport == .nfs ? nas.nfsFolder : nas.rsyncFolder) + "/vol" }
  var daemon: DaemonRun { running! }

  /// Starts tierd, or starts it again: `later` than it is.
  func start(_ later: Duration = .zero) throws {
    running?.stop()
    running = try DaemonRun(folder, clockAhead: later)
    try daemon.waitUntilReady()
    try eventually("the first scan") {
      let volume = try volume()
      return volume.watch.directories > 0 && volume.scan.state == .idle && volume.scan.lastCompleted != nil
    }
  }

  // MARK: Asking

  func volume() throws -> VolumeReport {
    let status: StatusReport = try daemon.report("status")
    return try #require(status.volumes.first)
  }

  func target() throws -> TargetReport {
    let status: StatusReport = try daemon.report("status")
    return try #require(status.targets.first)
  }

  func windows() throws -> [WindowEntry] {
    let report: WindowsReport = try daemon.report("windows")
    return report.windows
  }

  /// All that the catalog knows at or below a folder, by path in the volume.
  func files(below path: String = "") throws -> [RelativePath: FileEntry] {
    let root = AbsolutePath(cache)!.relative
    let report: FilesReport = try daemon.report("ls", "-R", path.isEmpty ? cache : "\(cache)/\(path)")
    return Dictionary(uniqueKeysWithValues: report.entries.map { ($0.path.relative.relative(to: root)!, $0) })
  }

  /// Waits until the catalog holds the picture's regular files as they are. Whether a name that it holds besides is
  /// gone for good, it says only after a while.
  func awaitNoticed(_ picture: TreePicture) throws {
    let expected = picture.entries.mapValues { "\($0.size) \(Int64($0.modified.prefix { $0 != "." })!)" }
    var wrong: [String] = []
    do {
      try eventually(within: .seconds(60), "everything is noticed") {
        let known = try files().mapValues { "\($0.sizeBytes) \($0.modifiedSecond)" }
        wrong = expected.filter { known[$0.key] != $0.value }
          .map { "\($0.key): is \($0.value), known as \(known[$0.key] ?? "nothing")" }
        return wrong.isEmpty
      }
    } catch { throw NeverHappened(description: "\(error): \(wrong.prefix(5))") }
  }

  func tierctl(_ words: String..., on path: String) throws -> (status: Int32, output: String, errors: String)
  {
    try daemon.tierctl((words + ["\(cache)/\(path)"]).map { Array($0.utf8) })
  }

  func usedBytes() throws -> Int64 {
    let space = try LinuxFileSystem(root: cache).space(at: "test.space")
    return space.total - space.available
  }
}

extension FileEntry {
  /// As find tells it: before 1970 too, nanoseconds add.
  fileprivate var modifiedSecond: Int64 {
    let nanoseconds = modified?.timestamp.nanoseconds ?? 0
    return (nanoseconds - (nanoseconds < 0 ? 999_999_999 : 0)) / 1_000_000_000
  }
}
