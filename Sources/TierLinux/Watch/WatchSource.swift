import CTierLinux
import Glibc
import Synchronization
import TierCore

/// The kernel as a watcher sees it: one inotify instance. A seam, so that a test can delay, reorder or lose
/// events, or let a call fail, and leave the rest to the real one.
package protocol WatchSource: AnyObject, Sendable {
  /// Watches the directory behind a descriptor. The watch's number; the same one again for a directory that is
  /// watched already.
  func add(_ directory: Int32, mask: UInt32) throws(SyscallError) -> Int32
  func remove(_ watch: Int32)
  /// Waits until there are events, the mounts changed, the wake-up was signalled or the time is over.
  func next(atMost timeout: Duration) throws(SyscallError) -> WatchTurn
  func close()
}

package struct WatchTurn: Sendable {
  /// In the kernel's order, listings of directories left out.
  package var events: [InotifyEvent]
  /// Something was mounted or unmounted, anywhere.
  package var mountsChanged: Bool
  package var isWoken: Bool
  /// Nothing was left in the queue.
  package var isQueueEmptied: Bool

  package init(
    events: [InotifyEvent] = [], mountsChanged: Bool = false, isWoken: Bool = false,
    isQueueEmptied: Bool = true
  ) {
    self.events = events
    self.mountsChanged = mountsChanged
    self.isWoken = isWoken
    self.isQueueEmptied = isQueueEmptied
  }

  /// At most so many are carried over a walk.
  static let eventLimit = 65_536

  var isEmpty: Bool { events.isEmpty && !mountsChanged && !isWoken }

  mutating func append(_ later: WatchTurn) {
    events += later.events
    mountsChanged = mountsChanged || later.mountsChanged
    isWoken = isWoken || later.isWoken
    isQueueEmptied = later.isQueueEmptied
  }
}

/// The real one. Where no inotify instance is to be had (`EMFILE`), `add` says so and tries again the next time;
/// mounts are noticed all the same.
package final class InotifySource: WatchSource {
  private let instance = Mutex<Descriptor?>(nil)
  private let mounts: Descriptor
  private let wakeup: Wakeup
  private static let bufferBytes = 256 << 10

  package init(wakeup: Wakeup) throws(SyscallError) {
    self.wakeup = wakeup
    let table = tier_open("/proc/self/mountinfo", O_RDONLY, 0)
    guard table >= 0 else {
      throw SyscallError(call: "open", path: "/proc/self/mountinfo", errno: -table)
    }
    mounts = Descriptor(owning: table)
  }

  package func add(_ directory: Int32, mask: UInt32) throws(SyscallError) -> Int32 {
    let watch = tier_inotify_add(try made(), directory, mask)
    guard watch >= 0 else { throw SyscallError(call: "inotify_add_watch", path: "", errno: -watch) }
    return watch
  }

  /// A watch that the kernel has dropped meanwhile is no error.
  package func remove(_ watch: Int32) { _ = inotify_rm_watch(number, watch) }

  package func next(atMost timeout: Duration) throws(SyscallError) -> WatchTurn {
    var polled = [
      pollfd(fd: number, events: Int16(POLLIN), revents: 0),
      pollfd(fd: wakeup.descriptor, events: Int16(POLLIN), revents: 0),
      pollfd(fd: mounts.raw, events: Int16(POLLPRI), revents: 0),
    ]
    let ready = tier_poll(&polled, 3, max(.zero, timeout).nanoseconds)
    guard ready >= 0 else { throw SyscallError(call: "ppoll", path: "", errno: -ready) }
    var turn = WatchTurn(mountsChanged: polled[2].revents != 0, isWoken: polled[1].revents != 0)
    if turn.isWoken { wakeup.clear() }
    if polled[0].revents != 0 { (turn.events, turn.isQueueEmptied) = try read() }
    return turn
  }

  package func close() {
    instance.withLock { $0?.close() }
    mounts.close()
  }

  /// -1 where there is none: `poll` passes over it.
  private var number: Int32 { instance.withLock { $0?.raw ?? -1 } }

  private func made() throws(SyscallError) -> Int32 {
    if number >= 0 { return number }
    let fresh = tier_inotify()
    guard fresh >= 0 else { throw SyscallError(call: "inotify_init1", path: "", errno: -fresh) }
    instance.withLock { $0 = Descriptor(owning: fresh) }
    return fresh
  }

  private func read() throws(SyscallError) -> ([InotifyEvent], emptied: Bool) {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.bufferBytes, alignment: 8)
    defer { buffer.deallocate() }
    let filled = tier_read(number, buffer.baseAddress, buffer.count)
    if filled == -Int(EAGAIN) { return ([], true) }
    guard filled >= 0 else { throw SyscallError(call: "read", path: "inotify", errno: Int32(-filled)) }
    let overflow = InotifyEvent(watch: -1, mask: UInt32(IN_Q_OVERFLOW))
    let events = InotifyEvent.parse(UnsafeRawBufferPointer(rebasing: buffer[..<filled])) ?? [overflow]
    // The kernel stops where the next record, of at most a header and a name, doesn't fit.
    return (events, filled + 16 + Int(NAME_MAX) + 1 <= buffer.count)
  }
}
