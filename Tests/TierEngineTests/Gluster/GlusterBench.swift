import Glibc
import Testing
import TierTestSupport

@testable import TierEngine

/// One replicated volume with two clients for a whole suite; each of its tests has a folder of its own there.
struct OnGlusterFS: SuiteTrait, TestScoping {
  @TaskLocal static var volume: GlusterVolume?

  func provideScope(
    for test: Test, testCase: Test.Case?, performing body: @Sendable () async throws -> Void
  ) async throws {
    let volume = try GlusterVolume(brickMiB: 256)
    defer { volume.close() }
    try volume.mount(.other)
    try await Self.$volume.withValue(volume, operation: body)
  }
}

extension Trait where Self == OnGlusterFS {
  static var onGlusterFS: Self { Self() }
}

/// The engine on a folder of a GlusterFS volume, and the same folder as another client sees it.
struct GlusterBench {
  let bench: Bench
  let other: String

  init(_ volume: GlusterVolume? = OnGlusterFS.volume, faults: FaultPlan = FaultPlan()) throws {
    let volume = try #require(volume)
    let name = "volume-\(UInt32.random(in: .min ... .max))"
    mkdir("\(volume.path)/\(name)", 0o755)
    other = "\(volume.otherPath)/\(name)"
    bench = try Bench(cache: "\(volume.path)/\(name)", faults: faults)
  }

  /// Written by an app and archived, proven.
  func archived(_ path: String, _ content: String) throws {
    bench.write(path, content)
    try bench.archive()
    #expect(try bench.row(path).state == .archived)
  }

  /// The old inode lingers until tierd's own descriptor, whose end the bricks hear of late, is closed there too.
  func release(_ path: String) throws -> ReleaseOutcome {
    let row = try bench.row(path)
    let outcome = try #require(bench.loop.release([row]).first)
    let hidden = bench.volume.hiddenPath(try #require(row.copy?.archiveID))
    try eventually("tierd's own descriptor is closed") {
      try bench.volume.files.status(of: hidden, at: "test") == nil
        || !bench.volume.files.isHeldOpen(hidden, at: "test")
    }
    bench.clock.advance(.seconds(10))
    try bench.loop.finishLingering()
    return outcome
  }

  /// Clients keep names and attributes for a second.
  func seenByOther(_ what: String, _ condition: () -> Bool) throws {
    try eventually(within: .seconds(10), what, condition)
  }

  func isSymlinkForOther(_ path: String) -> Bool {
    var status = stat()
    return lstat("\(other)/\(path)", &status) == 0 && status.st_mode & S_IFMT == S_IFLNK
  }
}
