import Glibc
import TierCore

/// Says before watching starts whether the kernel's limits suffice for a volume.
package struct WatchPreflight: Hashable, Sendable {
  package var limits: WatchLimits
  package var directories: Int
  /// False where the counting was ended by its time limit: there are at least that many.
  package var isComplete: Bool

  /// Counts the directories below `root` that would be watched, for at most `limit`.
  package init(root path: String, countingAtMost limit: Duration = .seconds(20)) throws(TierError) {
    do throws(SyscallError) {
      limits = try WatchLimits.current()
      (directories, isComplete) = try Self.count(try OpenDirectory(root: path), atMost: limit)
    } catch {
      throw TierError(error, code: .volumeUnavailable)
    }
  }

  /// Nil where the limit leaves room. What other programs of this user watch isn't known beforehand.
  package var shortage: String? {
    directories > limits.watches.count ? limits.watchShortage(needed: directories, others: 0) : nil
  }

  static func count(_ root: OpenDirectory, atMost limit: Duration) throws(SyscallError) -> (Int, Bool) {
    let clock = SystemClock()
    let end = clock.monotonic + limit
    let portion = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 8)
    defer { portion.deallocate() }
    var count = 1
    var rest = try root.subdirectories(portion).map(RelativePath.init).filter { $0 != TargetLayout.folder }
    while let path = rest.popLast() {
      // What vanishes or can't be read meanwhile doesn't make the count wrong by much.
      guard let directory = try? OpenDirectory(path, below: root), directory.isOnSameMount(as: root) else {
        continue
      }
      count += 1
      rest += ((try? directory.subdirectories(portion)) ?? []).map(path.appending)
      if count % 1024 == 0, clock.monotonic > end { return (count + rest.count, false) }
    }
    return (count, true)
  }
}
