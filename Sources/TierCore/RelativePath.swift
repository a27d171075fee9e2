/// One component of a path: bytes as the kernel keeps them, without `/` and NUL, neither empty, `.` nor `..`.
package struct FileName: Hashable, Sendable {
  package let bytes: [UInt8]

  /// Nil where the bytes can't be one component.
  package init?(_ bytes: [UInt8]) {
    guard !bytes.isEmpty, bytes != [.dot], bytes != [.dot, .dot] else { return nil }
    guard !bytes.contains(.slash), !bytes.contains(0) else { return nil }
    self.bytes = bytes
  }

  package init?(_ text: String) { self.init(Array(text.utf8)) }

  /// For names that come from the kernel's own directory listing, which can't hold a bad one.
  package init(trusted bytes: [UInt8]) { self.bytes = bytes }
}

/// A path below the root of a volume or target. The empty path is the root itself.
///
/// File names are bytes, not text: nothing here assumes UTF-8 or a normal form.
package struct RelativePath: Hashable, Sendable {
  /// Components joined by `/`; neither leading nor trailing slash.
  package let bytes: [UInt8]

  package static let root = RelativePath(trusted: [])

  /// For paths put together from names that are known to be good.
  package init(trusted bytes: [UInt8]) { self.bytes = bytes }

  /// Nil where a component is empty, `.`, `..` or holds a NUL.
  package init?(_ bytes: [UInt8]) {
    guard !bytes.isEmpty else {
      self = .root
      return
    }
    for part in bytes.split(separator: .slash, omittingEmptySubsequences: false) {
      guard FileName(Array(part)) != nil else { return nil }
    }
    self.bytes = bytes
  }

  package init?(_ text: String) { self.init(Array(text.utf8)) }

  package init(_ name: FileName) { bytes = name.bytes }

  package var isRoot: Bool { bytes.isEmpty }

  package var components: [FileName] {
    bytes.split(separator: .slash).map { FileName(trusted: Array($0)) }
  }

  /// Nil for the root.
  package var name: FileName? {
    guard !isRoot else { return nil }
    let start = bytes.lastIndex(of: .slash).map { $0 + 1 } ?? 0
    return FileName(trusted: Array(bytes[start...]))
  }

  /// The root's parent is the root.
  package var parent: RelativePath {
    guard let slash = bytes.lastIndex(of: .slash) else { return .root }
    return RelativePath(trusted: Array(bytes[..<slash]))
  }

  package func appending(_ name: FileName) -> RelativePath {
    isRoot ? RelativePath(name) : RelativePath(trusted: bytes + [.slash] + name.bytes)
  }

  package func appending(_ path: RelativePath) -> RelativePath {
    if isRoot { return path }
    if path.isRoot { return self }
    return RelativePath(trusted: bytes + [.slash] + path.bytes)
  }

  /// True for `ancestor` itself and all below it.
  package func isWithin(_ ancestor: RelativePath) -> Bool {
    if ancestor.isRoot { return true }
    guard bytes.starts(with: ancestor.bytes) else { return false }
    return bytes.count == ancestor.bytes.count || bytes[ancestor.bytes.count] == .slash
  }

  /// This path with its leading `ancestor` taken off; nil where it isn't within.
  package func relative(to ancestor: RelativePath) -> RelativePath? {
    guard isWithin(ancestor) else { return nil }
    if ancestor.isRoot { return self }
    return RelativePath(trusted: Array(bytes[ancestor.bytes.count...].dropFirst()))
  }
}

extension RelativePath: Comparable {
  package static func < (left: RelativePath, right: RelativePath) -> Bool {
    left.bytes.lexicographicallyPrecedes(right.bytes)
  }
}

extension RelativePath: CustomStringConvertible {
  package var description: String { escaped }

  /// The path as printable text that reads back to the same bytes (`EscapedText`).
  package var escaped: String { EscapedText.encode(bytes) }

  package init?(escaped text: String) {
    guard let bytes = EscapedText.decode(text) else { return nil }
    self.init(bytes)
  }
}

extension FileName: CustomStringConvertible {
  package var description: String { EscapedText.encode(bytes) }
}

extension UInt8 {
  package static let slash = UInt8(ascii: "/")
  package static let dot = UInt8(ascii: ".")
  package static let backslash = UInt8(ascii: "\\")
}
