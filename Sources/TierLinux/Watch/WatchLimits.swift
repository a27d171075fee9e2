import TierCore

/// What the kernel allows a user, as its `fs.inotify` settings say.
package struct WatchLimits: Hashable, Sendable {
  /// Watches of one user, of all his programs together.
  package var watches: Int
  /// inotify instances of one user.
  package var instances: Int
  /// Events that may wait in one instance before some are lost.
  package var queuedEvents: Int

  package init(watches: Int, instances: Int, queuedEvents: Int) {
    self.watches = watches
    self.instances = instances
    self.queuedEvents = queuedEvents
  }

  package static func current() throws(SyscallError) -> WatchLimits {
    WatchLimits(
      watches: try setting("max_user_watches"), instances: try setting("max_user_instances"),
      queuedEvents: try setting("max_queued_events"))
  }

  /// One sentence with the way out. `others`: watches that other programs of the same user hold.
  package func watchShortage(needed: Int, others: Int) -> String {
    Self.shortage("\(needed) watches", limit: watches, "max_user_watches", atLeast: needed + others)
  }

  package func instanceShortage() -> String {
    Self.shortage("1 more inotify instance", limit: instances, "max_user_instances", atLeast: instances + 1)
  }

  private static func shortage(_ need: String, limit: Int, _ name: String, atLeast count: Int) -> String {
    var enough = 1024
    while enough <= max(count, limit) { enough *= 2 }
    return "needs \(need), the limit is \(limit) (fs.inotify.\(name)): sysctl -w fs.inotify.\(name)=\(enough)"
  }

  private static func setting(_ name: String) throws(SyscallError) -> Int {
    let text = try SmallFile.read("/proc/sys/fs/inotify/\(name)", limit: 64)
    return Int(String(decoding: text.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)) ?? 0
  }
}
