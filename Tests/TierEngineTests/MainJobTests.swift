import Glibc
import Testing
import TierCore
import TierTestSupport

@testable import TierEngine

@Suite struct MainJobTests {
  @Test("archives, releases and restores", arguments: [true, false])
  func archivesReleasesAndRestores(renameFlags: Bool) throws {
    let bench = try Bench(renameFlags: renameFlags)
    bench.write("photos/a.jpg", "content of a")
    try bench.archive()
    #expect(try bench.row("photos/a.jpg").state == .archived)
    #expect(bench.onNAS("photos/a.jpg") == "content of a")

    let outcome = try bench.release("photos/a.jpg")
    #expect(bench.isSymlink("photos/a.jpg"), "\(outcome)")
    #expect(try bench.row("photos/a.jpg").state == .released)
    try bench.look()
    #expect(try bench.row("photos/a.jpg").state == .released)

    let request = try bench.restore("photos/a.jpg")
    #expect(request.failures == [] && request.files == 1)
    #expect(bench.read("photos/a.jpg") == "content of a")
    #expect(try bench.row("photos/a.jpg").state == .archived)
    try bench.look()
    #expect(try bench.row("photos/a.jpg").state == .archived)
    #expect(bench.leftovers() == [])
  }

  @Test("renames and deletions reach the target", arguments: [true, false])
  func renamesAndDeletionsReachTheTarget(renameFlags: Bool) throws {
    let bench = try Bench(renameFlags: renameFlags)
    bench.write("a/one", "1")
    bench.write("a/two", "2")
    try bench.archive()
    try bench.release("a/two")
    #expect(rename("\(bench.cache)/a", "\(bench.cache)/b") == 0)
    try bench.look()
    try bench.window()
    #expect(bench.onNAS("b/one") == "1")
    #expect(bench.onNAS("b/two") == "2")
    #expect(bench.onNAS("a/one") == nil)
    #expect(unlink("\(bench.cache)/b/one") == 0)
    try bench.look()
    try bench.window()
    #expect(bench.onNAS("b/one") == nil)
    let request = try bench.engine.undelete(Array("\(bench.cache)/b/one".utf8))
    try bench.window()
    #expect(request.current.failures == [])
    #expect(bench.read("b/one") == "1")
    #expect(bench.onNAS("b/one") == "1")
  }
}
