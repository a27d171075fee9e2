import CTierLinux
import Glibc
import TierCore

/// The watches of one volume, kept in step with its directories. Every directory is looked up where it is said
/// to be and recognised by its watch: the kernel gives one directory one watch, under whatever name it is met.
/// So a listing that is ahead of the events, or an event that is behind the tree, corrects itself.
final class DirectoryWatches {
  /// What was found at a place.
  enum Place {
    /// A directory that wasn't watched before, and now is.
    case new(WatchTree.Index, OpenDirectory)
    case known(WatchTree.Index, OpenDirectory)
    /// Nothing, or no directory.
    case absent
    /// The path leads elsewhere for now: an event that tells the parent's new place is still to come.
    case unknown
    case gap
    /// tierd's own folder.
    case ignored
  }

  /// The least that tells of every change and use: a reader costs one event (at its close, which is the last
  /// moment of use), a writer those of its writes, which the kernel merges, and its close. Opening and reading
  /// tell nothing more. A directory's own deletion comes as IN_IGNORED without being asked for.
  ///
  /// IN_MASK_CREATE isn't wanted: a directory that is watched already must give its number. Nor is
  /// IN_DONT_FOLLOW: the descriptor is named through /proc, and was opened without following.
  static let mask = UInt32(
    IN_MODIFY | IN_CLOSE_WRITE | IN_CLOSE_NOWRITE | IN_ATTRIB | IN_CREATE | IN_DELETE | IN_MOVED_FROM
      | IN_MOVED_TO | IN_ONLYDIR | IN_EXCL_UNLINK)
  /// The root's own move has no watched parent to tell of it.
  static let rootMask = mask | UInt32(IN_MOVE_SELF)

  private(set) var tree: WatchTree
  private(set) var gaps: [WatchTree.Index: WatchGap] = [:]
  private(set) var limitGapCount = 0
  /// Detached directories, and since when.
  private(set) var detached: [WatchTree.Index: Duration] = [:]
  /// Directories whose children must be looked at once their path is right again: since when, and how often that
  /// was tried.
  private(set) var doubtful: [WatchTree.Index: (since: Duration, attempts: Int)] = [:]
  /// Set where tree and volume can only be brought together by a walk over everything.
  var isOutOfStep = false
  /// Watches held when the limit was last met.
  private(set) var heldAtLimit: Int?

  private let source: any WatchSource
  private let now: () -> Duration
  /// Our own removals whose IN_IGNORED is still to come: until then, events under this number are the old one's.
  private var retired: [Int32: Int] = [:]

  init(source: any WatchSource, root: OpenDirectory, now: @escaping () -> Duration) {
    self.source = source
    self.now = now
    tree = WatchTree(rootInode: root.identity.inode)
    _ = watchRoot(root)
  }

  /// False where that is refused; it is a gap then.
  func watchRoot(_ root: OpenDirectory) -> Bool {
    do throws(SyscallError) {
      let watch = try source.add(root.descriptor.raw, mask: Self.rootMask)
      tree.setWatch(watch, inode: root.identity.inode, of: WatchTree.root)
      setGap(nil, at: WatchTree.root)
      return true
    } catch {
      noteGap(error, at: WatchTree.root)
      return false
    }
  }

  /// Looks at `name` in `parent` as it is now, and makes watches and tree agree with it.
  func settle(_ name: FileName, under parent: WatchTree.Index, root: OpenDirectory) -> Place {
    if parent == WatchTree.root, name == TargetLayout.folder.name { return .ignored }
    guard let path = tree.path(of: parent)?.appending(name) else {
      doubt(parent)
      return .unknown
    }
    do throws(SyscallError) {
      let directory = try OpenDirectory(path, below: root)
      guard try directory.parentIdentity().inode == tree.inode(of: parent) else {
        doubt(parent)
        return .unknown
      }
      guard directory.isOnSameMount(as: root) else { return gap(.otherMount, name, under: parent) }
      let watch = try source.add(directory.descriptor.raw, mask: Self.mask)
      return record(watch, directory, name, under: parent)
    } catch {
      switch error.errno {
      case ENOENT, ENOTDIR, ELOOP: return missing(name, under: parent, root: root)
      default: return gap(kind(of: error), name, under: parent)
      }
    }
  }

  func detach(_ index: WatchTree.Index) {
    tree.detach(index)
    detached[index] = now()
  }

  /// With everything below it; the kernel lets go of the watches.
  func drop(_ index: WatchTree.Index) {
    tree.remove(index) { removed, watch in
      forget(removed)
      guard let watch else { return }
      source.remove(watch)
      retired[watch, default: 0] += 1
    }
  }

  /// The kernel has let go of this watch: the directory was deleted or unmounted. Nil where that was expected.
  func ignored(_ watch: Int32) -> WatchTree.Index? {
    if let count = retired[watch] {
      retired[watch] = count > 1 ? count - 1 : nil
      return nil
    }
    guard let index = tree.node(watching: watch) else { return nil }
    if index != WatchTree.root {
      tree.setWatch(nil, inode: 0, of: index)
      drop(index)
    }
    return index
  }

  /// Nil for numbers that are no longer ours.
  func node(watching watch: Int32) -> WatchTree.Index? {
    retired[watch] == nil ? tree.node(watching: watch) : nil
  }

  /// After lost events no IN_IGNORED can be counted on.
  func forgetRetired() { retired = [:] }

  func doubt(_ index: WatchTree.Index) {
    if doubtful[index] == nil { doubtful[index] = (now(), 0) }
  }

  func tryAgainLater(_ index: WatchTree.Index) {
    doubtful[index] = (now(), (doubtful[index]?.attempts ?? 0) + 1)
  }

  func trust(_ index: WatchTree.Index) { doubtful[index] = nil }

  func noteGap(_ error: SyscallError, at index: WatchTree.Index) { setGap(kind(of: error), at: index) }

  func find(_ path: RelativePath) -> WatchTree.Index? {
    var index = WatchTree.root
    for name in path.components {
      guard let child = tree.child(of: index, named: name) else { return nil }
      index = child
    }
    return index
  }

  // MARK: Machinery

  private func record(
    _ watch: Int32, _ directory: OpenDirectory, _ name: FileName, under parent: WatchTree.Index
  ) -> Place {
    if let index = tree.node(watching: watch) {
      if tree.inode(of: index) == directory.identity.inode {
        if tree.child(of: parent, named: name) == index { return .known(index, directory) }
        guard !tree.isWithin(parent, index) else {
          isOutOfStep = true
          return .unknown
        }
        move(index, name, under: parent)
        return .known(index, directory)
      }
      // The number was given anew before the old one's IN_IGNORED was read.
      tree.setWatch(nil, inode: 0, of: index)
      drop(index)
      retired[watch, default: 0] += 1
    }
    vacate(name, under: parent)
    let index = tree.add(name, under: parent, inode: directory.identity.inode)
    tree.setWatch(watch, inode: directory.identity.inode, of: index)
    return .new(index, directory)
  }

  private func move(_ index: WatchTree.Index, _ name: FileName, under parent: WatchTree.Index) {
    vacate(name, under: parent)
    tree.detach(index)
    tree.attach(index, under: parent, named: name)
    detached[index] = nil
  }

  /// Whatever the tree has there is no longer there; where it went, an event will tell.
  private func vacate(_ name: FileName, under parent: WatchTree.Index) {
    guard let index = tree.child(of: parent, named: name) else { return }
    if tree.watch(of: index) == nil { drop(index) } else { detach(index) }
  }

  private func missing(_ name: FileName, under parent: WatchTree.Index, root: OpenDirectory) -> Place {
    guard let path = tree.path(of: parent), let directory = try? OpenDirectory(path, below: root),
      directory.identity.inode == tree.inode(of: parent)
    else {
      doubt(parent)
      return .unknown
    }
    if let index = tree.child(of: parent, named: name), tree.watch(of: index) == nil { drop(index) }
    return .absent
  }

  private func gap(_ gap: WatchGap, _ name: FileName, under parent: WatchTree.Index) -> Place {
    vacate(name, under: parent)
    setGap(gap, at: tree.add(name, under: parent, inode: 0))
    return .gap
  }

  private func setGap(_ gap: WatchGap?, at index: WatchTree.Index) {
    if gaps[index]?.isLimit == true { limitGapCount -= 1 }
    gaps[index] = gap
    if gap?.isLimit == true { limitGapCount += 1 }
  }

  private func kind(of error: SyscallError) -> WatchGap {
    switch (error.call, error.errno) {
    case ("inotify_add_watch", ENOSPC):
      heldAtLimit = tree.watchedCount
      return .watchLimit
    case ("inotify_init1", EMFILE): return .instanceLimit
    default: return .refused(error)
    }
  }

  private func forget(_ index: WatchTree.Index) {
    setGap(nil, at: index)
    detached[index] = nil
    doubtful[index] = nil
  }
}
