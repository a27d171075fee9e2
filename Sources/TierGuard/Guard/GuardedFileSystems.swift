import CTierLinux
import Glibc
import Synchronization
import TierCore
import TierLinux

/// Everything that is guarded. File systems stay guarded when their clients go.
final class GuardedFileSystems: Sendable {
  private let all = Mutex<[GuardedFileSystem]>([])
  private let surroundings: GuardSurroundings
  /// Where the program and its libraries are read from: opens there must never need a guard.
  private let own: Set<UInt64>

  init(_ surroundings: GuardSurroundings) {
    self.surroundings = surroundings
    own = Set(["/proc/self/exe", "/"].compactMap { Self.device(ofPath: $0) })
  }

  /// The names of those that nobody but this process keeps guarded.
  var withoutClient: [String] { all.withLock { $0.filter { !$0.hasClient }.map(\.name) } }

  /// The one that a client means; guarded from now on. `true` with it: it was handed over, and must be started.
  func find(
    _ root: Descriptor, _ terms: GuardTerms, _ group: GroupID?, _ handedOver: Descriptor?
  ) throws(GuardRefusal) -> (GuardedFileSystem, Bool) {
    let device = Self.device(of: root.raw)
    guard !own.contains(device) else { throw GuardRefusal(.holdsTheGuardItself) }
    return try all.withLock { all throws(GuardRefusal) in
      // A client that comes back brings its group; this guard may have it still.
      let known = all.first { group != nil ? $0.id == group : $0.device == device }
      if let known {
        try known.group.renewMark(root.raw)
        return (known, false)
      }
      let made = try make(root, device, terms, group, handedOver)
      all.append(made)
      return (made, handedOver != nil)
    }
  }

  func end(_ fileSystem: GuardedFileSystem, _ root: Int32) {
    all.withLock { all in all.removeAll { $0 === fileSystem } }
    fileSystem.end(root)
    surroundings.log.write("\(fileSystem.name): guarded no more")
  }

  private func make(
    _ root: Descriptor, _ device: UInt64, _ terms: GuardTerms, _ group: GroupID?, _ handedOver: Descriptor?
  ) throws(GuardRefusal) -> GuardedFileSystem {
    let opened = try PermissionGroup(guarding: root.raw, terms, adopting: handedOver)
    let name = OpenedFile.path(root.raw)
    do throws(SyscallError) {
      let lowest = surroundings.numbers.ownLowest
      let fileSystem = try GuardedFileSystem(
        id: group ?? GroupID(.random(in: 1...(.max))), device: device, name: name,
        group: try opened.raised(to: lowest), terms: terms, surroundings)
      if handedOver == nil { try fileSystem.start(inherited: false) }
      let limits = opened.mode.limits
      surroundings.log.write(
        "\(name): guarded; \(limits.isEmpty ? "nothing is left out" : limits.joined(separator: "; "))")
      return fileSystem
    } catch {
      throw GuardRefusal(.failed, errno: error.errno)
    }
  }

  private static func device(ofPath path: String) -> UInt64? {
    let file = tier_open(path, tier_O_PATH, 0)
    guard file >= 0 else { return nil }
    defer { _ = tier_close(file) }
    return device(of: file)
  }

  /// Of the whole file system: on btrfs every subvolume's files tell another one. Where the mount is another mount
  /// namespace's, the files' own.
  private static func device(of file: Int32) -> UInt64 {
    var status = tier_status()
    _ = tier_statx(file, "", &status)
    let mount = (try? MountTable.current())?.mounts.first { $0.id == status.mount_id }
    return mount?.device ?? status.device
  }
}
