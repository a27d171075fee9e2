import Glibc
import TierCore
import TierLinux
import TierTestSupport

/// Files to work on: `files` of `bytes` each, so many a directory, directories so many a directory, all different,
/// nothing in them that could be compressed or left out as a hole.
final class FileTree {
  let folder: TemporaryDirectory
  let files: Int
  let bytes: Int
  private let perDirectory: Int

  var path: String { folder.path }
  var totalBytes: Int { files * bytes }

  init(files: Int, bytes: Int, perDirectory: Int = 50) throws {
    self.files = files
    self.bytes = bytes
    self.perDirectory = perDirectory
    folder = try TemporaryDirectory()
    try fill(try folder.fileSystem())
    // What is still to be written to this disk must not fall into the first contender's time.
    try Programs.run("sync", ["-f", path])
  }

  func name(_ number: Int) -> RelativePath {
    directory(number / perDirectory).appending(FileName("file \(number).bin")!)
  }

  private func directory(_ number: Int) -> RelativePath {
    RelativePath("part \(number / 100)/folder \(number)")!
  }

  private func fill(_ volume: LinuxFileSystem) throws {
    var random = SplitMix(state: UInt64(files) &* 31 &+ UInt64(bytes))
    var content = [UInt64](repeating: 0, count: min(bytes, 1 << 20) / 8)
    for number in 0..<files {
      let path = name(number)
      if number % (perDirectory * 100) == 0 {
        try volume.makeDirectory(path.parent.parent, mode: 0o755, at: "bench.make")
      }
      if number % perDirectory == 0 { try volume.makeDirectory(path.parent, mode: 0o755, at: "bench.make") }
      let file = try volume.open(path, .create(mode: 0o644), at: "bench.make")
      defer { file.close() }
      if content.isEmpty { continue }
      for offset in stride(from: 0, to: bytes, by: content.count * 8) {
        for index in content.indices { content[index] = random.next() }
        try content.withUnsafeBytes { try file.write($0, offset: Int64(offset), at: "bench.make") }
      }
    }
  }
}
