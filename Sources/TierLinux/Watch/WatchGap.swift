import TierCore

/// Why a directory, and all below it, isn't watched.
enum WatchGap: Hashable, Sendable {
  case watchLimit, instanceLimit, otherMount
  case refused(SyscallError)

  /// Passes when other watches go or an administrator raises the limit.
  var isLimit: Bool { self == .watchLimit || self == .instanceLimit }

  /// In words, with the way out.
  func reason(_ limits: WatchLimits?, needed: Int, others: Int) -> String {
    switch self {
    case .watchLimit:
      limits?.watchShortage(needed: needed, others: others) ?? "the limit of inotify watches is reached"
    case .instanceLimit:
      limits?.instanceShortage() ?? "the limit of inotify instances is reached"
    case .otherMount:
      "another file system or subvolume: make it a volume of its own to have it watched"
    case .refused(let error):
      "\(error.call): \(errnoText(error.errno)): only scans look there, as far as they may"
    }
  }
}

extension DirectoryWatches {
  /// The oldest ones. `directoriesNeeded`: as counted when a limit was met.
  func describeGaps(atMost count: Int, directoriesNeeded: Int) -> [WatchCoverage.Gap] {
    let limits = try? WatchLimits.current()
    let others = max(0, (limits?.watches.count ?? 0) - (heldAtLimit ?? 0))
    let needed = max(directoriesNeeded, tree.watchedCount + limitGapCount)
    return gaps.keys.sorted().prefix(count).compactMap { index in
      guard let path = tree.path(of: index), let gap = gaps[index] else { return nil }
      return WatchCoverage.Gap(
        directory: path, reason: gap.reason(limits, needed: needed, others: others))
    }
  }
}
