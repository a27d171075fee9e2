import CTierLinux
import Glibc

/// What apps did to a volume: every operation is made for real and, where the kernel let it happen, noted. What
/// the notes say is what a reader must find, now or after a restore.
final class World: @unchecked Sendable {
  /// One thing that names lead to. A class, as an inode is: hard links and open descriptors share it.
  final class Node {
    enum Kind: Equatable { case file, link(String), fifo, socket }
    var kind: Kind
    var content: String
    init(_ kind: Kind = .file, _ content: String = "") {
      self.kind = kind
      self.content = content
    }
  }

  private(set) var root: String
  private(set) var nodes: [String: Node] = [:]
  private(set) var directories: Set<String> = []

  init(root: String) { self.root = root }

  func absolute(_ path: String) -> String { "\(root)/\(path)" }
  func content(_ path: String) -> String? { nodes[path]?.content }

  /// The same tree elsewhere: what another process did there was noted here.
  func take(_ root: String) { self.root = root }

  // MARK: Content

  /// A new file, as `cat >` makes it; false where a name of that kind can't be written.
  @discardableResult
  func create(_ path: String, _ content: String) -> Bool {
    makeParents(path)
    let fd = open(absolute(path), O_WRONLY | O_CREAT | O_TRUNC, 0o644)
    guard fd >= 0 else { return false }
    defer { close(fd) }
    writeAll(content, fd, at: 0)
    let node = nodes[path] ?? Node()
    node.content = content
    nodes[path] = node
    return true
  }

  /// Writes into the file as it is. Without `create`, so that a stub refuses.
  @discardableResult
  func overwrite(_ path: String, _ text: String, at offset: Int = 0) -> Bool {
    guard let handle = Handle(self, path) else { return false }
    handle.write(text, at: offset)
    handle.close()
    return true
  }

  @discardableResult
  func append(_ path: String, _ text: String) -> Bool {
    overwrite(path, text, at: content(path)?.utf8.count ?? 0)
  }

  @discardableResult
  func truncate(_ path: String, to size: Int) -> Bool {
    guard Glibc.truncate(absolute(path), size) == 0, let node = nodes[path] else { return false }
    let bytes = Array(node.content.utf8.prefix(size))
    let filled = bytes + [UInt8](repeating: 0, count: size - bytes.count)
    node.content = String(decoding: filled, as: UTF8.self)
    return true
  }

  /// An app's file held open for writing.
  final class Handle {
    private let fd: Int32
    private let node: Node

    init?(_ world: World, _ path: String) {
      fd = open(world.absolute(path), O_RDWR)
      guard fd >= 0, let node = world.nodes[path] else { return nil }
      self.node = node
    }

    func write(_ text: String, at offset: Int = 0) {
      writeAll(text, fd, at: offset)
      overlay(text, at: offset)
    }

    /// Through memory, as databases do.
    func writeMapped(_ text: String) {
      let length = max(text.utf8.count, 1)
      guard let place = mmap(nil, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), place != MAP_FAILED
      else { return }
      _ = text.withCString { memcpy(place, $0, text.utf8.count) }
      msync(place, length, MS_SYNC)
      munmap(place, length)
      overlay(text, at: 0)
    }

    func close() { _ = Glibc.close(fd) }

    private func overlay(_ text: String, at offset: Int) {
      var bytes = Array(node.content.utf8)
      let end = offset + text.utf8.count
      if bytes.count < end { bytes += [UInt8](repeating: 0, count: end - bytes.count) }
      bytes.replaceSubrange(offset..<end, with: Array(text.utf8))
      node.content = String(decoding: bytes, as: UTF8.self)
    }
  }

  // MARK: Names

  func makeDirectory(_ path: String) {
    makeParents(path)
    if mkdir(absolute(path), 0o755) == 0 { directories.insert(path) }
  }

  @discardableResult
  func rename(_ from: String, _ to: String) -> Bool {
    makeParents(to)
    guard from != to else { return false }
    // The kernel leaves two names of one inode as they are, those of a hard-linked stub as well.
    let isOneInode = inode(from) != nil && inode(from) == inode(to)
    guard Glibc.rename(absolute(from), absolute(to)) == 0 else { return false }
    if isOneInode { return true }
    directories.remove(to)
    let moved = taken(at: from)
    place(moved, from, to)
    return true
  }

  @discardableResult
  func exchange(_ left: String, _ right: String) -> Bool {
    guard tier_rename(AT_FDCWD, absolute(left), AT_FDCWD, absolute(right), tier_RENAME_EXCHANGE) == 0 else {
      return false
    }
    let (first, second) = (taken(at: left), taken(at: right))
    place(first, left, right)
    place(second, right, left)
    return true
  }

  @discardableResult
  func unlink(_ path: String) -> Bool {
    guard Glibc.unlink(absolute(path)) == 0 else { return false }
    nodes[path] = nil
    return true
  }

  /// `rm -r`.
  func removeTree(_ path: String) {
    let inside = path + "/"
    for name in nodes.keys.filter({ $0.hasPrefix(inside) }) { unlink(name) }
    for name in directories.filter({ $0.hasPrefix(inside) || $0 == path }).sorted(by: >)
    where rmdir(absolute(name)) == 0 { directories.remove(name) }
  }

  /// A second name of the same inode; of a stub, a second stub.
  @discardableResult
  func link(_ from: String, _ to: String) -> Bool {
    let isStub = isSymlink(from)
    guard Glibc.link(absolute(from), absolute(to)) == 0, let node = nodes[from] else { return false }
    nodes[to] = isStub ? Node(node.kind, node.content) : node
    return true
  }

  /// `cp -a`: a new inode with all that the old one had, tierd's own mark included.
  @discardableResult
  func copy(_ from: String, _ to: String) -> Bool {
    guard from != to else { return false }
    makeParents(to)
    guard let node = nodes[from], !isDirectory(to), Glibc.unlink(absolute(to)) == 0 || errno == ENOENT,
      run("/bin/cp", "-a", "-T", absolute(from), absolute(to))
    else {
      return false
    }
    nodes[to] = Node(node.kind, node.content)
    return true
  }

  // MARK: Other kinds

  func symlink(_ path: String, to text: String) {
    makeParents(path)
    if Glibc.symlink(text, absolute(path)) == 0 { nodes[path] = Node(.link(text)) }
  }

  func fifo(_ path: String) {
    if mkfifo(absolute(path), 0o600) == 0 { nodes[path] = Node(.fifo) }
  }

  func socket(_ path: String) {
    if mknod(absolute(path), S_IFSOCK | 0o600, 0) == 0 { nodes[path] = Node(.socket) }
  }

  private func isDirectory(_ path: String) -> Bool {
    var status = stat()
    return lstat(absolute(path), &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }

  func isSymlink(_ path: String) -> Bool {
    var status = stat()
    return lstat(absolute(path), &status) == 0 && status.st_mode & S_IFMT == S_IFLNK
  }

  // MARK: Notes

  private func taken(at path: String) -> ([String: Node], Set<String>) {
    let inside = path + "/"
    let moved = nodes.filter { $0.key == path || $0.key.hasPrefix(inside) }
    let folders = directories.filter { $0 == path || $0.hasPrefix(inside) }
    for name in moved.keys { nodes[name] = nil }
    directories.subtract(folders)
    return (moved, folders)
  }

  private func place(_ moved: ([String: Node], Set<String>), _ from: String, _ to: String) {
    for (name, node) in moved.0 { nodes[to + name.dropFirst(from.count)] = node }
    for name in moved.1 { directories.insert(to + name.dropFirst(from.count)) }
  }

  private func inode(_ path: String) -> UInt64? {
    var status = stat()
    return lstat(absolute(path), &status) == 0 ? UInt64(status.st_ino) : nil
  }

  private func makeParents(_ path: String) {
    for (index, character) in path.enumerated() where character == "/" {
      let parent = String(path.prefix(index))
      if mkdir(absolute(parent), 0o755) == 0 { directories.insert(parent) }
    }
  }

  private func run(_ program: String, _ arguments: String...) -> Bool {
    var pid: pid_t = 0
    let words = ([program] + arguments).map { strdup($0) } + [nil]
    defer { for word in words { free(word) } }
    guard posix_spawn(&pid, program, nil, nil, words, environ) == 0 else { return false }
    var status: Int32 = 0
    waitpid(pid, &status, 0)
    return status == 0
  }
}

private func writeAll(_ text: String, _ fd: Int32, at offset: Int) {
  _ = text.withCString { pwrite(fd, $0, text.utf8.count, offset) }
}
