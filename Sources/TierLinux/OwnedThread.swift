import CTierLinux
import Glibc
import Synchronization

/// A thread for calls that block, so that they don't occupy Swift's cooperative pool.
package final class OwnedThread: Sendable {
  private let handle: Mutex<pthread_t?>

  /// `name` shows in `ps -L` and `top -H`, cut to 15 bytes.
  package init(name: String, stackBytes: Int = 1 << 20, _ body: @escaping @Sendable () -> Void) {
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    pthread_attr_setstacksize(&attributes, max(stackBytes, 64 << 10))
    defer { pthread_attr_destroy(&attributes) }
    let start = Unmanaged.passRetained(Start(name: name, body: body))
    var thread = pthread_t()
    let error = pthread_create(
      &thread, &attributes,
      { argument in
        let start = Unmanaged<Start>.fromOpaque(argument!).takeRetainedValue()
        _ = tier_name_thread(String(decoding: start.name.utf8.prefix(15), as: UTF8.self))
        start.body()
        return nil
      }, start.toOpaque())
    guard error == 0 else { fatalError("no thread \(name): \(errnoText(error)); see ulimit -u, TasksMax=") }
    handle = Mutex(thread)
  }

  /// Waits until the body has returned. A second call, from any thread, returns after the first.
  package func join() {
    handle.withLock { handle in
      guard let thread = handle else { return }
      precondition(pthread_equal(thread, pthread_self()) == 0, "a thread can't wait for itself")
      pthread_join(thread, nil)
      handle = nil
    }
  }

  deinit {
    handle.withLock { if let thread = $0 { pthread_detach(thread) } }
  }

  private final class Start {
    let name: String
    let body: @Sendable () -> Void
    init(name: String, body: @escaping @Sendable () -> Void) {
      self.name = name
      self.body = body
    }
  }
}
