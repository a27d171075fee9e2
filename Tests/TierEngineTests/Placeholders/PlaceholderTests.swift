import Glibc
import Testing
import TierCore
import TierGuardSupport
import TierLinux
import TierTestSupport

@testable import TierEngine

@Suite(.serialized) struct PlaceholderTests {
  private let text = String(repeating: "all work and no play ", count: 10_000)

  @Test(arguments: GuardBench.Kind.holdingPlaceholders) func aReleasedFileKeepsItsFace(
    _ kind: GuardBench.Kind
  ) throws {
    let bench = try GuardedBench(kind)
    bench.bench.write("a", text)
    chmod(bench.path("a"), 0o640)
    try bench.bench.archive()
    let before = bench.status("a")
    try bench.bench.release("a")
    let after = bench.status("a")
    #expect(after.st_ino == before.st_ino)
    #expect(after.st_size == before.st_size)
    #expect(after.st_mode == before.st_mode)
    #expect(after.st_mtim.tv_sec == before.st_mtim.tv_sec && after.st_mtim.tv_nsec == before.st_mtim.tv_nsec)
    #expect(before.st_blocks >= before.st_size / 512)
    #expect(after.st_blocks <= 16)
    #expect(try bench.identity("a") == .released)
    #expect(try bench.bench.row("a").state == .released)
    #expect(bench.bench.leftovers().isEmpty)
  }

  @Test(arguments: GuardBench.Kind.holdingPlaceholders) func whoOpensItGetsItsContent(_ kind: GuardBench.Kind)
    throws
  {
    let bench = try GuardedBench(kind)
    try bench.release("dir/a", text)
    let before = bench.status("dir/a")
    let app = App(reading: bench.path("dir/a"))
    let result = try bench.serve(app)
    #expect(result.succeeded && result.output == Array(text.utf8))
    let row = try bench.bench.row("dir/a")
    #expect(row.state == .archived)
    #expect(try bench.identity("dir/a") == .archived)
    let after = bench.status("dir/a")
    #expect(after.st_ino == before.st_ino && after.st_mtim.tv_sec == before.st_mtim.tv_sec)
    let windows = try bench.bench.catalog.windows(of: "nas", limit: 10).count
    // It is clean, and there: nobody asks the target again.
    #expect(try bench.serve(App(reading: bench.path("dir/a"))).output == Array(text.utf8))
    #expect(try bench.bench.catalog.windows(of: "nas", limit: 10).count == windows)
    // It stays as long as its policy says; then it goes again, for free.
    #expect(row.pinnedUntil ?? .distantPast > bench.bench.clock.now)
    bench.bench.clock.advance(.seconds(90_000))
    try bench.bench.release("dir/a")
    #expect(try bench.identity("dir/a") == .released)
  }

  /// A look in the middle of a rename takes the file for deleted, and the next one finds it again: as another row.
  @Test func whoWaitsIsServedThoughTheRowBecameAnother() throws {
    let bench = try GuardedBench(.ext4)
    try bench.release("a", text)
    let app = App(reading: bench.path("a"))
    try eventually(within: .seconds(10), "the recall") { bench.bench.windows.hasWaitingOrders }
    let row = try bench.bench.row("a")
    try bench.bench.catalog.apply(bench.bench.volume.forgetting(row))
    try bench.bench.look()
    #expect(try bench.bench.row("a").id != row.id)
    #expect(try bench.serve(app).output == Array(text.utf8))
  }

  @Test func whoWaitsForWhatIsDeletedLearnsItAtOnce() throws {
    let bench = try GuardedBench(.ext4)
    try bench.release("a", text)
    let app = App(reading: bench.path("a"))
    try eventually(within: .seconds(10), "the recall") { bench.bench.windows.hasWaitingOrders }
    unlink(bench.path("a"))
    try bench.bench.look()
    #expect(try !bench.serve(app, atMost: 10).succeeded)
  }

  @Test(arguments: GuardBench.Kind.holdingPlaceholders) func whatIsWrittenToItIsArchivedAnew(
    _ kind: GuardBench.Kind
  ) throws {
    let bench = try GuardedBench(kind)
    try bench.release("a", text)
    #expect(try bench.serve(App("append", on: bench.path("a"))).succeeded)
    let isWritten = bench.bench.read("a") == text + "more"
    #expect(isWritten)
    try bench.bench.look()
    #expect(try bench.bench.row("a").state == .resident)
    bench.bench.clock.advance(.seconds(61))
    try bench.bench.window()
    let isArchived = bench.bench.onNAS("a") == text + "more"
    #expect(isArchived)
  }

  @Test(arguments: GuardBench.Kind.holdingPlaceholders) func aWrongCopyIsAnError(_ kind: GuardBench.Kind)
    throws
  {
    let bench = try GuardedBench(kind)
    try bench.release("a", text)
    let before = bench.status("a")
    bench.bench.write("vol/a", String(text.dropLast() + "X"), in: bench.bench.nas)
    let result = try bench.serve(App(reading: bench.path("a")))
    #expect(!result.succeeded && result.output.isEmpty)
    #expect(try bench.identity("a") == .released)
    let after = bench.status("a")
    #expect(after.st_size == before.st_size && after.st_mtim.tv_sec == before.st_mtim.tv_sec)
    #expect(after.st_blocks <= 16)
    #expect(try bench.bench.row("a").heldReason?.contains("differs") == true)
  }

  @Test(arguments: GuardBench.Kind.holdingPlaceholders) func whoComesDuringTheReleaseCallsItOff(
    _ kind: GuardBench.Kind
  )
    throws
  {
    let bench = try GuardedBench(kind)
    bench.bench.write("a", text)
    try bench.bench.archive()
    #expect(try bench.bench.loop.release([bench.bench.row("a")]).count == 1)
    #expect(try bench.identity("a") == .releasing)
    let windows = try bench.bench.catalog.windows(of: "nas", limit: 10).count
    #expect(try bench.serve(App(reading: bench.path("a"))).output == Array(text.utf8))
    #expect(try bench.bench.catalog.windows(of: "nas", limit: 10).count == windows)
    #expect(try bench.identity("a") == .archived)
    #expect(try bench.bench.row("a").state == .archived)
  }

  @Test(arguments: GuardBench.Kind.holdingPlaceholders) func aNewStartServesWhoWaited(_ kind: GuardBench.Kind)
    throws
  {
    let bench = try GuardedBench(kind)
    try bench.release("a", text)
    let app = App(reading: bench.path("a"))
    try eventually("the opener waits") { app.isBlocked }
    try bench.bench.restart(policy: GuardedBench.policy)
    #expect(try bench.serve(app).output == Array(text.utf8))
  }

  @Test func withoutAGuardPlaceholdersBecomeLinks() throws {
    let bench = try GuardedBench(.ext4)
    try bench.release("dir/a", text)
    try bench.bench.restart(policy: Bench.policy, withGuard: false)
    #expect(bench.bench.isSymlink("dir/a"))
    #expect(bench.bench.leftovers().isEmpty)
    #expect(try bench.bench.row("dir/a").state == .released)
    #expect(try bench.bench.restore("dir/a").files == 1)
    let isBack = bench.bench.read("dir/a") == text
    #expect(isBack)
  }

  @Test func aLostCopyWakesTheTargetOnce() throws {
    let bench = try GuardedBench(.ext4)
    try bench.release("a", text)
    unlink("\(bench.bench.nas)/vol/a")
    #expect(try !bench.serve(App(reading: bench.path("a"))).succeeded)
    let windows = try bench.bench.catalog.windows(of: "nas", limit: 10).count
    #expect(try !bench.serve(App(reading: bench.path("a"))).succeeded)
    #expect(try bench.bench.catalog.windows(of: "nas", limit: 10).count == windows)
    // A person brings it back, and asks.
    bench.bench.write("vol/a", text, in: bench.bench.nas)
    #expect(try bench.bench.restore("a").files == 1)
    let isBack = try bench.serve(App(reading: bench.path("a"))).output == Array(text.utf8)
    #expect(isBack)
  }

  @Test func theColdestMakesRoom() throws {
    let bench = try GuardedBench(.ext4)
    for name in ["cold", "warm", "pinned"] { bench.bench.write(name, text) }
    try bench.bench.archive()
    _ = try bench.bench.engine.pin(.paths([Array(bench.path("pinned").utf8)]), until: .distantFuture)
    bench.bench.clock.advance(.seconds(10))
    try bench.bench.loop.reconciler.used(RelativePath("warm")!)
    bench.bench.clock.advance(.seconds(100_000))
    bench.bench.loop.wantRoom(1)
    try bench.bench.loop.makeRoom()
    bench.bench.clock.advance(.seconds(10))
    try bench.bench.loop.finishLingering()
    #expect(try bench.identity("cold") == .released)
    #expect(try bench.identity("pinned") == .archived)
  }

  @Test(.enabled(if: GuardBench.Kind.fuse.isAvailable)) func whatCantFreeBlocksKeepsLinks() throws {
    let bench = try GuardedBench(.fuse)
    #expect(bench.bench.volume.missingGuard?.contains("can't free a file's blocks") == true)
    bench.bench.write("a", text)
    try bench.bench.archive()
    #expect(
      try bench.bench.release("a") == [
        .held(
          try #require(try bench.bench.row("a").id), reason: try #require(bench.bench.volume.missingGuard))
      ])
    let isThere = bench.bench.read("a") == text
    #expect(isThere)
  }

  /// As where no guard had stood for a while: this process is let through.
  @Test func whatWasWrittenUnseenIsNotOverwritten() throws {
    let bench = try GuardedBench(.ext4)
    try bench.release("a", text)
    bench.bench.write("a", "new, and nowhere else")
    #expect(try !bench.serve(App(reading: bench.path("a"))).succeeded)
    #expect(bench.bench.read("a") == "new, and nowhere else")
    #expect(try bench.bench.row("a").heldReason?.contains("no guard stood") == true)
    try bench.bench.restart(policy: Bench.policy, withGuard: false)
    // Not read here: without a client the guard holds this process as well.
    #expect(bench.status("a").st_size == 21 && !bench.bench.isSymlink("a"))
  }
}
