import Glibc
import TierCore

/// One record of inotify's stream. The cookie that joins the halves of a rename is left out: directories are
/// recognised by their watch, and files by what the catalog knows.
package struct InotifyEvent: Hashable, Sendable {
  /// -1 with `IN_Q_OVERFLOW`.
  package var watch: Int32
  package var mask: UInt32
  /// Nil where the event is about the watched directory itself.
  package var name: FileName?

  package init(watch: Int32, mask: UInt32, name: FileName? = nil) {
    self.watch = watch
    self.mask = mask
    self.name = name
  }

  package func has(_ flag: Int32) -> Bool { mask & UInt32(bitPattern: flag) != 0 }

  /// A directory was listed (by tierd's own walks too). Nothing follows from that, and no events are as many.
  private var isListing: Bool { has(IN_CLOSE_NOWRITE) && has(IN_ISDIR) }

  private static let headerBytes = 16

  /// Listings of directories are left out. The kernel gives whole records only: what isn't whole would mean that events were lost: nil.
  package static func parse(_ bytes: UnsafeRawBufferPointer) -> [InotifyEvent]? {
    var events: [InotifyEvent] = []
    var position = 0
    while position < bytes.count {
      guard position + headerBytes <= bytes.count else { return nil }
      let nameBytes = Int(bytes.loadUnaligned(fromByteOffset: position + 12, as: UInt32.self))
      let start = position + headerBytes
      guard start + nameBytes <= bytes.count else { return nil }
      var event = InotifyEvent(
        watch: bytes.loadUnaligned(fromByteOffset: position, as: Int32.self),
        mask: bytes.loadUnaligned(fromByteOffset: position + 4, as: UInt32.self))
      position = start + nameBytes
      if event.isListing { continue }
      let name = bytes[start..<position].prefix { $0 != 0 }
      if !name.isEmpty { event.name = FileName(trusted: Array(name)) }
      events.append(event)
    }
    return events
  }
}
