import Glibc
import TierCore
import TierLinux

/// A private folder of this machine for what rsync needs as files: lists of names, trees of links to the sources'
/// descriptors, fetched content. Everything in it is one session's and goes with it.
final class RsyncScratch {
  let files: LinuxFileSystem
  private var count = 0

  /// Makes the last component of `directory` where it is missing, and empties it: what it holds is a crash's.
  static func prepare(_ directory: String) throws(TierError) {
    if mkdir(directory, 0o700) != 0, errno != EEXIST {
      throw TierError(
        .volumeUnavailable,
        "tierd can't make the folder where it prepares its transfers: make it, or see stateDirectory",
        path: directory, cause: errnoText(errno), disposition: .retry)
    }
    let files = try LinuxFileSystem(root: directory)
    do throws(SyscallError) {
      for entry in try files.list(.root, at: "rsync.scratch.list") {
        removeTree(RelativePath(entry.name), in: files)
      }
    } catch { throw TierError(error) }
  }

  init(in directory: String) throws(TierError) {
    let parent = try LinuxFileSystem(root: directory)
    let name = ArchiveID.random().fileName
    do throws(SyscallError) {
      try parent.makeDirectory(RelativePath(name), mode: 0o700, at: "rsync.scratch.make")
    } catch { throw TierError(error) }
    files = try LinuxFileSystem(root: "\(directory)/\(name)")
  }

  /// A new folder; the caller removes it.
  func makeFolder() throws(TierError) -> RelativePath {
    count += 1
    let path = RelativePath(FileName(trusted: Array("\(count)".utf8)))
    try ensureDirectory(path)
    return path
  }

  /// A file that lists paths, one after another with a NUL: whatever bytes they have.
  func makeList(_ paths: some Sequence<RelativePath>) throws(TierError) -> RelativePath {
    try makeList(lines: paths.map(\.bytes))
  }

  func makeList(lines: [[UInt8]]) throws(TierError) -> RelativePath {
    try writeList(lines.flatMap { $0 + [0] })
  }

  /// The same for a list that is forwarded to the server. rsync reads it in pieces of 2 KiB, and since 3.2.5 it
  /// believes that it never asked for a name that lies in three of them. Empty names, which it passes over, move such
  /// a name to the begin of a piece. (In a list that isn't forwarded an empty name is the end.)
  func makeForwardedList(_ names: [[UInt8]]) throws(TierError) -> RelativePath {
    let piece = 2048
    var list: [UInt8] = []
    for name in names {
      if (list.count + name.count) / piece > list.count / piece + 1 {
        list += [UInt8](repeating: 0, count: piece - list.count % piece)
      }
      list += name + [0]
    }
    return try writeList(list)
  }

  private func writeList(_ list: [UInt8]) throws(TierError) -> RelativePath {
    count += 1
    let path = RelativePath(FileName(trusted: Array("\(count).list".utf8)))
    try write(list, to: path)
    return path
  }

  func write(_ bytes: [UInt8], to path: RelativePath) throws(TierError) {
    try ensureDirectory(path.parent)
    do throws(SyscallError) {
      let file = try files.open(path, .create(mode: 0o644), at: "rsync.scratch.create")
      defer { file.close() }
      try bytes.withRawBytes { buffer throws(SyscallError) in
        if !buffer.isEmpty { try file.write(buffer, offset: 0, at: "rsync.scratch.write") }
      }
    } catch { throw TierError(error) }
  }

  /// Stands for an open file: reading it reads that very file, whatever has become of its name.
  func link(_ path: RelativePath, to source: any OpenFile) throws(TierError) {
    let place = "/proc/\(getpid())/fd/\(source.rawDescriptor)"
    do throws(SyscallError) {
      try files.makeSymlink(path, to: Array(place.utf8), at: "rsync.scratch.link")
    } catch { throw TierError(error) }
  }

  func ensureDirectory(_ path: RelativePath) throws(TierError) {
    guard !path.isRoot else { return }
    do throws(SyscallError) {
      if try files.status(of: path, at: "rsync.scratch.status") != nil { return }
    } catch { throw TierError(error) }
    try ensureDirectory(path.parent)
    do throws(SyscallError) {
      try files.makeDirectory(path, mode: 0o700, at: "rsync.scratch.makeDirectory")
    } catch { throw TierError(error) }
  }

  /// For rsync's command line.
  func absolute(_ path: RelativePath) -> [UInt8] {
    path.isRoot ? files.rootPath : files.rootPath + [.slash] + path.bytes
  }

  func remove(_ path: RelativePath) { Self.removeTree(path, in: files) }

  func removeAll() {
    for entry in (try? files.list(.root, at: "rsync.scratch.list")) ?? [] { remove(RelativePath(entry.name)) }
    rmdir(String(decoding: files.rootPath, as: UTF8.self))
  }

  private static func removeTree(_ path: RelativePath, in files: LinuxFileSystem) {
    if (try? files.status(of: path, at: "rsync.scratch.status"))?.kind == .directory {
      for entry in (try? files.list(path, at: "rsync.scratch.list")) ?? [] {
        removeTree(path.appending(entry.name), in: files)
      }
      try? files.removeDirectory(path, at: "rsync.scratch.remove")
    } else {
      try? files.unlink(path, at: "rsync.scratch.remove")
    }
  }
}
