import Glibc
import TierCore

/// What the kernel allows a user, as its settings say.
package struct WatchLimits: Hashable, Sendable {
  package struct Limit: Hashable, Sendable {
    package var count: Int
    /// As `sysctl` names it.
    package var setting: String

    package init(_ count: Int, _ setting: String) {
      self.count = count
      self.setting = setting
    }
  }

  /// Watches of one user, of all his programs together.
  package var watches: Limit
  /// inotify instances of one user.
  package var instances: Limit
  /// Events that may wait in one instance before some are lost.
  package var queuedEvents: Limit

  package init(watches: Limit, instances: Limit, queuedEvents: Limit) {
    self.watches = watches
    self.instances = instances
    self.queuedEvents = queuedEvents
  }

  package static func current() throws(SyscallError) -> WatchLimits {
    WatchLimits(
      watches: try lower(read("fs.inotify.max_user_watches"), read("user.max_inotify_watches")),
      instances: try lower(read("fs.inotify.max_user_instances"), read("user.max_inotify_instances")),
      queuedEvents: try read("fs.inotify.max_queued_events"))
  }

  /// One sentence with the way out. `others`: watches that other programs of the same user hold.
  package func watchShortage(needed: Int, others: Int) -> String {
    Self.shortage("\(needed) watches", watches, atLeast: needed + others)
  }

  package func instanceShortage() -> String {
    Self.shortage("1 more inotify instance", instances, atLeast: instances.count + 1)
  }

  private static func shortage(_ need: String, _ limit: Limit, atLeast count: Int) -> String {
    var enough = 1024
    while enough <= max(count, limit.count) { enough *= 2 }
    return
      "needs \(need), the limit is \(limit.count) (\(limit.setting)): sysctl -w \(limit.setting)=\(enough)"
  }

  /// A user namespace (a rootless container) has a lower limit of its own under `user`; elsewhere both are one.
  private static func lower(_ general: Limit, _ own: Limit) -> Limit {
    own.count < general.count ? own : general
  }

  private static func read(_ setting: String) throws(SyscallError) -> Limit {
    let path = "/proc/sys/" + setting.split(separator: ".").joined(separator: "/")
    let text = try SmallFile.read(path, limit: 64)
    let digits = text.prefix { $0 != UInt8(ascii: "\n") }
    guard let count = Int(String(decoding: digits, as: UTF8.self)) else {
      throw SyscallError(call: "read", path: path, errno: EINVAL)
    }
    return Limit(count, setting)
  }
}
