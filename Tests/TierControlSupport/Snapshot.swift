import Glibc
import Testing

/// Compares a text with a file of this repository. With `TIERD_UPDATE_SNAPSHOTS=1` in the environment the file is
/// written instead: look at the difference before you commit it.
package func expectSnapshot(
  _ text: String, _ path: String, source: StaticString = #filePath,
  location: SourceLocation = #_sourceLocation
) throws {
  let file = SourceTree.root(of: "\(source)") + "/" + path
  if getenv("TIERD_UPDATE_SNAPSHOTS") != nil {
    let stream = try #require(fopen(file, "w"), "\(file) can't be written", sourceLocation: location)
    fputs(text, stream)
    fclose(stream)
    return
  }
  let kept = try SourceTree.text(file)
  #expect(
    text == kept, "\(path) differs; TIERD_UPDATE_SNAPSHOTS=1 swift test writes it anew",
    sourceLocation: location)
}

package enum SourceTree {
  /// Of a file in `Tests/<Module>`.
  package static func root(of source: String) -> String {
    let parts = source.split(separator: "/", omittingEmptySubsequences: false)
    return parts[..<(parts.lastIndex(of: "Tests") ?? 0)].joined(separator: "/")
  }

  package static func text(_ file: String) throws -> String {
    let stream = try #require(fopen(file, "r"), "\(file) can't be read")
    defer { fclose(stream) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    while true {
      let count = fread(&buffer, 1, buffer.count, stream)
      if count == 0 { break }
      bytes += buffer[..<count]
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
