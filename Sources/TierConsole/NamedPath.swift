import Glibc
import TierAPI
import TierCore

/// From what a person typed to the path that tierd knows: absolute, the parent's links followed, the last
/// component's not, since a stub is a link itself. What ends in `/`, `.` or `..` is a directory, and followed.
package enum NamedPath {
  package struct Failure: Error, Hashable, Sendable, CustomStringConvertible {
    package var description: String
  }

  package static func resolve(_ typed: [UInt8]) throws(Failure) -> AbsolutePath {
    let shown = EscapedText.encode(typed)
    guard !typed.isEmpty, !typed.contains(0) else { throw Failure(description: "\"\(shown)\" is no path") }
    var parts = typed.split(separator: .slash).map(Array.init)[...]
    var start: [UInt8] = typed.first == .slash ? [.slash] : [.dot]
    var tail: [[UInt8]] = []
    let isDirectory = typed.last == .slash || parts.last == [.dot] || parts.last == [.dot, .dot]
    if !isDirectory, let last = parts.popLast() { tail = [last] }
    // What was deleted has no parent any more: the longest part that is there is followed.
    while true {
      let known = joined(start, parts)
      if let found = try real(known, shown) {
        start = found
        break
      }
      guard let last = parts.popLast() else { throw Failure(description: "\(shown): \(reason(ENOENT))") }
      tail.insert(last, at: 0)
    }
    tail.removeAll { $0 == [.dot] }
    guard !tail.contains([.dot, .dot]) else {
      throw Failure(description: "\(shown): \"..\" behind a directory that doesn't exist")
    }
    guard let path = AbsolutePath(joined(start, tail[...])) else {
      throw Failure(description: "\"\(shown)\" is no path")
    }
    return path
  }

  /// Nil where it doesn't exist.
  private static func real(_ path: [UInt8], _ shown: String) throws(Failure) -> [UInt8]? {
    let found = (path + [0]).withUnsafeBufferPointer { buffer in
      buffer.withMemoryRebound(to: CChar.self) { realpath($0.baseAddress!, nil) }
    }
    guard let found else {
      if errno == ENOENT { return nil }
      throw Failure(description: "\(shown): \(reason(errno))")
    }
    defer { free(found) }
    return Array(UnsafeRawBufferPointer(start: found, count: strlen(found)))
  }

  private static func joined(_ start: [UInt8], _ parts: ArraySlice<[UInt8]>) -> [UInt8] {
    parts.reduce(start) { $0.last == .slash ? $0 + $1 : $0 + [.slash] + $1 }
  }

  private static func reason(_ number: Int32) -> String { String(cString: strerror(number)) }
}
