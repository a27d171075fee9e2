import Glibc
import Testing
import TierCore
import TierGuard
import TierGuardSupport
import TierLinux
import TierTestSupport

/// After the machine's restart: what was guarded is guarded again before tierd is there.
@Suite(.serialized, .timeLimit(.minutes(2)), .enabled(if: GuardBench.Kind.ext4.isAvailable))
struct MemoryTests {
  private static let bounds = GuardBounds(patience: .seconds(60), absence: .seconds(2))

  private func start(_ bench: GuardBench) throws -> App {
    mkdir(bench.directory.path("memory"), 0o700)
    let app = App(
      script: "STATE_DIRECTORY=\"$1\" exec \"$2\" \"$3\"", bench.directory.path("memory"),
      GuardBench.program("tier-guard"), bench.socket)
    try eventually("the guard") { bench.guardPID != 0 || app.hasEnded }
    return app
  }

  /// A placeholder, a note, a guard that a client had come to, and the machine's end.
  private func lived(_ bench: GuardBench) throws {
    try Placeholder.make(bench.path("cat"), size: 50_000)
    mkdir(bench.path(".tierd"), 0o700)
    try Placeholder.makeResident(bench.path("\(PlaceholderNote.path)"), size: 1, marked: false)
    let first = try start(bench)
    let connection = try bench.connect(bounds: Self.bounds)
    _ = try connection.protect()
    connection.close()
    try bench.killGuard()
    _ = try first.result()
  }

  @Test func volumesAreGuardedBeforeAnyClient() throws {
    let bench = try GuardBench(.ext4)
    try lived(bench)
    let second = try start(bench)
    defer { second.stop() }
    // Before that a supervisor starts no app.
    try eventually("its readiness") { second.lines.contains { $0.contains("guarded;") } }
    let app = App(reading: bench.path("cat"))
    try eventually("it waits") { app.isBlocked }
    // Nobody comes.
    let result = try app.result()
    #expect(!result.succeeded && result.output.isEmpty)
    // Somebody does.
    let late = App(reading: bench.path("cat"))
    try eventually("it waits") { late.isBlocked }
    _ = try bench.protect(.restore, bounds: Self.bounds)
    let isWhole = try late.result().output == Placeholder.content(of: "cat", size: 50_000)
    #expect(isWhole)
  }

  @Test func aVolumeThatIsMountedLaterIsGuardedThen() throws {
    let bench = try GuardBench(.ext4)
    try lived(bench)
    try GuardBench.run("mount", ["--bind", bench.directory.path(""), bench.path])
    let second = try start(bench)
    defer { second.stop() }
    try GuardBench.run("umount", [bench.path])
    try eventually("the guard's word") { second.lines.contains { $0.contains("guarded;") } }
    let app = App(reading: bench.path("cat"))
    let result = try app.result()
    #expect(!result.succeeded && result.output.isEmpty)
  }

  @Test func aLineThatItCantReadEndsIt() throws {
    let bench = try GuardBench(.ext4)
    mkdir(bench.directory.path("memory"), 0o700)
    try Placeholder.makeResident(bench.directory.path("memory/volumes"), size: 9, marked: false)
    let result = try start(bench).result()
    #expect(result.ending == .exited(78))
    #expect(result.errorText.contains("line 1 isn't what this version of tier-guard writes"))
  }

  @Test func aSupervisorsGuardIsWaitedFor() throws {
    let bench = try GuardBench(.ext4)
    let connection = try GuardConnection(
      socket: bench.socket, program: GuardBench.program("tier-guard"), patience: .seconds(2),
      root: bench.path,
      terms: GuardTerms(isShared: false, bounds: Self.bounds))
    let clock = SystemClock()
    let begun = clock.monotonic
    _ = try connection.protect()
    #expect(clock.monotonic - begun >= .seconds(2))
    connection.close()
    try bench.killGuard()
  }
}
