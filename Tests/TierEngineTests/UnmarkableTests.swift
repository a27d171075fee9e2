import Glibc
import Testing
import TierCore
import TierLinux
import TierTestSupport

@testable import TierEngine

/// Files whose own attributes leave no room for tierd's, on a real file system.
@Suite(.enabled(if: LoopFileSystem.Kind.ext4.isAvailable, "no loop devices or no mkfs.ext4"))
struct UnmarkableTests {
  private let disk: LoopFileSystem
  private let bench: Bench

  init() throws {
    disk = try LoopFileSystem(.ext4, mebibytes: 256)
    bench = try Bench(in: try TemporaryDirectory(in: disk.path))
  }

  @Test func isArchivedOnceAndKept() throws {
    try write("full", attributeBytes: 3900)
    try bench.archive()
    #expect(bench.onNAS("full") == "content")
    #expect(try bench.row("full").state == .archived)
    for _ in 0..<48 {
      bench.clock.advance(.seconds(3600))
      try bench.look()
      try bench.turn()
    }
    #expect(try bench.windowCount() == 1)
    let request = try bench.orderRelease()
    #expect(request.failures.first?.contains("no room for the attribute") == true, "\(request)")
    #expect(bench.read("full") == "content")
    let why = try bench.engine.explain(Array("\(bench.cache)/full".utf8))
    #expect(why.sentences.contains { $0.contains("no room for the attribute") }, "\(why.sentences)")
  }

  @Test func goesOnceThereIsRoom() throws {
    bench.faults.at("archive.mark", .fail(errno: ENOSPC))
    try write("file", attributeBytes: 100)
    try bench.archive()
    #expect(try bench.row("file").state == .archived)
    try bench.release("file")
    #expect(bench.isSymlink("file"))
    #expect(try bench.restore("file").failures == [])
    try bench.look()
    #expect(try bench.row("file").state == .archived)
    #expect(try bench.windowCount() == 2)
  }

  @Test func comesBackWhereItsPathGrewWhileItWasReleased() throws {
    try write("short", attributeBytes: 3400)
    try bench.archive()
    try bench.release("short")
    #expect(bench.isSymlink("short"))
    let folder = (0..<4).map { _ in String(repeating: "d", count: 120) }.joined(separator: "/")
    try bench.volume.files.makeParents(of: at(folder + "/x"))
    #expect(rename("\(bench.cache)/short", "\(bench.cache)/\(folder)/long") == 0)
    try bench.look()
    try bench.window()
    #expect(bench.onNAS(folder + "/long") == "content")
    #expect(try bench.restore(folder + "/long").failures == [])
    #expect(bench.read(folder + "/long") == "content")
    let file = try bench.volume.files.open(at(folder + "/long"), .read, at: "test")
    #expect(try file.attributes(at: "test").map(\.value.count) == [3400])
    try bench.look()
    #expect(try bench.row(folder + "/long").state == .archived)
    #expect(bench.leftovers() == [])
  }

  private func write(_ name: String, attributeBytes: Int) throws {
    bench.write(name, "content")
    let file = try bench.volume.files.open(at(name), .readWrite, at: "test")
    try file.setAttribute("user.large", to: [UInt8](repeating: 1, count: attributeBytes), at: "test")
  }
}
