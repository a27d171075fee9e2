import Glibc
import TierCore

/// A configuration file's bytes, known to be text of a bearable size.
struct SourceText {
  /// Far above any real file, far below what could hurt.
  static let sizeLimit = 1 << 20

  let bytes: [UInt8]

  /// Nil where it isn't; the reason is in `findings`.
  init?(_ bytes: [UInt8], _ findings: Findings) {
    guard bytes.count <= Self.sizeLimit else {
      findings.report("larger than 1 MiB: not a configuration file", at: nil)
      return nil
    }
    // A byte order mark at the start is no text.
    self.bytes = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? Array(bytes.dropFirst(3)) : bytes
    guard let bad = firstBadCharacter() else { return }
    findings.report(bad.message, at: bad.mark)
    return nil
  }

  /// Reads a regular file; links are followed (Kubernetes mounts configuration as links).
  static func load(_ path: String, _ findings: Findings) -> SourceText? {
    switch readFile(path) {
    case .success(let bytes): return SourceText(bytes, findings)
    case .failure(let failure):
      findings.report(failure.description, at: nil)
      return nil
    }
  }

  struct ReadFailure: Error, CustomStringConvertible { var description: String }

  private static func readFile(_ path: String) -> Result<[UInt8], ReadFailure> {
    // A FIFO must not hold the daemon.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else {
      return .failure(ReadFailure(description: "can't be read: \(systemText(errno))"))
    }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      return .failure(ReadFailure(description: "can't be read: not a regular file"))
    }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 64 << 10)
    // One byte above the limit is enough to know.
    while bytes.count <= sizeLimit {
      let count = read(descriptor, &chunk, chunk.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else {
        return .failure(ReadFailure(description: "can't be read: \(systemText(errno))"))
      }
      if count == 0 { break }
      bytes += chunk[..<count]
    }
    return .success(bytes)
  }

  static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

  static func systemText(_ code: Int32) -> String { String(cString: strerror(code)) }

  func character(at mark: Mark) -> Unicode.Scalar? {
    var place = Mark(line: 1, column: 1)
    for scalar in String(decoding: bytes, as: UTF8.self).unicodeScalars {
      if place == mark { return scalar }
      place.advance(over: scalar)
    }
    return nil
  }

  private func firstBadCharacter() -> (message: String, mark: Mark)? {
    var place = Mark(line: 1, column: 1)
    var decoder = UTF8.ForwardParser()
    var rest = bytes.makeIterator()
    while true {
      switch decoder.parseScalar(from: &rest) {
      case .emptyInput: return nil
      case .error: return ("not UTF-8: save the file in that encoding", place)
      case .valid(let encoded):
        let scalar = UTF8.decode(encoded)
        if scalar.value < 0x20 && !"\t\n\r".unicodeScalars.contains(scalar)
          || (0x7F..<0xA0).contains(scalar.value)
        {
          let digits = String(scalar.value, radix: 16, uppercase: true)
          return ("control character U+\(String(repeating: "0", count: 4 - digits.count))\(digits)", place)
        }
        place.advance(over: scalar)
      }
    }
  }
}

extension Mark {
  fileprivate mutating func advance(over scalar: Unicode.Scalar) {
    if scalar == "\n" {
      self = Mark(line: line + 1, column: 1)
    } else {
      column += 1
    }
  }
}

extension String {
  /// For messages: printable, and not longer than a line can bear.
  var clipped: String {
    // The backslash stays single, unlike in a path that must read back.
    let text = split(separator: "\\", omittingEmptySubsequences: false).map {
      EscapedText.encode(Array($0.utf8))
    }
    .joined(separator: "\\")
    return text.count <= 60 ? text : text.prefix(57) + "..."
  }
}
