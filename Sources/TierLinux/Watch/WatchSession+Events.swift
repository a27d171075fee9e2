import Glibc
import TierCore

extension WatchSession {
  /// What one event means: the hint that it gives, and what becomes of the watches.
  func handle(_ event: InotifyEvent) {
    if event.has(IN_Q_OVERFLOW) {
      let limit = (try? WatchLimits.current().queuedEvents).map { " (\($0.setting) is \($0.count))" }
      eventsWereLost("the kernel's queue of events overflowed" + (limit ?? ""))
      return
    }
    if event.has(IN_IGNORED) {
      if watches.ignored(event.watch) == WatchTree.root { endVolume() }
      return
    }
    guard let index = watches.node(watching: event.watch) else { return }
    if event.has(IN_UNMOUNT) || event.has(IN_MOVE_SELF) {
      if index == WatchTree.root { endVolume() }
      return
    }
    guard let name = event.name else { return }
    if index == WatchTree.root, name == TargetLayout.folder.name { return }
    if event.has(Int32(IN_ISDIR)) {
      directory(name, in: index, event)
    } else if let path = path(of: index)?.appending(name) {
      hints.add(file(path, event))
    }
  }

  private func file(_ path: RelativePath, _ event: InotifyEvent) -> Hint {
    if event.has(IN_MODIFY) { return .written(path) }
    if event.has(IN_CLOSE_NOWRITE) { return .used(path) }
    return .changed(path)
  }

  private func directory(_ name: FileName, in parent: WatchTree.Index, _ event: InotifyEvent) {
    let place = path(of: parent)?.appending(name)
    let known = watches.tree.child(of: parent, named: name)
    let isUnwatched = known.map { watches.tree.watch(of: $0) == nil } ?? false
    if event.has(IN_CREATE) || event.has(IN_MOVED_TO) {
      if let place { hints.add(.subtree(place)) }
      arrived(name, in: parent)
    } else if event.has(IN_MOVED_FROM) {
      if let place { hints.add(.changed(place)) }
      if let known { left(known, name, in: parent) }
    } else if event.has(IN_DELETE) {
      if let place { hints.add(.changed(place)) }
      // A watched one goes with its IN_IGNORED: by now the name may be another's.
      if let known, isUnwatched { watches.drop(known) }
    } else if event.has(IN_ATTRIB), isUnwatched, let place, let root = root() {
      // Perhaps it may be read now.
      guard case .new(let index, let directory) = watches.settle(name, under: parent, root: root) else {
        return
      }
      walk(from: index, directory, root: root)
      hints.add(.subtree(place))
    }
  }

  /// The tree may be ahead of the events: what it has there can be another directory, which has just arrived.
  private func left(_ known: WatchTree.Index, _ name: FileName, in parent: WatchTree.Index) {
    guard watches.tree.watch(of: known) != nil else { return watches.drop(known) }
    guard let root = root() else { return }
    switch watches.settle(name, under: parent, root: root) {
    case .new(let index, let directory): walk(from: index, directory, root: root)
    case .known(let index, _) where index == known: return
    case .known, .absent, .unknown, .gap, .ignored: break
    }
    if watches.tree.child(of: parent, named: name) == known { watches.detach(known) }
  }

  /// Nothing pairs the halves of a rename by their cookie: whatever is found here is recognised by its watch, and
  /// comes with all that is below it. What isn't found has gone on, and another event tells where.
  private func arrived(_ name: FileName, in parent: WatchTree.Index) {
    guard let root = root() else { return }
    if case .new(let index, let directory) = watches.settle(name, under: parent, root: root) {
      walk(from: index, directory, root: root)
    }
  }
}
