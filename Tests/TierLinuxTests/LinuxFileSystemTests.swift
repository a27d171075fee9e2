import Glibc
import Testing
import TierCore
import TierTestSupport

@testable import TierLinux

@Suite struct LinuxFileSystemTests {
  let directory: TemporaryDirectory
  let files: LinuxFileSystem

  init() throws {
    directory = try TemporaryDirectory()
    files = try directory.fileSystem()
  }

  /// Every byte but NUL and `/` is a name.
  @Test(
    arguments: [
      Array("plain".utf8), Array("-rf".utf8), Array("a\nb".utf8), Array(" ".utf8), [0xFF, 0xFE], [0xC3],
      Array("...".utf8), Array("*".utf8), Array(repeating: 0x61, count: 255), Array("tür".utf8),
    ] as [[UInt8]])
  func anyNameIsMadeListedReadAndRemoved(_ bytes: [UInt8]) throws {
    let name = try #require(FileName(bytes))
    let path = try #require(RelativePath("deep/er")).appending(name)
    try files.makeDirectory(#require(RelativePath("deep")), mode: 0o755, at: "test.mkdir")
    try files.makeDirectory(#require(RelativePath("deep/er")), mode: 0o755, at: "test.mkdir")
    let file = try files.open(path, .create(mode: 0o640), at: "test.create")
    try Array("content".utf8).withUnsafeBytes { try file.write($0, offset: 0, at: "test.write") }
    file.close()
    file.close()

    let entries = try files.list(#require(RelativePath("deep/er")), at: "test.list")
    let status = try #require(try files.status(of: path, at: "test.status"))
    #expect(entries == [DirectoryEntry(name: name, status: status)])
    #expect(status.kind == .regular && status.size == 7 && status.mode == 0o640 && status.links == 1)
    #expect(try text(of: path) == "content")
    try files.unlink(path, at: "test.unlink")
    #expect(try files.status(of: path, at: "test.status") == nil)
  }

  func text(of path: RelativePath) throws -> String {
    let file = try files.open(path, .read, at: "test.open")
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = try buffer.withUnsafeMutableBytes { try file.read(into: $0, offset: 0, at: "test.read") }
    return String(decoding: buffer[..<count], as: UTF8.self)
  }
}
