import Testing
import TierCore
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
}
