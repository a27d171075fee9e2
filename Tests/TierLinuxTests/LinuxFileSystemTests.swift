import Glibc
import Testing
import TierCore
import TierLinux
import TierTestSupport

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
    let path = at("deep/er").appending(name)
    try files.put(path, "content", mode: 0o640)

    let entries = try files.list(at("deep/er"), at: "test.list")
    let status = try #require(try files.status(of: path, at: "test.status"))
    #expect(entries == [DirectoryEntry(name: name, status: status)])
    #expect(status.kind == .regular && status.size == 7 && status.mode == 0o640 && status.links == 1)
    #expect(try files.text(of: path) == "content")
    try files.unlink(path, at: "test.unlink")
    #expect(try !files.exists(path))
  }

  @Test func listTellsEveryKindAndNothingElse() throws {
    try files.put(at("file"), "x")
    try files.makeDirectory(at("directory"), mode: 0o700, at: "test.mkdir")
    try files.makeSymlink(at("link"), to: Array("/nowhere".utf8), at: "test.symlink")
    mkfifo(directory.path("fifo"), 0o600)
    let socket = try UnixSocket(boundTo: directory.path("socket"))
    defer { socket.close() }
    let kinds = try files.list(.root, at: "test.list").map { ($0.name.description, $0.status.kind) }
    let expected: [String: FileKind] = [
      "file": .regular, "directory": .directory, "link": .symlink, "fifo": .fifo, "socket": .socket,
    ]
    #expect(Dictionary(uniqueKeysWithValues: kinds) == expected)
  }

  @Test func listReadsDirectoriesLongerThanItsBuffer() throws {
    // 255-byte names: about 280 bytes a record, so 3,000 of them don't fit into one portion.
    let long = String(repeating: "n", count: 250)
    for number in 10_000..<13_000 {
      try files.open(#require(RelativePath("\(long)\(number)")), .create(mode: 0o600), at: "test.create")
        .close()
    }
    let names = Set(try files.list(.root, at: "test.list").map(\.name.description))
    #expect(names == Set((10_000..<13_000).map { "\(long)\($0)" }))
  }

  @Test(.timeLimit(.minutes(1))) func onlyRegularFilesAreOpened() throws {
    try files.makeDirectory(at("directory"), mode: 0o700, at: "test.mkdir")
    try files.put(at("file"), "x")
    try files.makeSymlink(at("link"), to: Array("file".utf8), at: "test.symlink")
    mkfifo(directory.path("fifo"), 0o600)
    let socket = try UnixSocket(boundTo: directory.path("socket"))
    defer { socket.close() }
    // A FIFO without a writer would block for ever.
    #expect(errno { _ = try files.open(at("fifo"), .read, at: "test.open") } == ENXIO)
    #expect(errno { _ = try files.open(at("fifo"), .readWrite, at: "test.open") } == ENXIO)
    #expect(errno { _ = try files.open(at("socket"), .read, at: "test.open") } == ENXIO)
    #expect(errno { _ = try files.open(at("directory"), .read, at: "test.open") } == EISDIR)
    #expect(errno { _ = try files.open(.root, .read, at: "test.open") } == EISDIR)
    #expect(errno { _ = try files.open(at("link"), .read, at: "test.open") } == ELOOP)
    #expect(errno { _ = try files.open(at("link"), .create(mode: 0o600), at: "test.open") } == EEXIST)
    #expect(errno { _ = try files.open(at("missing"), .read, at: "test.open") } == ENOENT)
  }

  @Test func renameModesDoWhatTheySay() throws {
    let (one, two) = (try files.put(at("one"), "1"), try files.put(at("two"), "2"))
    #expect(errno { try files.rename(at("one"), to: at("two"), .keepExisting, at: "test.rename") } == EEXIST)
    try files.rename(at("one"), to: at("two"), .exchange, at: "test.rename")
    #expect(try files.status(of: at("two"), at: "test.status")?.inode == one.inode)
    #expect(try files.status(of: at("one"), at: "test.status")?.inode == two.inode)
    #expect(errno { try files.rename(at("one"), to: at("missing"), .exchange, at: "test.rename") } == ENOENT)
    try files.rename(at("one"), to: at("two"), .replace, at: "test.rename")
    #expect(try files.status(of: at("two"), at: "test.status")?.inode == two.inode)
    #expect(try !files.exists(at("one")))
    try files.makeDirectory(at("sub"), mode: 0o755, at: "test.mkdir")
    try files.rename(at("two"), to: at("sub/three"), .keepExisting, at: "test.rename")
    #expect(try files.text(of: at("sub/three")) == "2")
  }

  /// Before 1970 and after 2106; `-1 s + 999,999,999 ns` is the moment before the epoch.
  @Test(
    arguments: [(-1, 999_999_999), (-2_000_000_000, 1), (0, 0), (10_413_792_000, 123_456_789)]
      as [(Int64, UInt32)])
  func timesAreKeptToTheNanosecond(_ seconds: Int64, _ nanoseconds: UInt32) throws {
    let time = FileTime(seconds: seconds, nanoseconds: nanoseconds)
    let other = FileTime(seconds: seconds + 1, nanoseconds: 5)
    try files.put(at("file"), "x")
    try files.makeSymlink(at("link"), to: Array("file".utf8), at: "test.symlink")
    let file = try files.open(at("file"), .read, at: "test.open")
    try file.setTimes(modified: time, accessed: other, at: "test.times")
    #expect(try file.status(at: "test.status").modified == time)
    #expect(try file.status(at: "test.status").accessed == other)
    try files.setTimes(of: at("link"), modified: other, accessed: time, at: "test.times")
    let link = try #require(try files.status(of: at("link"), at: "test.status"))
    #expect(link.kind == .symlink && link.modified == other && link.accessed == time)
    #expect(try files.status(of: at("file"), at: "test.status")?.modified == time)
  }

  @Test func readingForAnArchiveDoesNotMoveTheAccessTime() throws {
    try files.put(at("file"), "x")
    let old = FileTime(seconds: 1_000_000, nanoseconds: 7)
    try files.setTimes(of: at("file"), modified: old, accessed: old, at: "test.times")
    #expect(try files.text(of: at("file")) == "x")
    #expect(try files.status(of: at("file"), at: "test.status")?.accessed == old)
  }

  @Test func dataRangesTellHoles() throws {
    let file = try files.open(at("sparse"), .create(mode: 0o600), at: "test.create")
    try file.truncate(to: 3 << 20, at: "test.truncate")
    #expect(try file.dataRange(from: 0, at: "test.seek") == nil)
    try [UInt8](repeating: 1, count: 4096).withUnsafeBytes {
      try file.write($0, offset: 1 << 20, at: "test.write")
    }
    #expect(try file.dataRange(from: 0, at: "test.seek") == Int64(1 << 20)..<Int64(1 << 20) + 4096)
    #expect(try file.dataRange(from: 1 << 20 + 100, at: "test.seek")?.upperBound == Int64(1 << 20) + 4096)
    #expect(try file.dataRange(from: 2 << 20, at: "test.seek") == nil)
    #expect(try file.dataRange(from: 9 << 20, at: "test.seek") == nil)
    #expect(try file.status(at: "test.status").allocated < 1 << 20)
  }

  @Test func aDescriptorStaysItsFileWhateverBecomesOfTheName() throws {
    let before = try files.put(at("file"), "old")
    let file = try files.open(at("file"), .readWrite, at: "test.open")
    try files.put(at("new"), "new")
    try files.rename(at("new"), to: at("file"), .replace, at: "test.rename")
    let now = try file.status(at: "test.status")
    #expect(now.inode == before.inode && now.links == 0)
    file.close()
    file.close()
    #expect(errno { _ = try file.status(at: "test.status") } == EBADF)
  }

  @Test func linksAreReadWholeAndNamesWithoutAnEntryAreNil() throws {
    let text = [UInt8](repeating: 0x2F, count: 4095)
    try files.makeSymlink(at("link"), to: text, at: "test.symlink")
    #expect(try files.readLink(at("link"), at: "test.readlink") == text)
    try files.put(at("file"), "x")
    #expect(errno { _ = try files.readLink(at("file"), at: "test.readlink") } == EINVAL)
    #expect(try files.status(of: at("file/below"), at: "test.status") == nil)
    #expect(try files.status(of: at("no/such/parent"), at: "test.status") == nil)
    #expect(try files.status(of: .root, at: "test.status")?.kind == .directory)
    #expect(errno { _ = try files.list(at("file"), at: "test.list") } == ENOTDIR)
    #expect(errno { _ = try files.list(at("missing"), at: "test.list") } == ENOENT)
  }

  @Test func errorsNameTheAbsolutePathPrintably() throws {
    let error = #expect(throws: SyscallError.self) {
      _ = try files.open(#require(RelativePath([0x61, 0x0A])), .read, at: "test.open")
    }
    #expect(error?.path == directory.path(#"a\x0a"#))
  }

  @Test func aRootThatIsNoFolderIsExplained() throws {
    try files.put(at("file"), "x")
    #expect(throws: TierError.self) { try LinuxFileSystem(root: directory.path("missing")) }
    #expect(throws: TierError.self) { try LinuxFileSystem(root: directory.path("file")) }
    let relative = #expect(throws: TierError.self) { try LinuxFileSystem(root: "relative") }
    #expect(relative?.code == .badConfiguration)
  }

  @Test func directoriesAndSpace() throws {
    try files.put(at("sub/file"), "x")
    try files.syncDirectory(at("sub"), at: "test.sync")
    try files.syncDirectory(.root, at: "test.sync")
    #expect(errno { try files.removeDirectory(at("sub"), at: "test.rmdir") } == ENOTEMPTY)
    #expect(errno { try files.unlink(at("sub"), at: "test.unlink") } == EISDIR)
    try files.unlink(at("sub/file"), at: "test.unlink")
    try files.removeDirectory(at("sub"), at: "test.rmdir")
    #expect(try files.list(.root, at: "test.list").isEmpty)
    let space = try files.space(at: "test.space")
    #expect(space.total > 0 && space.available <= space.total)
  }

  @Test(.enabled(if: LoopFileSystem.Kind.tmpfs.isAvailable, "mounting needs root"))
  func aFullFileSystemSaysSo() throws {
    let small = try LoopFileSystem(.tmpfs, mebibytes: 1)
    let volume = try small.fileSystem()
    let file = try volume.open(at("file"), .create(mode: 0o600), at: "test.create")
    let error = #expect(throws: SyscallError.self) {
      try [UInt8](repeating: 1, count: 2 << 20).withUnsafeBytes {
        try file.write($0, offset: 0, at: "test.write")
      }
    }
    #expect(error?.errno == ENOSPC)
    #expect(error.map { TierError($0).code } == .volumeFull)
    #expect(try volume.space(at: "test.space").total == 1 << 20)
  }
}
