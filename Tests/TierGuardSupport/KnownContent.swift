import Glibc

/// Content that follows from a key, as long as one likes: no byte of it is 0, and no piece of it fits elsewhere.
package struct KnownContent: Sendable {
  /// A prime: no block repeats at a block's boundary.
  private static let period = 4093
  private let base: [UInt8]

  package init(of key: String) { base = Placeholder.content(of: key, size: Self.period) }

  /// Of files whose name ends in their size: `photo.12345`.
  package static func size(of name: String) -> Int? { name.split(separator: ".").last.flatMap { Int($0) } }

  package func bytes(_ size: Int) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: size) { buffer, filled in
      each(size, from: 0) { base, start, count in
        memcpy(buffer.baseAddress! + start, base, count)
        return true
      }
      filled = size
    }
  }

  package func matches(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> Bool {
    each(bytes.count, from: offset) { base, start, count in
      memcmp(base, bytes.baseAddress! + start, count) == 0
    }
  }

  @discardableResult
  private func each(_ size: Int, from offset: Int, _ body: (UnsafePointer<UInt8>, Int, Int) -> Bool) -> Bool {
    base.withUnsafeBufferPointer { base in
      var done = 0
      while done < size {
        let place = (offset + done) % Self.period
        let count = min(Self.period - place, size - done)
        guard body(base.baseAddress! + place, done, count) else { return false }
        done += count
      }
      return true
    }
  }
}
