import Glibc
import Logging
import Synchronization
import Testing
import TierCore
import TierTestSupport

@testable import TierEngine

/// What a turn, a batch and a memory may take.
@Suite struct BoundsTests {
  @Test func fullVolumeIsEmptiedTurnByTurn() throws {
    let bench = try Bench()
    for index in 0..<70 { bench.write("\(index)", "content") }
    try bench.archive()
    let releaser = try Releaser(
      volume: bench.volume, links: bench.engine.context.linkStubs, log: Logger(label: "test"), wake: {})
    let full = FileSystemSpace(total: 1 << 30, available: 0)
    #expect(try releaser.releaseDue(space: full) == .more)
    #expect(try bench.catalog.totals(of: bench.volume.id).released.files == 64)
    #expect(try releaser.releaseDue(space: full) == .more)
    #expect(try bench.catalog.totals(of: bench.volume.id).released.files == 70)
    #expect(try releaser.releaseDue(space: full) == .stuck)
    #expect(try releaser.releaseDue(space: FileSystemSpace(total: 100, available: 50)) == .done)
  }

  @Test func ownUsesAreForgotten() {
    var uses = OwnUses()
    for second in 0..<100_000 {
      let now = Duration.seconds(second)
      uses.note(RelativePath("\(second)")!, until: now + .seconds(30), now: now)
    }
    #expect(uses.count <= 8192)
    #expect(uses.holds(RelativePath("99999")!, now: .seconds(100_000)))
    #expect(!uses.holds(RelativePath("99000")!, now: .seconds(100_000)))
  }

  /// Each of two files fits by itself, but not both: room is promised once only.
  @Test(.enabled(if: LoopFileSystem.Kind.tmpfs.isAvailable, "only root can mount"))
  func restoresOfOneBatchShareWhatRoomThereIs() throws {
    let disk = try LoopFileSystem(.tmpfs, mebibytes: 32)
    let bench = try Bench(
      tuning: EngineTuning(reserve: 4 << 20, roomPatience: .zero), in: TemporaryDirectory(in: disk.path))
    let content = String(repeating: "content ", count: 1 << 17)
    for name in ["a", "b"] { bench.write(name, content) }
    try bench.archive()
    for name in ["a", "b"] { try bench.release(name) }
    // 1 MiB each; with the reserve, room for one and a half.
    let free = try bench.volume.files.space(at: "test").available
    let filler = open("\(disk.path)/filler", O_CREAT | O_WRONLY, 0o600)
    #expect(posix_fallocate(filler, 0, Int(free - (4 << 20) - (3 << 19))) == 0)
    close(filler)
    let both = [UInt8]("\(bench.cache)/a".utf8), other = [UInt8]("\(bench.cache)/b".utf8)
    let request = try bench.engine.restore(.paths([both, other]), pinUntil: nil)
    try bench.window()
    #expect(request.current.failures.count == 1)
    #expect(request.current.failures.first?.contains("MiB free, too little for 1 MiB") == true)
    #expect(["a", "b"].map(bench.isSymlink).sorted { !$0 && $1 } == [false, true])
    unlink("\(disk.path)/filler")
  }

  /// Nothing waits for an answer that nobody will give.
  @Test func ordersThatCameTooLateAreAnswered() throws {
    let bench = try Bench()
    bench.write("file", "content")
    try bench.archive()
    try bench.release("file")
    let (volume, window) = (bench.engine.context.volumeServices[0], bench.windows)
    volume.stop()
    window.stop()
    try volume.run()
    try window.run()
    let paths = FileSelection.paths([Array("\(bench.cache)/file".utf8)])
    let restore = try bench.engine.restore(paths, pinUntil: nil)
    #expect(restore.current.ended != nil)
    #expect(restore.current.failures.first?.contains("tierd is stopping") == true)
    let settled = Mutex<TierError?>(nil)
    volume.settleNow { error in settled.withLock { $0 = error } }
    #expect(settled.withLock { $0 } == .stopping)
  }
}
