import Glibc
import Testing

@testable import TierPolicyFile

/// Files of this repository that tests read where they lie.
enum SourceTree {
  static let root = String(#filePath.dropLast("/Tests/TierPolicyFileTests/SourceTree.swift".count))
  static let bad = root + "/Tests/TierPolicyFileTests/Bad"

  static func bytes(_ path: String) throws -> [UInt8] {
    try #require(SourceText.load(path, Findings(file: path)), "\(path)").bytes
  }

  static func text(_ path: String) throws -> String { String(decoding: try bytes(path), as: UTF8.self) }

  /// The sorted names in a directory, without those that start with a dot.
  static func names(in directory: String) -> [String] {
    guard let stream = opendir(directory) else { return [] }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if !name.hasPrefix(".") { names.append(name) }
    }
    return names.sorted()
  }
}
