import Synchronization
import TierCore
import TierGuard

/// The guarded file systems, by device. Volumes on one file system share its guard.
final class GuardPosts: Sendable {
  private struct Held {
    let post: GuardPost
    var volumes: Set<String>
  }

  private let posts = Mutex<[UInt64: Held]>([:])
  /// One volume comes or goes at a time; nobody else waits for that.
  private let turn = Mutex(())

  /// Guarded from the return on, also where the file system was mounted anew. Waits for the guard's start.
  func enter(
    _ volume: String, device: UInt64, engine: EngineContext,
    connect: () throws(TierError) -> GuardConnection
  ) throws(TierError) -> GuardPost {
    try turn.withLock { _ throws(TierError) in
      if let held = posts.withLock({ $0[device] }) {
        try held.post.renew()
        posts.withLock { _ = $0[device]?.volumes.insert(volume) }
        return held.post
      }
      let post = try GuardPost(try connect(), engine: engine)
      posts.withLock { $0[device] = Held(post: post, volumes: [volume]) }
      return post
    }
  }

  /// The file system stays guarded; who opens a stub there waits for the next `enter`.
  func leave(_ volume: String) {
    turn.withLock { _ in
      let empty = posts.withLock { posts in
        for device in posts.keys { posts[device]?.volumes.remove(volume) }
        let empty = posts.filter(\.value.volumes.isEmpty)
        for device in empty.keys { posts[device] = nil }
        return empty.values.map(\.post)
      }
      for post in empty { post.close() }
    }
  }

  var all: [GuardPost] { posts.withLock { $0.values.map(\.post) } }
}
