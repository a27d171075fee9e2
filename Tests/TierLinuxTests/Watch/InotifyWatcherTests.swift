import Glibc
import Testing
import TierCore
import TierTestSupport

@testable import TierLinux

@Suite struct InotifyWatcherTests {
  @Test func tellsWritesUsesAndChangesOfFiles() throws {
    let fixture = try WatchFixture()
    try fixture.makeDirectories("docs")
    try fixture.start()
    try fixture.shell("echo one > docs/a")
    #expect(try fixture.settle() == [.changed("docs/a"), .written("docs/a"), .changed("docs/a")])
    try fixture.shell("exec < docs/a")
    #expect(try fixture.settle() == [.used("docs/a")])
    try fixture.shell("chmod 600 docs/a; mv docs/a b; rm b; ls docs; ln -s nowhere docs/link")
    #expect(
      try fixture.settle() == [.changed("docs/a"), .changed("b"), .changed("docs/link")])
    try fixture.expectEveryDirectoryIsHeard()
  }

  /// Bytes, not text: no name is special, none confuses another.
  @Test func keepsStrangeNamesApart() throws {
    let fixture = try WatchFixture()
    try fixture.start()
    let names = [
      #"\xff\xfe"#, #"a\x0ab"#, "-rf", #"gr\xc3\xbcn"#, #"gru\xcc\x88n"#, "Case", "case", "...", " ", "*",
      String(repeating: "a", count: 255),
    ].map { RelativePath(escaped: $0)! }
    for name in names {
      try fixture.files.makeDirectory(name, mode: 0o755, at: "test.mkdir")
      try fixture.make(name.appending(FileName([0xC3, 0x0A])!))
    }
    let hints = try fixture.settle()
    for name in names { #expect(hints.contains(.subtree(name))) }
    try fixture.expectEveryDirectoryIsHeard()
    try fixture.files.rename(
      at("Case"), to: RelativePath(escaped: #"CASE\x01"#)!, .replace, at: "test.rename")
    try fixture.settle()
    try fixture.expectEveryDirectoryIsHeard()
  }

  @Test func leavesItsOwnFolderAlone() throws {
    let fixture = try WatchFixture()
    try fixture.makeDirectories(".tierd/tmp")
    try fixture.makeDirectories("sub/.tierd")
    try fixture.start()
    try fixture.shell(
      "echo x > .tierd/tmp/1; mkdir .tierd/more; mv .tierd/tmp/1 restored; touch sub/.tierd/f")
    #expect(try fixture.settle() == [.changed("restored"), .changed("sub/.tierd/f")])
    // Into it is out of the volume, out of it is new.
    try fixture.shell("mkdir -p d/e")
    try fixture.settle()
    try fixture.shell("mv d .tierd/d && mv .tierd/tmp t")
    #expect(try fixture.settle() == [.changed("d"), .subtree("t")])
    try fixture.expectEveryDirectoryIsHeard()
  }

  @Test func directoriesAreRepathedByOneRename() throws {
    let fixture = try WatchFixture(inMemory: true)
    try fixture.shell("for i in $(seq 300); do mkdir -p album/$i/x; done; mkdir box")
    let tap = SourceTap()
    let tapped = try WatchFixture(at: fixture.path, source: tap)
    try tapped.start()
    let adds = tap.adds
    try tapped.shell("mv album box/2026")
    #expect(try tapped.settle() == [.changed("album"), .subtree("box/2026")])
    #expect(tap.adds - adds <= 2, "a rename looks at one directory, not at 600")
    try tapped.expectEveryDirectoryIsHeard()
  }

  @Test func treesMoveInAndOut() throws {
    let fixture = try WatchFixture()
    let outside = try TemporaryDirectory()
    try fixture.makeDirectories("keep/a/b")
    try fixture.start()
    try fixture.shell("mv keep \(outside.path)/out")
    #expect(try fixture.settle() == [.changed("keep")])
    #expect(fixture.watcher.coverage.watchedDirectories == 1)
    try fixture.shell("mkdir \(outside.path)/out/c; touch \(outside.path)/out/c/f; mv \(outside.path)/out in")
    #expect(try fixture.settle() == [.subtree("in")])
    #expect(fixture.watcher.coverage.watchedDirectories == 5)
    try fixture.expectEveryDirectoryIsHeard()
  }

  @Test func exchangedDirectoriesAreBothFollowed() throws {
    let fixture = try WatchFixture()
    try fixture.makeDirectories("one/a")
    try fixture.makeDirectories("two/b/c")
    try fixture.start()
    try fixture.files.rename(at("one"), to: at("two/b"), .exchange, at: "test.exchange")
    let hints = try fixture.settle()
    #expect(hints.contains(.subtree("one")) && hints.contains(.subtree("two/b")))
    try fixture.expectEveryDirectoryIsHeard()
    try fixture.files.rename(at("one"), to: at("two"), .exchange, at: "test.exchange")
    try fixture.settle()
    try fixture.expectEveryDirectoryIsHeard()
  }

  /// One inode number, one name, another directory each time.
  @Test func deletedAndMadeAgainIsWatchedAgain() throws {
    let fixture = try WatchFixture()
    try fixture.start()
    try fixture.shell("for i in $(seq 200); do mkdir -p d/e; touch d/e/f; rm -r d; done; mkdir -p d/e")
    try fixture.settle()
    #expect(fixture.watcher.coverage.watchedDirectories == 3)
    try fixture.expectEveryDirectoryIsHeard()
  }

  @Test func everyFileOfACopiedTreeIsCovered() throws {
    let source = try TemporaryDirectory()
    let fixture = try WatchFixture()
    try fixture.start()
    let make = "for i in $(seq 40); do mkdir -p $0/$i/a/b/c && touch $0/$i/f $0/$i/a/f $0/$i/a/b/c/f; done"
    try fixture.shell(make.replacing("$0", with: source.path))
    var hints: [Hint] = []
    let isDone = Flag()
    let path = fixture.path
    let thread = OwnedThread(name: "copier") {
      for round in 0..<5 {
        _ = try? ChildProcess.run(
          ChildCommand("/bin/cp", ["-r", source.path, "\(path)/copy\(round)"]), deadline: .seconds(60))
        _ = try? ChildProcess.run(
          ChildCommand(
            "/bin/mkdir",
            ["-p", "\(path)/deep\(round)/" + Array(repeating: "d", count: 50).joined(separator: "/")]),
          deadline: .seconds(60))
      }
      isDone.raise()
    }
    while !isDone.isRaised { hints += try fixture.watcher.wait(atMost: .milliseconds(5)) }
    thread.join()
    hints += try fixture.settle()
    #expect(fixture.watcher.coverage.overflows == 0)
    for directory in try fixture.directories() {
      for entry in try fixture.files.list(directory, at: "test.list") {
        let path = directory.appending(entry.name)
        if !hints.contains(where: { $0.covers(path) }) { Issue.record("\(path) isn't covered by any hint") }
      }
    }
    try fixture.expectEveryDirectoryIsHeard()
  }

  @Test func tenThousandDirectoriesReportTheirProgress() throws {
    let fixture = try WatchFixture(inMemory: true)
    try fixture.shell("seq 100 | xargs -I{} sh -c 'mkdir {}; cd {}; seq 99 | xargs mkdir'")
    let progress = try fixture.start()
    #expect(progress.count > 20 && progress == progress.sorted() && progress.last == 10_001)
    #expect(fixture.watcher.coverage == WatchCoverage(watchedDirectories: 10_001))
    #expect(try fixture.watcher.wait(atMost: .zero) == [], "the walk's own traces are no hints")
    try fixture.shell("touch 7/7/f; rm -r 8; mv 9 nine")
    let hints = try fixture.settle()
    #expect(
      hints.contains(.changed("7/7/f")) && hints.contains(.changed("8")) && hints.contains(.subtree("nine")))
    #expect(fixture.watcher.coverage.watchedDirectories == 9_901)
  }

  @Test func aLongWalkRestsAndLosesNothing() throws {
    let fixture = try WatchFixture(pace: WatchPace(batch: 10, unhurriedAfter: 50, restShare: 1))
    try fixture.shell("for i in $(seq 30); do mkdir -p $i/a/b/c; done")
    var made: [RelativePath] = []
    try fixture.watcher.start { count in
      let path = at("new-\(count)/x")
      if made.last != path, (try? fixture.makeDirectories(path)) != nil { made.append(path) }
    }
    let hints = try fixture.settle()
    #expect(made.count > 5)
    for path in made { #expect(hints.contains { $0.covers(path) }, "\(path)") }
    try fixture.expectEveryDirectoryIsHeard()
  }

  /// More than one read of the queue, most of it not worth a hint.
  @Test func anEmptyAnswerMeansThatAllWasTold() throws {
    let fixture = try WatchFixture(inMemory: true)
    let name = String(repeating: "n", count: 200)
    try fixture.shell("mkdir \(name)")
    try fixture.start()
    try fixture.shell(
      "for i in $(seq 1500); do ls \(name); : > \(name)-$((i % 2)); done > /dev/null; touch last")
    var hints: [Hint] = []
    while case let fresh = try fixture.watcher.wait(atMost: .zero), !fresh.isEmpty { hints += fresh }
    #expect(hints.last == .changed("last"))
  }

  @Test func wakeEndsTheWaitFromAnyThread() throws {
    let fixture = try WatchFixture()
    try fixture.start()
    fixture.watcher.wake()
    #expect(try fixture.watcher.wait(atMost: .seconds(60)) == [], "the next wait")
    let watcher = fixture.watcher
    let thread = OwnedThread(name: "waker") { watcher.wake() }
    #expect(try fixture.watcher.wait(atMost: .seconds(60)) == [])
    thread.join()
    fixture.watcher.stop()
    fixture.watcher.wake()
    #expect(try fixture.watcher.wait(atMost: .seconds(60)) == [], "stopped")
    #expect(fixture.watcher.coverage == WatchCoverage())
  }

  @Test func aMissingVolumeIsRefused() throws {
    let watcher = try InotifyWatcher(path: "/nowhere/at all")
    let error = #expect(throws: TierError.self) { try watcher.start { _ in } }
    #expect(error?.code == .volumeUnavailable && error?.path == "/nowhere/at all")
  }

  @Test func stoppingLeavesNoDescriptorOpen() throws {
    let fixture = try WatchFixture()
    try fixture.makeDirectories("a/b")
    let before = try openDescriptors(mentioning: "inotify")
    for _ in 0..<50 {
      try fixture.start()
      fixture.watcher.stop()
    }
    // Other tests run beside this one.
    #expect(try openDescriptors(mentioning: "inotify") < before + 40)
  }

  private func openDescriptors(mentioning word: String) throws -> Int {
    let descriptors = try LinuxFileSystem(root: "/proc/self/fd")
    return try descriptors.list(.root, at: "test.list").count { entry in
      let link = try? descriptors.readLink(RelativePath(entry.name), at: "test.link")
      return String(decoding: link ?? [], as: UTF8.self).contains(word)
    }
  }
}
