import Glibc
import Synchronization
import Testing
import TierCore
import TierLinux
import TierTestSupport

@testable import TierTargets

/// One kind of target, with what its protocol can't do. A new kind joins `all` and passes the whole suite.
struct TargetKind: Sendable, CustomTestStringConvertible {
  var testDescription: String
  /// A fresh, empty target root.
  var make: @Sendable () throws -> TargetBench
  var keepsHoles = true
  /// False where times lose their fraction of a second.
  var keepsNanoseconds = true
  var keepsAttributes = false
  /// False where nothing goes over before it is published.
  var stages = true
  /// False where what isn't a regular file can't be set aside: the publication then fails, nothing changes.
  var setsAsideAnything = true
  /// False where a name too long for `.conflict-…` can't be set aside.
  var setsAsideLongNames = true

  static let all: [TargetKind] = [.directory] + nfsKinds + rsyncKinds
}

/// A target root, seen from both sides: through the port, and as the NAS's own plain files.
final class TargetBench: Sendable {
  /// The NAS's view.
  let nas: LinuxFileSystem
  let folder: String
  /// Where sources and destinations lie.
  let volume: LinuxFileSystem
  let memory: TargetMemory
  let target: any Target
  private let volumeFolder: TemporaryDirectory
  /// Whatever must live as long.
  private let kept: [any Sendable]

  init(
    folder: String, keeping kept: [any Sendable],
    makeTarget: (TargetMemory, TemporaryDirectory) throws -> any Target
  ) throws {
    self.folder = folder
    self.kept = kept
    nas = try LinuxFileSystem(root: folder)
    volumeFolder = try TemporaryDirectory()
    volume = try volumeFolder.fileSystem()
    let memory = MemoryBox()
    self.memory = TargetMemory(load: memory.load, store: memory.store)
    target = try makeTarget(self.memory, volumeFolder)
  }

  private final class MemoryBox: Sendable {
    private let values = Mutex<[String: [UInt8]]>([:])
    func load(_ key: String) -> [UInt8]? { values.withLock { $0[key] } }
    func store(_ key: String, _ value: [UInt8]?) { values.withLock { $0[key] = value } }
  }

  // MARK: The volume's side

  /// Writes a source file and describes its upload to `volume/<path>` on the target.
  func upload(
    _ path: RelativePath, _ content: [UInt8], mode: UInt16 = 0o640,
    modified: FileTime = FileTime(seconds: 1_700_000_001, nanoseconds: 123_456_789)
  ) throws -> Upload {
    try volume.write(content, to: path, mode: mode, modified: modified)
    return try upload(path)
  }

  func upload(_ path: RelativePath) throws -> Upload {
    let source = try volume.open(path, .read, at: "test.open")
    let status = try source.status(at: "test.status")
    return Upload(
      archiveID: .random(), source: source, sourceRoot: volume.rootPath, sourcePath: path,
      path: Self.final(path), size: status.size,
      metadata: FileMetadata(
        mode: status.mode, owner: status.owner, group: status.group, modified: status.modified,
        accessed: status.accessed, attributes: try source.attributes(at: "test.attributes")))
  }

  static func final(_ path: RelativePath) -> RelativePath { RelativePath("volume").appending(path) }

  func download(_ path: RelativePath, size: Int) throws -> Download {
    let name = RelativePath("restored-\(ArchiveID.random())")!
    let file = try volume.open(name, .create(mode: 0o600), at: "test.create")
    return Download(
      path: path, destination: file, destinationPath: volume.rootPath + [.slash] + name.bytes,
      size: Int64(size))
  }

  // MARK: Whole journeys

  func withSession<Result>(_ body: (any TargetSession) throws -> Result) throws -> Result {
    let session = try target.connect()
    defer { session.close() }
    return try body(session)
  }

  struct Order {
    var upload: Upload
    var replaces: TargetStatus?
    var trash: RelativePath?
    var suffix = "20261123T105800Z"
  }

  /// Stages and publishes; nothing may fail but what the outcomes say.
  @discardableResult
  func archive(_ orders: [Order], _ session: any TargetSession) throws -> [PublishOutcome] {
    let hashes = try stage(orders.map(\.upload), session).map { outcome in
      guard case .staged(let hash) = outcome else { throw Unexpected("\(outcome)") }
      return hash
    }
    return try publish(Array(zip(orders, hashes)), session)
  }

  func stage(_ uploads: [Upload], _ session: any TargetSession) throws -> [StageOutcome] {
    var outcomes: [ArchiveID: StageOutcome] = [:]
    try session.stage(uploads) { upload, outcome in
      #expect(outcomes.updateValue(outcome, forKey: upload.archiveID) == nil, "reported twice")
    }
    return try uploads.map { try #require(outcomes[$0.archiveID], "not reported") }
  }

  func publish(_ orders: [(Order, ContentHash)], _ session: any TargetSession) throws -> [PublishOutcome] {
    var outcomes: [ArchiveID: PublishOutcome] = [:]
    let publications = orders.map { order, hash in
      Publication(
        upload: order.upload, hash: hash, replaces: order.replaces, trash: order.trash,
        conflictSuffix: order.suffix)
    }
    try session.publish(publications) { publication, outcome in
      let old = outcomes.updateValue(outcome, forKey: publication.upload.archiveID)
      #expect(old == nil, "reported twice")
    }
    return try publications.map { try #require(outcomes[$0.upload.archiveID], "not reported") }
  }

  func fetch(_ downloads: [Download], _ session: any TargetSession) throws -> [FetchOutcome] {
    var outcomes: [[UInt8]: FetchOutcome] = [:]
    try session.fetch(downloads) { download, outcome in
      #expect(outcomes.updateValue(outcome, forKey: download.destinationPath) == nil, "reported twice")
    }
    return try downloads.map { try #require(outcomes[$0.destinationPath], "not reported") }
  }

  func hash(_ paths: [RelativePath], _ session: any TargetSession) throws -> [HashOutcome] {
    var outcomes: [RelativePath: HashOutcome] = [:]
    try session.hash(paths) { path, outcome in
      #expect(outcomes.updateValue(outcome, forKey: path) == nil, "reported twice")
    }
    return try paths.map { try #require(outcomes[$0], "not reported") }
  }

  /// Everything on the NAS below the root, directories with a trailing slash, escaped and sorted; without the
  /// format file and the empty folders of `.tierd`.
  func nasTree() throws -> [String] {
    let own = [".tierd/", ".tierd/format", ".tierd/tmp/", ".tierd/manifest/", ".tierd/trash/"]
    return try tree(.root).filter { !own.contains($0) }.sorted()
  }

  private func tree(_ directory: RelativePath) throws -> [String] {
    try nas.list(directory, at: "test.list").flatMap { entry -> [String] in
      let path = directory.appending(entry.name)
      guard entry.status.kind == .directory else { return [path.escaped] }
      return [path.escaped + "/"] + (try tree(path))
    }
  }
}

struct Unexpected: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

extension LinuxFileSystem {
  func write(
    _ content: [UInt8], to path: RelativePath, mode: UInt16 = 0o640,
    modified: FileTime = FileTime(seconds: 1_600_000_000, nanoseconds: 5)
  ) throws {
    try makeDirectories(path.parent)
    if try status(of: path, at: "test.status") != nil { try unlink(path, at: "test.unlink") }
    let file = try open(path, .create(mode: 0o600), at: "test.create")
    defer { file.close() }
    try content.withUnsafeBytes { if !$0.isEmpty { try file.write($0, offset: 0, at: "test.write") } }
    try file.setMode(mode, at: "test.mode")
    try file.setTimes(modified: modified, accessed: modified, at: "test.times")
  }

  func makeDirectories(_ path: RelativePath) throws {
    guard !path.isRoot, try status(of: path, at: "test.status") == nil else { return }
    try makeDirectories(path.parent)
    try makeDirectory(path, mode: 0o755, at: "test.mkdir")
  }

  func read(_ path: RelativePath) throws -> [UInt8] {
    let file = try open(path, .read, at: "test.open")
    defer { file.close() }
    let size = Int(try file.status(at: "test.status").size)
    var bytes = [UInt8](repeating: 0, count: size)
    var filled = 0
    while filled < size {
      let count = try bytes.withUnsafeMutableBytes {
        try file.read(into: .init(rebasing: $0[filled...]), offset: Int64(filled), at: "test.read")
      }
      guard count > 0 else { break }
      filled += count
    }
    return bytes
  }

  func text(_ path: String) throws -> String {
    String(decoding: try read(RelativePath(path)!), as: UTF8.self)
  }
}

/// The same for the same seed; no two neighbours alike.
func noise(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
  var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
  return [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
    for index in 0..<count {
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      buffer[index] = UInt8(truncatingIfNeeded: state)
    }
    filled = count
  }
}

func sha256(_ bytes: [UInt8]) -> ContentHash { bytes.withUnsafeBytes { SHA256Hasher.hash($0) } }

extension PublishOutcome {
  var isPublished: Bool { if case .published(conflict: nil) = self { true } else { false } }
  var conflict: RelativePath? { if case .published(let conflict) = self { conflict } else { nil } }
  var error: TierError? { if case .failed(let error) = self { error } else { nil } }
}

extension StageOutcome {
  var hash: ContentHash? { if case .staged(let hash) = self { hash } else { nil } }
  var error: TierError? { if case .failed(let error) = self { error } else { nil } }
}

extension RelativePath: ExpressibleByStringLiteral {
  package init(stringLiteral text: String) { self = RelativePath(text)! }
}

extension [PublishOutcome] {
  var arePublished: Bool { allSatisfy { $0.isPublished } }
}
