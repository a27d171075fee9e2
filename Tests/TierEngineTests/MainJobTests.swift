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

  /// What was released seconds ago needs no window to come back, and no second archive.
  @Test(arguments: [true, false])
  func takenBackFileIsArchivedAndPinned(renameFlags: Bool) throws {
    let bench = try Bench(renameFlags: renameFlags)
    bench.write("file", "content")
    try bench.archive()
    _ = bench.loop.release([try bench.row("file")])
    #expect(bench.isSymlink("file"))
    let until = bench.clock.now + .seconds(86_400)
    #expect(try bench.loop.takeBack(try #require(bench.row("file").id), pinUntil: until))
    #expect(bench.read("file") == "content")
    #expect(try bench.row("file").state == .archived)
    #expect(try bench.row("file").pinnedUntil == until)
    try bench.look()
    #expect(try bench.row("file").state == .archived)
    #expect(try bench.catalog.pending(for: "nas", now: .distantFuture).dueFiles == 0)
    #expect(bench.leftovers() == [])
  }

  @Test func wholeFolderIsUndeleted() throws {
    let bench = try Bench()
    for number in 0..<600 { bench.write("many/\(number)", "content \(number)") }
    try bench.archive()
    #expect(rename("\(bench.cache)/many", bench.folder.path("away")) == 0)
    try bench.look()
    let request = try bench.engine.undelete(Array("\(bench.cache)/many".utf8))
    try bench.window()
    #expect(request.current.files == 600)
    #expect(bench.read("many/0") == "content 0" && bench.read("many/599") == "content 599")
  }

  /// The former target's copy is no earlier version of the new one's, and goes when nothing needs it.
  @Test func filesMoveToTheTargetThatTheirPolicyNamesNow() throws {
    let bench = try Bench()
    bench.write("file", "content")
    bench.write("released", "more content")
    try bench.archive()
    try bench.release("released")
    var policy = Bench.policy
    policy.target = "second"
    try bench.restart(policy: policy)
    bench.write("file", "new content")
    try bench.look()
    bench.clock.advance(.seconds(61))
    let second = bench.engine.context.windowServices[1]
    try second.window(cause: "test")
    #expect(second.condition.lastError == nil)
    #expect(bench.read("second/vol/file", in: bench.folder.path) == "new content")
    #expect(bench.onNAS("file") == "content")
    try bench.window()
    #expect(bench.onNAS("file") == nil)
    #expect(try bench.restore("released").failures == [])
    #expect(bench.read("released") == "more content")
  }

  /// A Synology's previews go with the last file of a folder; an app's files in a folder of that name don't.
  @Test("a copy from a folder named @eaDir outlives its neighbours", arguments: [true, false])
  func copyFromAFolderNamedAsPreviews(isRenamed: Bool) throws {
    let bench = try Bench()
    bench.write("album/a", "a")
    bench.write("album/@eaDir/b", "b")
    try bench.archive()
    try bench.release("album/@eaDir/b")
    if isRenamed {
      #expect(rename("\(bench.cache)/album/a", "\(bench.cache)/a") == 0)
    } else {
      #expect(unlink("\(bench.cache)/album/a") == 0)
    }
    try bench.look()
    try bench.window()
    #expect(try bench.restore("album/@eaDir/b").failures == [])
    #expect(bench.read("album/@eaDir/b") == "b")
  }
}
