import Glibc
import Testing
import TierCore
import TierTestSupport

@testable import TierEngine

/// A released file lingers for a writer that had looked its name up before: nothing may take it away until then.
@Suite struct LingerTests {
  let bench: Bench
  let apps: World

  init() throws {
    bench = try Bench()
    apps = World(root: bench.cache)
    apps.create("file", "first")
    try bench.archive()
    _ = bench.loop.release([try bench.row("file")])
  }

  /// An app that looked the name up before the release, and opens what it found only now.
  private func lateWriter() throws -> Int32 {
    let hidden = bench.volume.hiddenPath(try #require(try bench.row("file").copy?.archiveID))
    let app = open("\(bench.cache)/\(hidden)", O_WRONLY)
    try #require(app >= 0)
    return app
  }

  private func linger() throws {
    bench.clock.advance(.seconds(10))
    try bench.loop.finishLingering()
    try bench.look()
  }

  @Test func lateWriteSurvivesThatTheStubIsRenamedAndRenewed() throws {
    let app = try lateWriter()
    apps.rename("file", "renamed")
    try bench.look()
    try bench.window()
    let link = try bench.volume.files.readLink(at("renamed"), at: "test")
    #expect(String(decoding: link, as: UTF8.self).contains("vol/renamed"))
    #expect(write(app, "later", 5) == 5)
    close(app)
    try linger()
    #expect(bench.read("renamed") == "later")
    #expect(bench.leftovers() == [])
  }

  @Test func lateWriteSurvivesThatACopyOfTheStubIsRestored() throws {
    let app = try lateWriter()
    apps.copy("file", "copy")
    try bench.look()
    let request = try bench.restore("copy")
    #expect(request.failures.count == 1 && request.failures[0].contains("try again"))
    #expect(write(app, "later", 5) == 5)
    close(app)
    try linger()
    #expect(bench.read("file") == "later")
    #expect(try bench.restore("copy").files == 1)
    #expect(bench.read("copy") == "first")
    #expect(bench.leftovers() == [])
  }

  @Test func fileWithTheCopyOfOneThatLingersIsNotReleased() throws {
    apps.copy("file", "copy")
    try bench.look()
    var row = try bench.row("copy")
    // What a restore after a crash leaves: two files that have one copy.
    apps.unlink("copy")
    apps.create("copy", "first")
    try bench.look()
    row = try bench.row("copy")
    row.state = .archived
    try bench.catalog.apply([.put(row)])
    let outcome = bench.loop.release([row])
    let reason = "it is being released or restored just now: try again in a few seconds"
    #expect(outcome == [.held(try #require(row.id), reason: reason)])
    try linger()
    #expect(bench.leftovers() == [])
  }
}
