import CTierLinux
import Glibc
import TierCore

/// What a FUSE client of GlusterFS tells beyond POSIX: which bricks it reaches, and which files are open on them.
struct GlusterMount: Sendable {
  /// Asked of a file: does any client, on any machine, have it open on its brick? An open without any I/O yet isn't
  /// counted while the volume's `performance.open-behind` is on; its first read or write fails once the file is gone.
  static let openCount = "glusterfs.open-fd-count"

  /// The client's own view of itself. Nil where only a part of the volume is mounted: it stands in the root.
  private let graph: String?

  init?(_ mount: MountTable.Mount) {
    guard mount.fileSystem == "fuse.glusterfs" else { return nil }
    guard mount.root == [.slash], let root = String(validating: mount.mountPoint, as: UTF8.self) else {
      graph = nil
      return
    }
    let graph = (root == "/" ? "" : root) + "/.meta/graphs/active"
    let directory = tier_open(graph, tier_O_PATH | tier_O_DIRECTORY, 0)
    if directory >= 0 { _ = tier_close(directory) }
    self.graph = directory == -ENOENT ? nil : graph
  }

  /// `count`: a digit, as text.
  static func isOpen(_ count: [UInt8]?) -> Bool {
    guard let digit = count?.first else { return false }
    return digit != UInt8(ascii: "0")
  }

  func sight() throws(SyscallError) -> Sight {
    guard let graph else { return .whole }
    do throws(SyscallError) {
      return try sight(graph)
    } catch {
      guard error.errno == ENOENT || error.errno == ESTALE else { throw error }
      // An administrator has just set an option: the client has a new graph.
      return try sight(graph)
    }
  }

  private func sight(_ graph: String) throws(SyscallError) -> Sight {
    let translators = try names(in: graph)
    var away: [String] = []
    for brick in translators.sorted() where hasSuffix(brick, "client", numbered: true) {
      if try !lines(of: "\(graph)/\(brick)/private").contains("connected = 1") { away.append(brick) }
    }
    if away.isEmpty { return .whole }
    let places = try away.map { (brick) throws(SyscallError) in try place("\(graph)/\(brick)") }
    // What spreads files over parts (bricks, or sets of bricks that hold the same) knows which of these are up.
    guard let spread = translators.first(where: { hasSuffix($0, "dht", numbered: false) }) else {
      return .partial(places)
    }
    let parts = try lines(of: "\(graph)/\(spread)/private").filter { $0.hasPrefix("subvolume_status[") }
    return !parts.isEmpty && parts.allSatisfy { $0.hasSuffix(" = 1") } ? .outdated(places) : .partial(places)
  }

  /// `vol01-client-0`, `vol01-dht`: glusterd's own way of naming.
  private func hasSuffix(_ name: String, _ kind: String, numbered: Bool) -> Bool {
    var parts = name.split(separator: "-", omittingEmptySubsequences: false)
    if numbered, Int(parts.removeLast()) == nil { return false }
    return parts.count > 1 && parts.last.map(String.init) == kind
  }

  private func lines(of file: String) throws(SyscallError) -> [Substring] {
    String(decoding: try SmallFile.read(file, limit: 1 << 20), as: UTF8.self).split(separator: "\n")
  }

  /// `node02:/bricks/1`.
  private func place(_ brick: String) throws(SyscallError) -> String {
    var words: [String] = []
    for option in ["remote-host", "remote-subvolume"] {
      let bytes = try SmallFile.read("\(brick)/options/\(option)", limit: 1 << 16)
      words.append(EscapedText.encode(bytes.filter { $0 != UInt8(ascii: "\n") }))
    }
    return words.joined(separator: ":")
  }

  private func names(in directory: String) throws(SyscallError) -> [String] {
    let printable = EscapedText.encode(Array(directory.utf8))
    let number = tier_open(directory, O_RDONLY | tier_O_DIRECTORY, 0)
    guard number >= 0 else { throw SyscallError(call: "open", path: printable, errno: -number) }
    defer { _ = tier_close(number) }
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 8)
    defer { buffer.deallocate() }
    var names: [String] = []
    while true {
      let filled = tier_read_directory(number, buffer.baseAddress, buffer.count)
      guard filled >= 0 else {
        throw SyscallError(call: "getdents64", path: printable, errno: Int32(-filled))
      }
      if filled == 0 { return names }
      DirectoryReader.forEachRecord(buffer, filled) { name, _ in names.append(String(cString: name)) }
    }
  }
}
