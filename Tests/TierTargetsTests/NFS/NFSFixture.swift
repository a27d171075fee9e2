import Glibc
import Synchronization
import TierCore
import TierLinux
import TierTestSupport

@testable import TierTargets

/// An NFS target in a folder of its own on a stand-in, with source files beside it.
final class NFSFixture {
  let nas: NASStandIn
  let sources: TemporaryDirectory
  let volume: LinuxFileSystem
  let memory = RememberedKeys()
  var share: Configuration.NFS
  var timeout: Duration = .seconds(20)
  let notices = Notices()

  /// Shared by tests that leave the server alone.
  static let sharedNAS = Result { try NASStandIn() }

  init(_ nas: NASStandIn? = nil, export: String? = nil) throws {
    let nas = try nas ?? Self.sharedNAS.get()
    self.nas = nas
    sources = try TemporaryDirectory()
    volume = try sources.fileSystem()
    share = Configuration.NFS(
      host: nas.address, export: export ?? nas.nfsExport,
      folder: RelativePath("t\(UInt32.random(in: 0 ... .max))")!)
  }

  /// The target's root as the NAS sees it.
  var folder: String {
    (share.export == nas.squashedExport ? nas.squashedFolder : nas.nfsFolder) + "/\(share.folder)"
  }

  func target() -> NFSTarget {
    NFSTarget(
      name: "nas", share: share, timeout: timeout, memory: memory.port,
      notice: { [notices] in notices.add($0) })
  }

  func connect() throws -> any TargetSession { try target().connect() }

  func upload(
    _ path: String, _ bytes: [UInt8], modified: FileTime = FileTime(seconds: 1_600_000_000, nanoseconds: 5)
  )
    throws -> Upload
  {
    let name = RelativePath("source-\(UInt64.random(in: 0 ... .max))")!
    let file = try volume.open(name, .create(mode: 0o640), at: "test")
    if !bytes.isEmpty { try bytes.withUnsafeBytes { try file.write($0, offset: 0, at: "test") } }
    return Upload(
      archiveID: .random(), source: file, sourceRoot: Array(sources.path.utf8), sourcePath: name,
      path: RelativePath(path)!, size: Int64(bytes.count),
      metadata: FileMetadata(
        mode: 0o640, owner: 1000, group: 100, modified: modified,
        accessed: FileTime(seconds: 1_500_000_000, nanoseconds: 0)))
  }

  func stage(_ uploads: [Upload], _ session: any TargetSession) throws -> [ArchiveID: StageOutcome] {
    var outcomes: [ArchiveID: StageOutcome] = [:]
    try session.stage(uploads) { outcomes[$0.archiveID] = $1 }
    return outcomes
  }

  /// Stages and publishes where nothing is expected to stand; throws the first failure.
  func archive(_ uploads: [Upload], _ session: any TargetSession) throws {
    let staged = try stage(uploads, session)
    var publications: [Publication] = []
    for upload in uploads {
      switch staged[upload.archiveID]! {
      case .staged(let hash):
        publications.append(
          Publication(upload: upload, hash: hash, replaces: nil, trash: nil, conflictSuffix: "now"))
      case .failed(let error): throw error
      }
    }
    var failure: TierError?
    try session.publish(publications) { if case .failed(let error) = $1 { failure = error } }
    if let failure { throw failure }
  }

  /// A file on the target, as the NAS sees it.
  func content(_ path: String) throws -> [UInt8] { try SmallFile.read("\(folder)/\(path)", limit: 256 << 20) }
}

final class Notices: Sendable {
  private let texts = Mutex<[String]>([])
  var all: [String] { texts.withLock { $0 } }
  func add(_ text: String) { texts.withLock { $0.append(text) } }
}

/// What a target remembers between windows.
final class RememberedKeys: Sendable {
  private let keys = Mutex<[String: [UInt8]]>([:])

  var port: TargetMemory {
    TargetMemory(
      load: { key in self.keys.withLock { $0[key] } },
      store: { key, value in self.keys.withLock { $0[key] = value } })
  }

  func value(_ prefix: String) -> [UInt8]? {
    keys.withLock { keys in keys.first { $0.key.hasPrefix(prefix) }?.value }
  }
}

func randomBytes(_ count: Int) -> [UInt8] {
  var generator = SystemRandomNumberGenerator()
  var bytes = [UInt8](repeating: 0, count: count)
  bytes.withUnsafeMutableBytes { raw in
    for offset in stride(from: 0, to: count - 7, by: 8) {
      raw.storeBytes(of: generator.next(), toByteOffset: offset, as: UInt64.self)
    }
  }
  return bytes
}
