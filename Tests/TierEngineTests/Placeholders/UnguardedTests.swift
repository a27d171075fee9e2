import Glibc
import Testing
import TierCore
import TierGuardSupport
import TierLinux
import TierTestSupport

@testable import TierEngine

/// What came about while no guard stood, or where a file and its row say different things: no hole is ever taken for
/// content, and nothing that is in one place only is freed.
@Suite(.serialized, .enabled(if: GuardBench.Kind.ext4.isAvailable)) struct UnguardedTests {
  private let text = String(repeating: "all work and no play ", count: 10_000)

  private func unmark(_ bench: GuardedBench, _ name: String) throws {
    let file = try bench.bench.volume.files.open(RelativePath(name)!, .read, at: "test.open")
    defer { file.close() }
    try file.removeAttribute(AttributeNames.identity, at: "test.unmark")
  }

  private func mark(_ bench: GuardedBench, _ name: String, _ state: IdentityState, _ id: ArchiveID) throws {
    let path = RelativePath(name)!
    let row = try bench.bench.row(name)
    let time = row.version.modified
    let copy = ArchivedCopy(
      archiveID: id, target: "nas", path: bench.bench.volume.targetPath(of: path), size: row.version.size,
      modified: time, hash: ContentHash([UInt8](repeating: 1, count: 32))!, archivedAt: Timestamp(seconds: 0),
      proof: .proven,
      metadata: FileMetadata(mode: 0o644, owner: 0, group: 0, modified: time, accessed: time))
    let record = IdentityRecord(state: state, epoch: Epoch(1), copy: copy)
    try bench.bench.volume.files.setAttribute(
      AttributeNames.identity, to: record.encoded, of: path, at: "test.mark")
  }

  @Test func aRenamedPlaceholderBecomesALinkToo() throws {
    let bench = try GuardedBench(.ext4)
    try bench.release("dir/a", text)
    bench.bench.leaveGuard()
    #expect(rename(bench.path("dir/a"), bench.path("b")) == 0)
    try bench.bench.restart(policy: Bench.policy, withGuard: false)
    try bench.bench.look()
    #expect(bench.bench.isSymlink("b"))
    #expect(try bench.bench.restore("b").files == 1)
    let isBack = bench.bench.read("b") == text
    #expect(isBack)
  }

  @Test func withoutItsRightsTheVolumeIsNotServed() throws {
    let faults = FaultPlan()
    let bench = try GuardedBench(.ext4, faults: faults)
    try bench.release("a", text)
    // What a tierd that isn't root gets for trusted.tierd.
    let next = faults.count(of: "volume.attribute.probe") + 1
    // At the second try, too; the other name goes in between.
    for occurrence in [next, next + 2] {
      faults.at("volume.attribute.probe", occurrence: occurrence, .fail(errno: EPERM))
    }
    let error = #expect(throws: TierError.self) { try bench.bench.restart(policy: Bench.policy) }
    #expect(error?.code == .volumeUnavailable && error?.message.contains("run tierd as root") == true)
  }

  @Test func aLostCatalogKeepsTheGuard() throws {
    let bench = try GuardedBench(.ext4)
    try bench.release("a", text)
    #expect(try bench.bench.volume.hasPlaceholders())
    #expect(bench.bench.names(in: bench.path(".tierd")).contains("placeholders"))
  }

  @Test func aFileThatSaysItIsElsewhereIsNeverArchived() throws {
    let bench = try GuardedBench(.ext4)
    bench.bench.write("a", text)
    try bench.bench.look()
    try mark(bench, "a", .released, .random())
    // As if this had been seen without a look at the mark.
    var row = try bench.bench.row("a")
    row.observe(try #require(try bench.bench.volume.files.status(of: RelativePath("a")!, at: "test.status")))
    try bench.bench.catalog.apply([.put(row)])
    bench.bench.clock.advance(.seconds(61))
    try bench.bench.window()
    #expect(bench.bench.onNAS("a") == nil)
    #expect(try bench.bench.row("a").heldReason?.contains("its content is on a target") == true)
  }

  /// As a backup brings it back.
  @Test func aPlaceholderThatCameBackIsOne() throws {
    let bench = try GuardedBench(.ext4)
    bench.bench.write("a", text)
    try bench.bench.look()
    #expect(try bench.serve(App(reading: bench.path("a"))).succeeded)
    try mark(bench, "a", .released, .random())
    try bench.bench.look()
    #expect(try bench.bench.row("a").state == .released)
    // It was found resident above, so the guard had stopped asking: it does again. Its copy isn't there.
    let result = try bench.serve(App(reading: bench.path("a")))
    #expect(!result.succeeded && result.output.isEmpty)
  }

  /// A crash in the midst of it, and a rename before anybody looked.
  @Test(arguments: [IdentityState.releasing, .restoring])
  func whatWasUnderWayIsFoundUnderAnotherName(_ state: IdentityState) throws {
    let bench = try GuardedBench(.ext4)
    bench.bench.write("a", text)
    try bench.bench.archive()
    if state == .restoring { try bench.bench.release("a") }
    let row = try bench.bench.row("a")
    let copy = try #require(row.copy)
    let file = try bench.bench.volume.files.open(RelativePath("a")!, .readWrite, at: "test.open")
    if state == .restoring { try file.writeAll(Array("all work".utf8), at: "test.write") }
    try Placeholder(volume: bench.bench.volume, copy: copy, file: file).mark(state, at: "test.mark")
    file.close()
    #expect(rename(bench.path("a"), bench.path("b")) == 0)
    try bench.bench.look()
    try bench.bench.look()
    let isThere = try bench.serve(App(reading: bench.path("b"))).output == Array(text.utf8)
    #expect(isThere)
    #expect(try bench.identity("b") == .archived)
  }

  @Test func anEmptyFileComesBack() throws {
    let bench = try GuardedBench(.ext4)
    bench.bench.write("a", "")
    try bench.bench.archive()
    try bench.bench.release("a")
    #expect(try bench.serve(App(reading: bench.path("a"))).succeeded)
  }

  @Test func aLostMarkIsWrittenAgain() throws {
    let bench = try GuardedBench(.ext4)
    try bench.release("a", text)
    try unmark(bench, "a")
    try bench.bench.look()
    #expect(try bench.identity("a") == .released)
    let isBack = try bench.serve(App(reading: bench.path("a"))).output == Array(text.utf8)
    #expect(isBack)
  }

  @Test func aPartThatWasWrittenWithoutTheMarkIsKept() throws {
    let bench = try GuardedBench(.ext4)
    try bench.release("a", text)
    try unmark(bench, "a")
    #expect(
      try App(script: "printf new | dd of=\"$1\" conv=notrunc status=none", bench.path("a")).result()
        .succeeded)
    try bench.bench.look()
    #expect(try bench.bench.row("a").heldReason?.contains("no guard stood") == true)
    let windows = try bench.bench.catalog.windows(of: "nas", limit: 10).count
    let result = try bench.serve(App(reading: bench.path("a")))
    #expect(!result.succeeded && result.output.isEmpty)
    #expect(try bench.bench.catalog.windows(of: "nas", limit: 10).count == windows)
    let isUnharmed = bench.bench.onNAS("a") == text && bench.bench.read("a")?.hasPrefix("new") == true
    #expect(isUnharmed)
    // A person wants what is in it now.
    try unmark(bench, "a")
    try bench.bench.look()
    #expect(try bench.bench.row("a").state == .resident)
  }

  @Test func aNewFileOfTheSameNumberIsNoStub() throws {
    let bench = try GuardedBench(.ext4)
    try bench.release("a", text)
    try unmark(bench, "a")
    let new = String(text.reversed())
    bench.bench.write("a", new)
    try bench.bench.look()
    #expect(try bench.bench.row("a").state == .resident)
    bench.bench.clock.advance(.seconds(61))
    try bench.bench.window()
    let isArchived = bench.bench.onNAS("a") == new
    #expect(isArchived)
  }

  @Test func whatTookItsNameWhileItLingeredIsNotItsOwn() throws {
    let bench = try GuardedBench(.ext4)
    bench.bench.write("a", text)
    try bench.bench.archive()
    #expect(try bench.bench.loop.release([bench.bench.row("a")]).count == 1)
    bench.bench.write("b", "new")
    #expect(rename(bench.path("b"), bench.path("a")) == 0)
    try bench.bench.look()
    bench.bench.clock.advance(.seconds(10))
    try bench.bench.loop.finishLingering()
    #expect(bench.bench.read("a") == "new")
    let row = try bench.bench.row("a")
    #expect(row.state == .resident && row.version.inode == UInt64(bench.status("a").st_ino))
    bench.bench.clock.advance(.seconds(61))
    try bench.bench.window()
    #expect(bench.bench.onNAS("a") == "new")
  }

  @Test func manyOpenersOfLingeringFilesHoldNobodyUp() throws {
    let bench = try GuardedBench(.ext4)
    let names = (0..<12).map { "f\($0)" }
    for name in names { bench.bench.write(name, text) }
    bench.bench.write("other", text)
    try bench.bench.archive()
    for name in names { #expect(try bench.bench.loop.release([bench.bench.row(name)]).count == 1) }
    // More than the guard has readers; and the volume's own thread is busy elsewhere.
    let apps = names.map { App(reading: bench.path($0)) }
    try eventually("they wait") { apps.allSatisfy(\.isBlocked) }
    let other = App(reading: bench.path("other"))
    try eventually(within: .seconds(10), "another file's reader") { other.hasEnded }
    for app in apps {
      let isWhole = try bench.serve(app).output == Array(text.utf8)
      #expect(isWhole)
    }
    for name in names { #expect(try bench.bench.row(name).state == .archived) }
  }

  @Test func roomIsMadeInTurns() throws {
    let bench = try GuardedBench(.ext4)
    let names = (0..<20).map { "f\($0)" }
    for name in names { bench.bench.write(name, text) }
    try bench.bench.archive()
    bench.bench.clock.advance(.seconds(100_000))
    let loop = try #require(bench.bench.loop)
    loop.wantRoom(Int64(text.utf8.count * 10))
    try loop.makeRoom()
    #expect(try names.count { try bench.bench.row($0).state == .released } == 8)
    #expect(loop.isMakingRoom)
    try loop.makeRoom()
    // Asked for again while it lingers: nothing more goes.
    loop.wantRoom(Int64(text.utf8.count * 10))
    try loop.makeRoom()
    let released = try names.count { try bench.bench.row($0).state == .released }
    #expect((10...16).contains(released) && !loop.isMakingRoom)
  }

  @Test func whoeverOpensComesBeforeAPersonsMany() throws {
    let bench = try GuardedBench(.ext4)
    func order(_ number: Int64, isRecall: Bool) -> RestoreOrder {
      RestoreOrder(file: FileID(number), bytes: 1, cause: "test", isRecall: isRecall) { _ in }
    }
    bench.bench.windows.restore((1...3).map { order($0, isRecall: false) })
    bench.bench.windows.restore([order(4, isRecall: true)])
    #expect(bench.bench.windows.takeRestores().map(\.file) == [FileID(4)])
    #expect(bench.bench.windows.takeRestores().map(\.file) == [1, 2, 3].map { FileID($0) })
  }
}
