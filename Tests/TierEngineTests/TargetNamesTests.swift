import Glibc
import Testing
import TierCore
import TierTargets
import TierTestSupport

@testable import TierEngine

/// Each copy has its file's name on the target, whatever apps did meanwhile; none is left there that nobody knows.
@Suite struct TargetNamesTests {
  @Test("a copy that two stubs share follows the one that keeps it", arguments: ["left", "right"])
  func sharedCopyFollowsTheStubThatKeepsIt(restored: String) throws {
    let bench = try Bench()
    let apps = World(root: bench.cache)
    apps.create("file", "shared")
    try bench.archive()
    try bench.release("file")
    apps.rename("file", "left")
    apps.copy("left", "right")
    try bench.look()
    #expect(try bench.restore(restored).files == 1)
    let kept = restored == "left" ? "right" : "left"
    #expect(try bench.row("left").copy?.archiveID != bench.row("right").copy?.archiveID)
    #expect(bench.onNAS(kept) == "shared" && bench.onNAS("file") == nil)

    apps.create("file", "the next of that name")
    try bench.archive()
    #expect(bench.onNAS("file") == "the next of that name")
    #expect(bench.onNAS("left") == "shared" && bench.onNAS("right") == "shared")
    #expect(try Verdict.problems(of: bench, apps) == [])
  }

  @Test("a copy that two files share goes when both are archived anew at once", arguments: [true, false])
  func sharedCopyGoesWhenBothAreArchivedAnew(originalFirst: Bool) throws {
    let bench = try Bench()
    let apps = World(root: bench.cache)
    // The order in which they are archived is that of their directories.
    let (first, second) = ("a/file", "b/file")
    apps.create("a/other", "first directory")
    try bench.look()
    let (original, copied) = originalFirst ? (first, second) : (second, first)
    apps.create(original, "shared")
    try bench.archive()
    try bench.release(original)
    apps.copy(original, copied)
    try bench.look()
    for path in [original, copied] {
      apps.unlink(path)
      apps.create(path, "new content of \(path)")
    }
    try bench.archive()
    let removals = try bench.catalog.removals(at: .root, in: bench.volume.id, after: nil, limit: 9)
    #expect(removals.compactMap(\.trashPath?.components.count) == [6], "it isn't moved about in the trash")
    #expect(try bench.row(first).state == .archived && bench.row(second).state == .archived)
    #expect(try Verdict.targetDifferences(of: bench) == [])
    #expect(try Verdict.problems(of: bench, apps) == [])
  }

  @Test func sharedCopyGoesWhenBothStubsAreReplacedByLinks() throws {
    let bench = try Bench()
    let apps = World(root: bench.cache)
    apps.create("one", "shared")
    try bench.archive()
    try bench.release("one")
    apps.copy("one", "two")
    try bench.look()
    for path in ["one", "two"] {
      apps.unlink(path)
      apps.symlink(path, to: "elsewhere")
    }
    try bench.look()
    #expect(try bench.catalog.removals(at: .root, in: bench.volume.id, after: nil, limit: 9).count == 1)
    try bench.window()
    #expect(try Verdict.targetDifferences(of: bench) == [])
    #expect(try Verdict.problems(of: bench, apps) == [])
  }

  @Test func undeletedFileDoesNotHideTheOneThatHadItsNameSince() throws {
    let bench = try Bench()
    let apps = World(root: bench.cache)
    apps.create("file", "the first")
    try bench.archive()
    apps.unlink("file")
    try bench.look()
    try bench.window()
    apps.create("file", "the second")
    try bench.archive()
    // Not noticed yet when the first is wanted back.
    apps.unlink("file")
    _ = try bench.engine.undelete(Array("\(bench.cache)/file".utf8))
    try bench.window()
    #expect(bench.read("file") == "the first" && bench.onNAS("file") == "the first")
    let removals = try bench.catalog.removals(at: .root, in: bench.volume.id, after: nil, limit: 9)
    #expect(removals.map(\.copy.size) == [Int64("the second".utf8.count)])
    #expect(try Verdict.targetDifferences(of: bench) == [])
  }

  // MARK: Copies in each other's way

  @Test func copyThatCouldNotLeaveItsNameIsNotTakenForSomebodyElses() throws {
    let bench = try Bench()
    let apps = World(root: bench.cache)
    apps.create("log", "the first")
    try bench.archive()
    try bench.release("log")
    apps.rename("log", "log.1")
    apps.create("log", "the second")
    try bench.look()
    bench.clock.advance(.seconds(61))
    // Neither its new name nor a place to wait, in both rounds.
    let before = bench.targetFaults.count(of: "directory.rename")
    for number in 1...4 {
      bench.targetFaults.at("directory.rename", occurrence: before + number, .fail(errno: EACCES))
    }
    try bench.window()
    #expect(bench.onNAS("log") == "the second" && bench.onNAS("log.1") == "the first")
    #expect(try Verdict.targetDifferences(of: bench) == [])
    #expect(try Verdict.problems(of: bench, apps) == [])
  }

  @Test(.enabled(if: NASStandIn.isAvailable, Comment(rawValue: NASStandIn.skipReason)))
  func renamedFileKeepsItsCopyWhereTheTargetCannotRename() throws {
    let nas = try NASStandIn(diskMiB: 128)
    defer { nas.close() }
    let folder = try TemporaryDirectory()
    let bench = try Bench(in: folder, target: (try nas.rsyncTarget(in: folder), nas.rsyncFolder))
    let apps = World(root: bench.cache)
    apps.create("log", "the first")
    try bench.comeToRest()
    try bench.release("log")
    for number in 1...2 {
      apps.rename("log", "log.\(number)")
      apps.create("log", "the next, number \(number)")
      try bench.look()
      bench.clock.advance(.seconds(700))
      #expect(try bench.window() == nil)
      bench.clock.advance(.seconds(700))
      #expect(try bench.window() == nil)
      try bench.release("log")
    }
    #expect(try Verdict.targetDifferences(of: bench) == [])
    for (path, content) in [("log.1", "the first"), ("log.2", "the next, number 1")] {
      #expect(try bench.restore(path).failures == [])
      #expect(bench.read(path) == content)
    }
    #expect(try bench.restore("log").failures == [])
    #expect(bench.read("log") == "the next, number 2")
  }

  // MARK: Windows that end early, and what comes in between

  @Test func copyThatMadeWayForOneThatNeverCameIsFoundAgain() throws {
    let bench = try Bench()
    let apps = World(root: bench.cache)
    apps.create("file", "shared")
    try bench.archive()
    try bench.release("file")
    apps.copy("file", "copy")
    try bench.look()
    apps.unlink("file")
    apps.create("file", "the next")
    try bench.look()
    bench.clock.advance(.seconds(61))
    // The first rename is the older copy's into the trash.
    let before = bench.targetFaults.count(of: "directory.rename")
    bench.targetFaults.at("directory.rename", occurrence: before + 2, .fail(errno: EIO))
    #expect(try bench.window() != nil)
    #expect(bench.onNAS("file") == nil)
    #expect(try bench.restore("copy").failures == [])
    #expect(bench.read("copy") == "shared")
    #expect(try Verdict.targetDifferences(of: bench) == [])
    #expect(try Verdict.problems(of: bench, apps) == [])
  }

  @Test func fileThatIsUndeletedWhileItsCopyGoesToTheTrashComesBack() throws {
    let bench = try Bench()
    bench.write("file", "content")
    try bench.archive()
    unlink("\(bench.cache)/file")
    try bench.look()
    let (engine, path) = (bench.engine, Array("\(bench.cache)/file".utf8))
    bench.targetFaults.at(
      "directory.rename", occurrence: bench.targetFaults.count(of: "directory.rename") + 1,
      .after { _ = try engine.undelete(path) })
    #expect(try bench.window() == nil)
    #expect(bench.targetFaults.closureError == nil)
    #expect(bench.read("file") == "content" && bench.onNAS("file") == "content")
    #expect(try Verdict.targetDifferences(of: bench) == [])
  }

  @Test func trashWhoseEmptyingIsCutOffIsEmptiedByTheNextWindow() throws {
    let bench = try Bench()
    for name in ["one", "two", "three"] { bench.write(name, name) }
    try bench.archive()
    for name in ["one", "two", "three"] { unlink("\(bench.cache)/\(name)") }
    try bench.look()
    try bench.window()
    bench.clock.advance(.seconds(100_000))
    try bench.look()
    bench.targetFaults.at(
      "directory.remove", occurrence: bench.targetFaults.count(of: "directory.remove") + 2, .fail(errno: EIO))
    #expect(try bench.window() != nil)
    #expect(bench.walk("\(bench.nas)/.tierd/trash").count == 2)
    // Not one of those whose copies are half gone can be undeleted.
    #expect(try bench.catalog.removals(at: .root, in: bench.volume.id, after: nil, limit: 10) == [])
    try bench.restart()
    try bench.look()
    #expect(try bench.window() == nil)
    #expect(bench.walk("\(bench.nas)/.tierd/trash").isEmpty)
  }

  @Test func fileWhoseCopyIsBeingDestroyedIsNotUndeleted() throws {
    let bench = try Bench()
    bench.write("file", "content")
    try bench.archive()
    unlink("\(bench.cache)/file")
    try bench.look()
    try bench.window()
    bench.clock.advance(.seconds(100_000))
    try bench.look()
    let (engine, path) = (bench.engine, Array("\(bench.cache)/file".utf8))
    bench.targetFaults.at(
      "directory.remove", occurrence: bench.targetFaults.count(of: "directory.remove") + 1,
      .before { _ = try engine.undelete(path) })
    try bench.window()
    #expect(bench.targetFaults.closureError == nil)
    #expect(try bench.find("file") == nil && !bench.exists("file"))
    #expect(try Verdict.targetDifferences(of: bench) == [])
  }
}

extension NASStandIn {
  fileprivate func rsyncTarget(in folder: TemporaryDirectory) throws -> RsyncTarget {
    let secret = folder.path("secret")
    let file = open(secret, O_WRONLY | O_CREAT, 0o600)
    _ = Glibc.write(file, rsyncPassword, rsyncPassword.utf8.count)
    Glibc.close(file)
    let transport = Configuration.Rsync.Transport.daemon(port: 873, module: rsyncModule, secretsFile: secret)
    return RsyncTarget(
      name: "nas", settings: Configuration.Rsync(host: address, user: rsyncUser, transport: transport),
      timeout: .seconds(10), scratchDirectory: folder.path("rsync"), memory: .none)
  }
}
