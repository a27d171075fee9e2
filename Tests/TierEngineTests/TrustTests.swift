import Glibc
import Testing
import TierCore
import TierTestSupport

@testable import TierEngine

/// Whom and what tierd believes.
@Suite struct TrustTests {
  @Test func identityOfAnotherNameIsNotBelievedWhenTheCatalogIsLost() throws {
    let bench = try Bench()
    bench.write("a", "content")
    try bench.archive()
    bench.write("b", "content")
    let files = bench.volume.files
    let attribute = bench.volume.identityAttribute
    let identity = try #require(try files.attribute(attribute, of: at("a"), at: "test"))
    try files.setAttribute(attribute, to: identity, of: at("b"), at: "test")
    #expect(unlink("\(bench.cache)/a") == 0)
    bench.write("a", "content")
    try files.setAttribute(attribute, to: identity, of: at("a"), at: "test")

    try bench.loseCatalog()
    try bench.archive()
    #expect(try bench.row("a").copy?.path == at("vol/a"))
    #expect(try bench.row("b").copy?.path == at("vol/b"))
    #expect(unlink("\(bench.cache)/b") == 0)
    try bench.look()
    try bench.window()
    #expect(bench.onNAS("a") == "content")
    #expect(bench.onNAS("b") == nil)
  }

  @Test(.enabled(if: Machine.isRoot, "only root can make files of somebody else"), arguments: [true, false])
  func linkThatNamesAnothersContentIsJustALink(isDeleted: Bool) throws {
    let bench = try Bench()
    bench.write("victim", "secret")
    #expect(chown("\(bench.cache)/victim", 1001, 1001) == 0)
    try bench.archive()
    try bench.release("victim")
    let text = try bench.volume.files.readLink(at("victim"), at: "test")
    try bench.volume.files.makeSymlink(at("thief"), to: text, at: "test")
    try bench.volume.files.setOwner(of: at("thief"), owner: 1002, group: 1002, at: "test")
    if isDeleted { #expect(unlink("\(bench.cache)/victim") == 0) }
    try bench.look()
    #expect(try bench.find("thief") == nil)
    if !isDeleted { #expect(try bench.restore("victim").files == 1) }
  }

  @Test(.enabled(if: Machine.isRoot, "only root can give a folder to somebody else"))
  func folderThatAnAppCouldChangeIsRefused() throws {
    let bench = try Bench()
    #expect(chown("\(bench.cache)/.tierd/tmp", 12_345, 12_345) == 0)
    let error = #expect(throws: TierError.self) { try bench.openVolume() }
    #expect(error?.code == .volumeUnavailable)
    #expect(error?.message.contains("isn't tierd's own") == true)
  }

  @Test func volumeWithoutItsMarkerSaysHowToGiveItBack() throws {
    let bench = try Bench()
    let marker = try #require(bench.read(".tierd/volume"))
    #expect(unlink("\(bench.cache)/.tierd/volume") == 0)
    let error = #expect(throws: TierError.self) { try bench.openVolume() }
    let line = marker.split(separator: "\n").first.map(String.init) ?? "?"
    #expect(error?.message.contains(line) == true)
    bench.write(".tierd/volume", line + "\n")
    #expect(try bench.openVolume().id == bench.volume.id)
  }

  @Test(.enabled(if: Machine.isRoot, "only root can mount"), arguments: ["tmpfs", "bind"])
  func whatAMountHidesIsNotDeleted(kind: String) throws {
    let bench = try Bench()
    bench.write("photos/a", "content")
    bench.write("elsewhere/b", "content")
    try bench.archive()
    let folder = "\(bench.cache)/photos"
    try #require(
      kind == "bind"
        ? mount("\(bench.cache)/elsewhere", folder, nil, UInt(MS_BIND), nil) == 0
        : mount("tmpfs", folder, "tmpfs", 0, nil) == 0)
    defer { umount2(folder, Int32(MNT_DETACH)) }
    bench.write("photos/other", "of another file system")
    try bench.look()
    #expect(try bench.find("photos/a") != nil)
    #expect(try bench.find("photos/other") == nil)
    #expect(try bench.catalog.pending(for: "nas", now: bench.clock.now).removals == 0)
    #expect(try bench.find("elsewhere/b") != nil)
    #expect(bench.volume.isStillThere())
  }

  /// As `umount -l` and a mount over the volume's root look to whoever holds the root open.
  @Test(.enabled(if: Machine.isRoot, "only root can mount"))
  func volumeThatAnotherMountCoversIsGone() throws {
    let bench = try Bench()
    #expect(bench.volume.isStillThere())
    try #require(mount("tmpfs", bench.cache, "tmpfs", 0, nil) == 0)
    #expect(!bench.volume.isStillThere())
    umount2(bench.cache, Int32(MNT_DETACH))
    #expect(bench.volume.isStillThere())
  }
}

extension Bench {
  /// As the volume's thread does after a doubt.
  @discardableResult
  func openVolume() throws -> Volume {
    try Volume.open(
      configuration.volumes[0], files: volume.files, commit: CommitLock(), catalog: catalog,
      clock: clock, policies: engine.context.policies, tuning: volume.tuning)
  }

  func loseCatalog() throws {
    for name in names(in: folder.path("state")) { unlink(folder.path("state/\(name)")) }
    try restart()
  }
}
