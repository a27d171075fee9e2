import Glibc
import Testing
import TierCore
import TierGuard
import TierGuardSupport
import TierLinux
import TierTestSupport

/// Programs that copy, pack and look for holes, and names that change meanwhile: nobody takes a placeholder for content.
/// `docs/guard.md` is the table of it.
@Suite(.serialized, .timeLimit(.minutes(5))) struct ProgramTests {
  private static let size = 300_000

  /// Each copies `$1/cat` to `$2/cat`.
  private static let copies = [
    "cp \"$1/cat\" \"$2\"", "cp --sparse=always \"$1/cat\" \"$2\"", "cp --reflink=auto \"$1/cat\" \"$2\"",
    "cp -a \"$1/cat\" \"$2\"", "dd if=\"$1/cat\" of=\"$2/cat\" conv=sparse status=none",
    "tar -C \"$1\" -cf - cat | tar -C \"$2\" -xf -", "tar -C \"$1\" -cSf - cat | tar -C \"$2\" -xf -",
    "rsync -a \"$1/\" \"$2\"", "rsync -a --sparse --checksum \"$1/\" \"$2\"", "mv \"$1/cat\" \"$2\"",
  ]

  @Test(arguments: GuardBench.Kind.here) func copiesAreWhole(_ kind: GuardBench.Kind) throws {
    let bench = try GuardBench(kind)
    for number in Self.copies.indices {
      for folder in [bench.path("\(number)"), bench.directory.path("\(number)")] { mkdir(folder, 0o755) }
      try Placeholder.make(bench.path("\(number)/cat"), size: Self.size)
    }
    let (_, recaller) = try bench.protect(.wait)
    let apps = Self.copies.enumerated().map { number, script in
      App(script: script, bench.path("\(number)"), bench.directory.path("\(number)"))
    }
    try eventually("all of them waiting") {
      Set(recaller.requests.map(\.file.inode)).count == apps.count
    }
    recaller.behave(.restore)
    let content = Placeholder.content(of: "cat", size: Self.size)
    for (number, app) in apps.enumerated() {
      let result = try app.result()
      #expect(result.succeeded, "\(Self.copies[number]): \(result.errorText)")
      let copy = try? SmallFile.read(bench.directory.path("\(number)/cat"), limit: 1 << 20)
      let isWhole = copy == content
      #expect(isWhole, "\(Self.copies[number]): \(copy?.count ?? -1) bytes")
    }
    #expect(recaller.failures == [])
  }

  /// Within the file system, block by block: xfs and btrfs alone can.
  @Test(arguments: GuardBench.Kind.here.filter { [.xfs, .btrfs].contains($0) })
  func clonesAreWhole(_ kind: GuardBench.Kind) throws {
    let bench = try GuardBench(kind)
    try Placeholder.make(bench.path("cat"), size: Self.size)
    let (_, recaller) = try bench.protect(.wait)
    let app = App(script: "cp --reflink=always \"$1\" \"$1.copy\"; cat \"$1.copy\"", bench.path("cat"))
    try eventually("the request") { recaller.requests.count == 1 && !app.hasEnded }
    recaller.behave(.restore)
    try expect(app, "cat")
  }

  @Test(arguments: GuardBench.Kind.here) func noHoleIsFound(_ kind: GuardBench.Kind) throws {
    let bench = try GuardBench(kind)
    try Placeholder.make(bench.path("cat"), size: Self.size)
    let (_, recaller) = try bench.protect(.restore)
    let result = try App("seek", on: bench.path("cat")).result()
    #expect(result.succeeded && String(decoding: result.output, as: UTF8.self) == "\(Self.size) \(Self.size)")
    #expect(recaller.requests.count == 1)
  }

  @Test(arguments: GuardBench.Kind.here) func otherNamesAreTheSameFile(_ kind: GuardBench.Kind) throws {
    let bench = try GuardBench(kind)
    try Placeholder.make(bench.path("cat"), size: Self.size)
    let (_, recaller) = try bench.protect(.wait)
    try #require(link(bench.path("cat"), bench.path("dog")) == 0)
    let app = App(reading: bench.path("dog"))
    try eventually("the request") { recaller.requests.count == 1 && app.isBlocked }
    recaller.behave(.restore)
    try expect(app, "dog")
    try expect(App(reading: bench.path("cat")), "dog")
    #expect(recaller.requests.count == 1)
  }

  @Test(arguments: GuardBench.Kind.here) func aRenamedPlaceholderStaysOne(_ kind: GuardBench.Kind) throws {
    let bench = try GuardBench(kind)
    for name in ["early", "late"] { try Placeholder.make(bench.path(name), size: Self.size) }
    let (_, recaller) = try bench.protect(.wait)
    let early = App(reading: bench.path("early"))
    try eventually("the request") { recaller.requests.count == 1 && early.isBlocked }
    try #require(rename(bench.path("early"), bench.path("bird")) == 0)
    try #require(rename(bench.path("late"), bench.path("cow")) == 0)
    let late = App(reading: bench.path("cow"))
    try eventually("the second request") { recaller.requests.count == 2 && late.isBlocked }
    recaller.behave(.restore)
    // The test's recaller brings what belongs to the name of the moment.
    try expect(early, "bird")
    try expect(late, "cow")
  }

  @Test(arguments: GuardBench.Kind.here) func whoWaitsForADeletedFileGetsIt(_ kind: GuardBench.Kind) throws {
    let bench = try GuardBench(kind)
    for name in ["cat", "dog"] { try Placeholder.make(bench.path(name), size: Self.size) }
    let (_, recaller) = try bench.protect(.wait)
    let apps = [App(reading: bench.path("cat")), App(reading: bench.path("dog"))]
    try eventually("the requests") { recaller.requests.count == 2 && apps.allSatisfy(\.isBlocked) }
    try #require(unlink(bench.path("cat")) == 0)
    // Or another one takes its name.
    let replacing = App(script: "echo new > \"$1.new\"; mv \"$1.new\" \"$1\"", bench.path("dog"))
    try #require(try replacing.result().succeeded)
    recaller.behave(.restore)
    try expect(apps[0], "cat")
    try expect(apps[1], "dog")
    #expect(try App(reading: bench.path("dog")).result().output == Array("new\n".utf8))
    #expect(recaller.failures == [])
  }

  @Test(arguments: GuardBench.Kind.here) func openingADescriptorAgainWaits(_ kind: GuardBench.Kind) throws {
    let bench = try GuardBench(kind)
    try Placeholder.make(bench.path("cat"), size: Self.size)
    let (_, recaller) = try bench.protect(.wait)
    let app = App("reopened", on: bench.path("cat"))
    try eventually("the request") { recaller.requests.count == 1 && app.isBlocked }
    recaller.behave(.restore)
    try expect(app, "cat")
  }

  /// As containers see volumes.
  @Test(arguments: GuardBench.Kind.here, ["read-only", "overlay"])
  func otherMountsWait(_ kind: GuardBench.Kind, _ mount: String) throws {
    let bench = try GuardBench(kind)
    try Placeholder.make(bench.path("cat"), size: Self.size)
    let (_, recaller) = try bench.protect(.wait)
    for name in ["other", "merged"] { mkdir(bench.directory.path(name), 0o755) }
    let script =
      mount == "overlay"
      ? "mount -t overlay o -o lowerdir=\"$1:$2\" \"$3\"" : "mount --bind -o ro \"$1\" \"$3\""
    let app = App(
      "/usr/bin/unshare",
      [
        "-m", "/bin/sh", "-c", "\(script) && exec cat \"$3/cat\"", "app",
        bench.path, bench.directory.path("other"), bench.directory.path("merged"),
      ])
    try eventually("the request") { recaller.requests.count == 1 && app.isBlocked }
    recaller.behave(.restore)
    try expect(app, "cat")
    #expect(recaller.failures == [])
  }

  private func expect(_ app: App, _ name: String) throws {
    let result = try app.result()
    #expect(result.succeeded, "\(result.ending) \(result.errorText)")
    // Compared here: `#expect` would list the differences of two arrays, for hours.
    let isWhole = result.output == Placeholder.content(of: name, size: Self.size)
    let zeros = result.output.count { $0 == 0 }
    #expect(isWhole, "\(result.output.count) bytes, \(zeros) of them 0")
  }
}
