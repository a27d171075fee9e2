import Glibc
import Synchronization
import Testing
import TierAPI
import TierCore
import TierLinux
import TierTestSupport

/// The real programs on a GlusterFS volume whose parts fail, while apps work through a client of their own.
@Suite(
  .enabled(
    if: Site.obstacle == nil && GlusterVolume.obstacle == nil,
    "\(Site.obstacle ?? GlusterVolume.skipReason)"), .serialized)
struct GlusterTests {
  static let policy = """
    name: tree
    volume: vol
    path: tree
    archive: { after: 1s, within: 1d }
    release: { after: never, keepBelow: 0 }
    """

  @Test func nothingIsLostWithABrickNorWithTheClient() throws {
    let volume = try GlusterVolume()
    let site = try Site(.nfs, policies: [Self.policy], cache: .gluster(volume))
    defer { site.close() }
    try volume.mount(.other)
    try site.start()
    let files = try LinuxFileSystem(root: volume.otherPath)

    // No event tells tierd of these.
    let first = MixedTree(seed: 4, files: 50, largest: 32 << 20, below: "tree/first")
    for file in first.files { try first.write(file, at: file.path, in: files) }
    let answer = try flush(site, "tree/first") { try volume.killBrick(1) }
    #expect(answer.status == 0, "\(answer)")
    try expectCopies(site, of: "tree")
    let status: StatusReport = try site.daemon.report("status")
    #expect(try #require(status.volumes.first).problems.first?.contains("can't be reached") == true)
    #expect(site.daemon.log.contains { $0.contains("bricks can't be reached") })
    try volume.startBricks()

    let second = MixedTree(seed: 5, files: 50, largest: 32 << 20, below: "tree/second")
    for file in second.files { try second.write(file, at: file.path, in: files) }
    let copies = try TreePicture(of: site.copies)
    let cutOff = try flush(site, "tree/second") { try volume.killClient(.tierd) }
    #expect(cutOff.status != 0 && cutOff.errors.contains("mount it again"), "\(cutOff)")
    try expectThatItWaits(site, copies)

    try volume.detach(.tierd)
    try volume.mount(.tierd)
    try eventually(within: .seconds(60), "the volume is served again") {
      // A command wakes whoever waits for the mount.
      _ = try site.daemon.tierctl("flush")
      return try site.volume().problems.isEmpty && site.volume().scan.state == .idle
    }
    try #require(try site.daemon.tierctl("flush", "--wait").status == 0)
    try expectCopies(site, of: "tree")
    #expect(try site.daemon.tierctl("fsck").status == 0)
    #expect(site.daemon.log.contains { $0.contains("ENOTCONN") })
  }

  /// Runs `fault` when the window has brought the first file of the folder to the NAS.
  private func flush(_ site: Site, _ path: String, fault: () throws -> Void) throws
    -> (status: Int32, output: String, errors: String)
  {
    let answer = Mutex<(status: Int32, output: String, errors: String)?>(nil)
    let daemon = site.daemon
    let place = "\(site.cache)/\(path)"
    let thread = OwnedThread(name: "flush") {
      let result = try? daemon.tierctl("flush", "--wait", place)
      answer.withLock { $0 = result ?? (-1, "", "not run") }
    }
    defer { thread.join() }
    let staged = site.nas.nfsFolder + "/.tierd/tmp"
    try eventually("the window is at work") {
      let names = (try? LinuxFileSystem(root: staged).list(.root, at: "test.staged")) ?? []
      return !names.isEmpty || answer.withLock { $0 != nil }
    }
    #expect(answer.withLock { $0 == nil }, "the window was over too soon")
    try fault()
    thread.join()
    return try #require(answer.withLock { $0 })
  }

  private func expectCopies(_ site: Site, of path: RelativePath) throws {
    let files = try TreePicture(of: site.cache).below(path).of(kind: "f")
    var expected = files
    expected.entries = [:]
    for (local, entry) in files.entries {
      let place = TargetLayout.place(of: path.appending(local), in: FileName("vol")!)
      expected.entries[place.relative(to: RelativePath("vol").appending(path))!] = entry
    }
    let copies = try TreePicture(of: site.copies).below(path).of(kind: "f")
    #expect(copies.differences(from: expected, in: [.content, .owner]).prefix(20) == [])
  }

  /// It says what is wrong, and nothing that is on the NAS goes.
  private func expectThatItWaits(_ site: Site, _ copies: TreePicture) throws {
    try eventually("status tells") {
      try site.volume().problems.contains { $0.contains("mount it again") && $0.contains("ENOTCONN") }
    }
    let doctor = try site.daemon.tierctl("doctor")
    #expect(doctor.status != 0 && doctor.output.contains("mount it again"), "\(doctor)")
    let now = try TreePicture(of: site.copies)
    let gone = copies.entries.keys.filter { now[$0] == nil }
    #expect(gone.isEmpty, "\(gone)")
  }
}
