import Glibc
import Testing
import TierCore
import TierTestSupport

@testable import TierEngine

/// Another client of the volume, as another node or a pod has one: no event and no lease here knows of it.
@Suite(.enabled(if: GlusterVolume.obstacle == nil, "\(GlusterVolume.skipReason)"), .serialized, .onGlusterFS)
struct GlusterClientsTests {
  @Test func whatTheOtherClientDoesIsFoundByAScan() throws {
    let site = try GlusterBench()
    let bench = site.bench
    bench.write("folder/new", "first", in: site.other)
    try bench.archive()
    #expect(bench.onNAS("folder/new") == "first")
    bench.write("folder/new", "second, longer", in: site.other)
    try eventually("the change is seen here") { bench.read("folder/new") == "second, longer" }
    try bench.archive()
    #expect(bench.onNAS("folder/new") == "second, longer")
    #expect(rename("\(site.other)/folder/new", "\(site.other)/folder/renamed") == 0)
    try eventually("the rename is seen here") { bench.read("folder/new") == nil }
    try bench.archive()
    #expect(bench.onNAS("folder/new") == nil && bench.onNAS("folder/renamed") == "second, longer")
    #expect(unlink("\(site.other)/folder/renamed") == 0)
    try eventually("the deletion is seen here") { bench.read("folder/renamed") == nil }
    try bench.archive()
    #expect(bench.onNAS("folder/renamed") == nil)
    #expect(try bench.find("folder/renamed") == nil)
  }

  @Test func aStubIsAStubForBothAndComesBackForBoth() throws {
    let site = try GlusterBench()
    let bench = site.bench
    try site.archived("file", "content")
    #expect(bench.read("file", in: site.other) == "content")
    guard case .released = try site.release("file") else {
      Issue.record("not released: \(try bench.row("file"))")
      return
    }
    #expect(bench.isSymlink("file"))
    try site.seenByOther("the stub") { site.isSymlinkForOther("file") }
    #expect(bench.read("file", in: site.other) == nil)
    #expect(try bench.restore("file").files == 1)
    #expect(bench.read("file") == "content")
    try site.seenByOther("the file") { bench.read("file", in: site.other) == "content" }
    #expect(bench.leftovers() == [])
  }

  @Test("a file that the other client has open stays", arguments: [O_RDONLY, O_RDWR])
  func openElsewhere(flags: Int32) throws {
    let site = try GlusterBench()
    // Small files are read without being opened on a brick, and no open reaches one before its first I/O.
    let content = String(repeating: "content ", count: 20_000)
    try site.archived("file", content)
    let app = open("\(site.other)/file", flags)
    defer { close(app) }
    var byte = UInt8(ascii: "C")
    #expect(flags == O_RDONLY ? read(app, &byte, 1) == 1 : pwrite(app, &byte, 1, 0) == 1)
    let outcome = try site.bench.release("file")
    guard case .held = try #require(outcome.first) else {
      Issue.record("released: \(outcome)")
      return
    }
    let now = flags == O_RDONLY ? content : "C" + content.dropFirst()
    try eventually("its content stands there") { site.bench.read("file") == now }
  }

  @Test func anOpenAloneCountsWhereTheBricksHearOfIt() throws {
    let volume = try #require(OnGlusterFS.volume)
    for option in ["open-behind", "quick-read"] { try volume.set("performance.\(option)", to: "off") }
    defer {
      for option in ["open-behind", "quick-read"] { try? volume.set("performance.\(option)", to: "on") }
    }
    let site = try GlusterBench()
    try site.archived("file", "content")
    // A client takes its new options over a moment later.
    var app: Int32 = -1
    try eventually("an open counts") {
      if app >= 0 { close(app) }
      app = open("\(site.other)/file", O_RDONLY)
      return try site.bench.volume.files.isHeldOpen(at("file"), at: "test")
    }
    guard case .held = try #require(site.bench.loop.release([site.bench.row("file")]).first) else {
      Issue.record("released: \(try site.bench.row("file"))")
      return
    }
    close(app)
    try eventually("nobody has it open") { try !site.bench.volume.files.isHeldOpen(at("file"), at: "test") }
    guard case .released = try site.release("file") else {
      Issue.record("not released: \(try site.bench.row("file"))")
      return
    }
    #expect(site.bench.isSymlink("file"))
  }

  /// The last moment at which somebody can have come unnoticed, at each step of a release.
  @Test(
    "what the other client writes during a release is kept", arguments: ["isHeldOpen", "lease", "exchange"],
    [true, false])
  func lateWrite(before step: String, isClosed: Bool) throws {
    let faults = FaultPlan()
    let site = try GlusterBench(faults: faults)
    try site.archived("file", "content")
    var status = stat()
    // What this client knows of the file is a moment old.
    #expect(lstat("\(site.bench.cache)/file", &status) == 0)
    let app = open("\(site.other)/file", O_RDWR)
    faults.at(
      CallSite(site: "release.\(step)"),
      .before {
        #expect(pwrite(app, "written late", 12, 0) == 12)
        if isClosed { close(app) }
      })
    if isClosed {
      _ = try site.release("file")
    } else {
      _ = try site.bench.release("file")
      #expect(pwrite(app, "WRITTEN", 7, 0) == 7)
      close(app)
    }
    let content = isClosed ? "written late" : "WRITTEN late"
    try eventually("what was written stands at its name") { site.bench.read("file") == content }
    try site.bench.archive()
    #expect(site.bench.onNAS("file") == content)
    #expect(site.bench.leftovers() == [])
  }
}

extension CallSite {
  fileprivate init(site: String) {
    switch site {
    case "release.isHeldOpen": self = "release.isHeldOpen"
    case "release.lease": self = "release.lease"
    default: self = "release.exchange"
    }
  }
}
