import Glibc
import Synchronization
import TierCore
import TierLinux

/// Which volumes were guarded when the machine went down. They are guarded again before tierd is there, so that no app
/// reads a placeholder's holes meanwhile.
///
/// A text file, one volume a line: `trusted local 300 60 /srv/photos` (the identity's name, whether the file system is
/// shared, the bounds in seconds, the escaped path of its root).
final class GuardMemory: Sendable {
  struct Volume: Hashable, Sendable {
    var root: [UInt8]
    var terms: GuardTerms
  }

  private static let file = RelativePath("volumes")!
  private static let draft = RelativePath("volumes.new")!
  private static let bytesMax = 1 << 20

  private let directory: LinuxFileSystem
  private let volumes: Mutex<[Volume]>

  /// A line that this version can't read is an error: forgetting it could let somebody read zeros.
  init(directory path: String) throws(TierError) {
    directory = try LinuxFileSystem(root: path)
    let text: [UInt8]
    do throws(SyscallError) { text = try Self.read(directory) } catch { throw TierError(error) }
    var known: [Volume] = []
    for (index, line) in text.split(separator: UInt8(ascii: "\n")).enumerated() {
      guard let volume = Volume(line: String(decoding: line, as: UTF8.self)) else {
        throw TierError(
          .badConfiguration,
          "line \(index + 1) isn't what this version of tier-guard writes: remove it once tierd serves that volume",
          path: "\(path)/\(Self.file)")
      }
      known.append(volume)
    }
    volumes = Mutex(known)
  }

  private static func read(_ directory: LinuxFileSystem) throws(SyscallError) -> [UInt8] {
    guard try directory.status(of: file, at: "memory.status") != nil else { return [] }
    let opened = try directory.open(file, .read, at: "memory.open")
    defer { opened.close() }
    return try opened.readAll(limit: bytesMax, at: "memory.read")
  }

  var all: [Volume] { volumes.withLock { $0 } }

  /// Durable at the return.
  func remember(_ volume: Volume) throws(SyscallError) {
    try change { volumes in
      volumes.removeAll { $0.root == volume.root }
      volumes.append(volume)
    }
  }

  func forget(_ root: [UInt8]) throws(SyscallError) { try change { $0.removeAll { $0.root == root } } }

  private func change(_ body: (inout [Volume]) -> Void) throws(SyscallError) {
    try volumes.withLock { volumes throws(SyscallError) in
      var changed = volumes
      body(&changed)
      if changed == volumes { return }
      try write(changed.map { $0.line + "\n" }.joined())
      volumes = changed
    }
  }

  private func write(_ text: String) throws(SyscallError) {
    if try directory.status(of: Self.draft, at: "memory.leftover") != nil {
      try directory.unlink(Self.draft, at: "memory.unlink")
    }
    let file = try directory.open(Self.draft, .create(mode: 0o600), at: "memory.create")
    defer { file.close() }
    try file.writeAll(Array(text.utf8), at: "memory.write")
    try file.sync(at: "memory.sync")
    try directory.rename(Self.draft, to: Self.file, .replace, at: "memory.rename")
    try directory.syncDirectory(.root, at: "memory.syncDirectory")
  }
}

extension GuardMemory.Volume {
  fileprivate init?(line: String) {
    let fields = line.split(separator: " ", maxSplits: 4, omittingEmptySubsequences: false)
    guard fields.count == 5, let identity = ["trusted": IdentityName.trusted, "user": .user][fields[0]],
      let isShared = ["local": false, "shared": true][fields[1]],
      let patience = Int(fields[2]), let absence = Int(fields[3]), patience > 0, absence > 0,
      let root = EscapedText.decode(String(fields[4])), root.first == .slash
    else { return nil }
    self.root = root
    let bounds = GuardBounds(patience: .seconds(patience), absence: .seconds(absence))
    terms = GuardTerms(identity: identity, isShared: isShared, bounds: bounds)
  }

  fileprivate var line: String {
    let (patience, absence) = (terms.bounds.patience, terms.bounds.absence)
    return "\(terms.identity) \(terms.isShared ? "shared" : "local") \(max(1, patience.components.seconds)) "
      + "\(max(1, absence.components.seconds)) \(EscapedText.encode(root))"
  }
}
