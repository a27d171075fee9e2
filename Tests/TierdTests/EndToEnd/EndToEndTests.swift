import Testing
import TierAPI
import TierCore
import TierLinux
import TierTestSupport

/// The main job as people have it: the real programs, real events, a real server.
@Suite(.enabled(if: Site.obstacle == nil, "\(Site.obstacle ?? "")"), .serialized)
struct EndToEndTests {
  static let policies = [
    // A day to wait: only what comes with a shorter one opens a window.
    """
    name: tree
    volume: vol
    path: tree
    archive: { after: 1s, within: 1d }
    release: { after: never, keepBelow: 0 }
    """,
    """
    name: kept
    volume: vol
    path: kept
    exclude: [excluded/]
    archive: { after: 1s, within: 1d }
    release: { after: never, keepBelow: 0 }
    """,
    "name: young\nvolume: vol\npath: young\narchive: { after: 1d }\n",
    "name: urgent\nvolume: vol\npath: urgent\narchive: { after: 1s, within: 1s }\n",
  ]

  @Test("2,000 mixed files go in one window and come back as they were", arguments: Transport.allCases)
  func mainJob(over transport: Transport) throws {
    let site = try Site(transport, policies: Self.policies)
    defer { site.close() }
    try run(site, MixedTree(seed: 1, files: 2000, largest: 64 << 20, below: "tree"))
  }

  @Test(
    "the same on GlusterFS", .enabled(if: GlusterVolume.obstacle == nil, "\(GlusterVolume.skipReason)"))
  func mainJobOnGlusterFS() throws {
    let site = try Site(.nfs, policies: Self.policies, cache: .gluster(try GlusterVolume()))
    defer { site.close() }
    try run(site, MixedTree(seed: 3, files: 120, largest: 16 << 20, below: "tree"))
  }

  /// rsync forwards names in pieces of 2 KiB; a stub's text and identity hold the copy's path, and not every path fits.
  @Test("Files with paths up to the kernel's limit go and come back", arguments: Transport.allCases)
  func longPaths(over transport: Transport) throws {
    let site = try Site(transport, policies: Self.policies)
    defer { site.close() }
    let volume = try LinuxFileSystem(root: site.cache)
    let paths = [300, 1000, 2040, 2060, 3000, 3900, 4060].map { RelativePath(longPath($0))! }
    for path in paths { try volume.put(path, "content at \(path.bytes.count)") }
    try site.start()
    try site.start(.seconds(10))
    let flush = try site.tierctl("flush", "--wait", on: "tree")
    #expect(flush.status == 0, "\(flush.errors)")
    #expect(try site.files(below: "tree").allSatisfy { $0.value.state == .archived })

    try site.start(.seconds(200))
    #expect(try site.daemon.tierctl("verify", site.cache).status == 0)
    let release = try site.tierctl("release", on: "tree")
    #expect(release.status == 2 && release.errors.contains("or a longer path"), "\(release)")
    try eventually("nothing lingers") {
      try site.files(below: "tree").filter { $0.value.state == .released }.count == 5
    }
    #expect(try site.tierctl("restore", on: "tree").status == 0)
    for path in paths { #expect(try volume.text(of: path) == "content at \(path.bytes.count)") }
    #expect(try site.daemon.tierctl("fsck").status == 0)
  }

  /// Below `tree`, of this many bytes.
  private func longPath(_ bytes: Int) -> String {
    var path = "tree/\(bytes)"
    while path.utf8.count + 202 < bytes { path += "/" + String(repeating: "d", count: 200) }
    return path + "/" + String(repeating: "f", count: bytes - path.utf8.count - 1)
  }

  private func run(_ site: Site, _ tree: MixedTree) throws {
    let apps = try Apps(tree, in: site.cache)
    try apps.writeWhileNobodyWatches()
    try site.start()
    try apps.write()
    let ineligible = try Ineligible(in: site.cache)
    try site.awaitNoticed(try TreePicture(of: site.cache).of(kind: "f"))
    try apps.changeTheirMinds()
    let before = try TreePicture(of: site.cache)
    #expect(before.below("tree").of(kind: "f").entries.count == tree.files.count)
    try site.awaitNoticed(before.of(kind: "f"))

    try archive(site, tree, ineligible)
    try compareCopies(site, before, ineligible)
    try ineligible.expectSentences(from: site)
    // Only a window that is two minutes younger than a copy can tell that it is on the server's disk.
    try site.start(.seconds(150))
    try release(site, before)
    try refuseRelease(site, before)
    try restore(site, before, tree)
  }

  /// One file with a short deadline opens the window, and everything goes along.
  private func archive(_ site: Site, _ tree: MixedTree, _ ineligible: Ineligible) throws {
    #expect(try site.windows().isEmpty)
    try LinuxFileSystem(root: site.cache).put("urgent/file", "now")
    try eventually(within: .seconds(120), "the window has closed") {
      try site.windows().first?.closed != nil
    }
    let windows = try site.windows()
    let window = try #require(windows.first)
    #expect(windows.count == 1, "\(windows)")
    #expect(window.cause.contains("archive.within") && window.error == nil, "\(window)")
    #expect(window.archivedFiles == tree.files.count + 1 + ineligible.archived.count, "\(window)")
    #expect(window.failures == ineligible.attempted.count, "\(window)")
  }

  /// Plain files under their own names, and nothing else.
  private func compareCopies(_ site: Site, _ before: TreePicture, _ ineligible: Ineligible) throws {
    let copies = try TreePicture(of: site.copies)
    #expect(Set(copies.entries.values.map(\.kind)) == ["f", "d"])
    var expected = before.of(kind: "f")
    expected.entries = [:]
    for (path, entry) in before.of(kind: "f").entries
    where path.isWithin("tree") || ineligible.archived.contains(path) {
      // Their own names, but for the one that a Synology has its own folders under.
      let place = TargetLayout.place(of: path, in: FileName("vol")!)
      expected.entries[place.relative(to: "vol")!] = entry
    }
    for path in expected.entries.keys { site.transport.change(&expected.entries[path]!) }
    var found = copies.of(kind: "f")
    #expect(found.entries.removeValue(forKey: "urgent/file") != nil)
    let differences = found.differences(from: expected, in: [.content, .mode, .owner, .modified])
    #expect(differences.prefix(20) == [])
  }

  private func release(_ site: Site, _ before: TreePicture) throws {
    let verify = try site.daemon.tierctl("verify", site.cache)
    #expect(verify.status == 0, "\(verify.errors)")
    let used = try site.usedBytes()
    let release = try site.tierctl("release", on: "tree")
    #expect(release.status == 0, "\(release.errors)")

    // A stub of an empty file would save nothing.
    var files = before.below("tree").of(kind: "f")
    files.entries = files.entries.filter { $0.value.size > 0 }
    let stubs = try TreePicture(of: site.cache).below("tree").of(kind: "l")
    #expect(stubs.differences(from: files, in: [.owner, .modified]).prefix(20) == [])
    // A file that lingers is not released yet, and its blocks aren't free.
    let sizes = before.of(kind: "f").entries.mapValues(\.size).filter {
      $0.key.isWithin("tree") && $0.value > 0
    }
    try eventually("nothing lingers") {
      let listed = try site.files(below: "tree")
      return listed.filter { $0.value.state == .released && $0.value.allocatedBytes == 0 }
        .mapValues(\.sizeBytes) == sizes
    }
    // Stubs with long names take a block.
    let freed = files.entries.values.reduce(0) { $0 + $1.allocated } * 9 / 10
    #expect(try site.usedBytes() < used - freed)
  }

  /// What can't go stays byte for byte, and the command says so.
  private func refuseRelease(_ site: Site, _ before: TreePicture) throws {
    let release = try site.tierctl("release", on: "kept")
    #expect(release.status != 0)
    #expect(release.errors.contains("open-for-reading: a process has it open"), "\(release.errors)")
    #expect(release.errors.contains("open-for-writing: it isn't archived yet"), "\(release.errors)")
    let now = try TreePicture(of: site.cache)
    for folder: RelativePath in ["kept", "young", "nobodys"] {
      #expect(now.below(folder).differences(from: before.below(folder)) == [])
    }
  }

  private func restore(_ site: Site, _ before: TreePicture, _ tree: MixedTree) throws {
    let restore = try site.tierctl("restore", on: "tree")
    #expect(restore.status == 0, "\(restore.errors)")
    var after = try TreePicture(of: site.cache)
    for path: RelativePath in ["urgent", "urgent/file"] { after.entries[path] = nil }
    #expect(after.differences(from: before).prefix(20) == [])
    for file in tree.files where file.isSparse {
      #expect(after[file.path]!.allocated <= file.size / 4, "\(file.path) has lost its holes")
    }
    // What came back is archived still: there is nothing to do.
    let windows = try site.windows().count
    let flush = try site.tierctl("flush", "--wait", on: "tree")
    #expect(flush.status == 0 && flush.errors.contains("nothing was pending"), "\(flush)")
    #expect(try site.windows().count == windows)
    #expect(try site.daemon.tierctl("fsck").status == 0)
  }
}

extension Transport {
  /// What it can't keep of a copy; the manifest and the catalog have it.
  fileprivate func change(_ entry: inout TreePicture.Entry) {
    switch self {
    case .nfs:
      // Seconds are unsigned, of 32 bits.
      if entry.modified.hasPrefix("-") { entry.modified = "0.0000000000" }
      if Double(entry.modified)! > 0xFFFF_FFFF { entry.modified = "4294967295.0000000000" }
    case .rsync:
      // The server's own user must be able to read it.
      entry.mode |= 0o400
    }
  }
}

extension LinuxFileSystem {
  fileprivate func text(of path: RelativePath) throws -> String {
    let file = try open(path, .read, at: "test.text")
    defer { file.close() }
    var bytes = [UInt8](repeating: 0, count: 100)
    let count = try bytes.withUnsafeMutableBytes { try file.read(into: $0, offset: 0, at: "test.text") }
    return String(decoding: bytes[..<count], as: UTF8.self)
  }
}
