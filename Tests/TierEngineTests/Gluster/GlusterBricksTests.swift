import Glibc
import Testing
import TierCore
import TierTestSupport

@testable import TierEngine

/// Bricks that are away: what looks deleted may be there still.
@Suite(.enabled(if: GlusterVolume.obstacle == nil, "\(GlusterVolume.skipReason)"), .serialized)
struct GlusterBricksTests {
  @Test func deletionsWaitForTheReplicasOtherBrick() throws {
    let volume = try GlusterVolume(brickMiB: 128)
    defer { volume.close() }
    let site = try GlusterBench(volume)
    let bench = site.bench
    try site.archived("deleted", "content")
    try site.archived("kept", "content")
    try volume.killBrick(1)
    #expect(try bench.volume.blindSpot()?.first?.contains("127.1.1.1:/run/bricks/1/brick") == true)
    #expect(unlink("\(bench.cache)/deleted") == 0)
    bench.write("new", "written with one brick")
    try bench.archive()
    #expect(bench.onNAS("new") == "written with one brick")
    #expect(bench.onNAS("deleted") == "content", "whether it is gone, the other brick must say")
    // Neither brick's own times are the file's.
    #expect(try bench.row("kept").state == .archived)
    guard case .released = try site.release("kept") else {
      Issue.record("not released: \(try bench.row("kept"))")
      return
    }
    let restored = try bench.restore("kept")
    #expect(restored.files == 1, "\(restored)")
    try volume.startBricks()
    try bench.archive()
    #expect(bench.onNAS("deleted") == nil)
    #expect(bench.onNAS("kept") == "content")
  }

  @Test func aDistributedVolumeIsServedOnlyWhole() throws {
    let volume = try GlusterVolume(.distribute, brickMiB: 128)
    defer { volume.close() }
    let site = try GlusterBench(volume)
    let bench = site.bench
    let names = (0..<20).map { "folder/file \($0)" }
    for name in names { bench.write(name, "content of \(name)") }
    try bench.archive()
    _ = bench.loop.release(try names.prefix(10).map { try bench.row($0) })
    bench.clock.advance(.seconds(10))
    try bench.loop.finishLingering()
    try volume.killBrick(2)
    try eventually("some files are out of sight") { bench.names(in: "\(bench.cache)/folder").count < 20 }
    try bench.look()
    try bench.look()
    #expect(bench.volume.absence()?.message.contains("127.1.1.1:/run/bricks/2/brick") == true)
    #expect(throws: TierError.self, "a start finds out, too") { try bench.restart() }
    try volume.startBricks()
    try bench.restart()
    try bench.archive()
    for name in names {
      #expect(bench.onNAS(name) == "content of \(name)")
      #expect(try bench.find(name) != nil)
    }
    #expect(try bench.catalog.removals(at: .root, in: bench.volume.id, after: nil, limit: 10).isEmpty)
  }
}
