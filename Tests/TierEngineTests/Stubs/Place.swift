import Glibc
import TierCore
import TierGuard
import TierGuardSupport
import TierTestSupport

@testable import TierEngine

/// Whose file system scenarios play on.
enum Place: String, CaseIterable, Sendable {
  case ext4, xfs, btrfs, bindfs, glusterfs

  var kind: GuardBench.Kind? {
    switch self {
    case .ext4: .ext4
    case .xfs: .xfs
    case .btrfs: .btrfs
    case .bindfs: .fuse
    case .glusterfs: nil
    }
  }

  /// Why it can't be made on this machine; nil where it can.
  var obstacle: String? {
    guard let kind else { return GlusterVolume.obstacle }
    return kind.isAvailable ? nil : "needs root, loop devices, and mkfs or bindfs"
  }

  var clones: Bool { self == .xfs || self == .btrfs }

  /// `TIERD_SCENARIOS_ON=xfs,btrfs` or `all`; else ext4.
  static let chosen: [Place] = {
    guard let text = getenv("TIERD_SCENARIOS_ON").map({ String(cString: $0) }) else { return [.ext4] }
    return allCases.filter { text == "all" || text.split(separator: ",").contains(Substring($0.rawValue)) }
  }()
}

/// One file system, gone with the last reference.
final class Mounted {
  /// Of the volume.
  let path: String
  /// Where a guard can stand.
  let guarded: GuardBench?
  private let gluster: GlusterVolume?

  init(_ place: Place) throws {
    if let kind = place.kind {
      let guarded = try GuardBench(kind)
      (self.guarded, gluster, path) = (guarded, nil, guarded.path)
    } else {
      let volume = try GlusterVolume(brickMiB: 256)
      (guarded, gluster, path) = (nil, volume, volume.path)
    }
  }

  deinit { gluster?.close() }
}
