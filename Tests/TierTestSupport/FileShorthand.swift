import TierCore
import TierLinux

/// A path that is the test's own literal: traps on text that is none.
package func at(_ path: String) -> RelativePath { RelativePath(path)! }

/// What tests do all the time, in one line each.
extension FileSystem {
  /// Writes a file, making the parents it needs and replacing what stands there.
  @discardableResult
  package func put(_ path: RelativePath, _ content: [UInt8], mode: UInt16 = 0o644) throws -> FileStatus {
    try makeParents(of: path)
    if try status(of: path, at: "test.put") != nil { try unlink(path, at: "test.put") }
    let file = try open(path, .create(mode: mode), at: "test.put")
    defer { file.close() }
    try content.withUnsafeBytes { try file.write($0, offset: 0, at: "test.put") }
    return try file.status(at: "test.put")
  }

  @discardableResult
  package func put(_ path: RelativePath, _ text: String, mode: UInt16 = 0o644) throws -> FileStatus {
    try put(path, Array(text.utf8), mode: mode)
  }

  package func makeParents(of path: RelativePath) throws {
    guard !path.parent.isRoot else { return }
    try makeParents(of: path.parent)
    if try status(of: path.parent, at: "test.parents") == nil {
      try makeDirectory(path.parent, mode: 0o755, at: "test.parents")
    }
  }

  package func content(of path: RelativePath) throws -> [UInt8] {
    let file = try open(path, .read, at: "test.content")
    defer { file.close() }
    let size = Int(try file.status(at: "test.content").size)
    var bytes = [UInt8](repeating: 0, count: size)
    var done = 0
    while done < size {
      let count = try bytes.withUnsafeMutableBytes {
        try file.read(
          into: UnsafeMutableRawBufferPointer(rebasing: $0[done...]), offset: Int64(done), at: "test.content")
      }
      if count == 0 { break }
      done += count
    }
    return Array(bytes[..<done])
  }

  package func text(of path: RelativePath) throws -> String {
    String(decoding: try content(of: path), as: UTF8.self)
  }

  package func exists(_ path: RelativePath) throws -> Bool {
    try status(of: path, at: "test.exists") != nil
  }
}
