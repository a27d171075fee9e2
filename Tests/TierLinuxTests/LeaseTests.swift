import Glibc
import Synchronization
import Testing
import TierCore
import TierLinux
import TierTestSupport

/// Leases against openers in other processes, as apps are. Had a lease's break sent SIGIO, this process would
/// be gone.
@Suite(.timeLimit(.minutes(2))) struct LeaseTests {
  let directory: TemporaryDirectory
  let files: LinuxFileSystem

  init() throws {
    directory = try TemporaryDirectory()
    files = try directory.fileSystem()
    try files.put(at("file"), "old")
  }

  @Test func aReaderDisturbsALeaseAgainstAllAndWaitsForItsEnd() throws {
    let file = try files.open(at("file"), .read, at: "test.open")
    try file.takeLease(.againstAll, at: "test.lease")
    #expect(try file.leaseIsUndisturbed(at: "test.check"))
    let reader = App("cat \"$1\"", directory.path("file"))
    try eventually("the reader's open noticed") { try !file.leaseIsUndisturbed(at: "test.check") }
    #expect(!reader.hasEnded)
    // What a release does on seeing this: the name stays, and the reader gets what it asked for.
    try file.dropLease(at: "test.drop")
    #expect(try reader.output() == "old")
    #expect(try !file.leaseIsUndisturbed(at: "test.check"))
    try file.dropLease(at: "test.drop")
  }

  @Test func aWriterDisturbsALeaseAgainstWritersAndReadersDoNot() throws {
    let file = try files.open(at("file"), .read, at: "test.open")
    try file.takeLease(.againstWriters, at: "test.lease")
    #expect(try App("cat \"$1\"", directory.path("file")).output() == "old")
    #expect(try file.leaseIsUndisturbed(at: "test.check"))
    let writer = App("printf new > \"$1\"", directory.path("file"))
    try eventually("the writer's open noticed") { try !file.leaseIsUndisturbed(at: "test.check") }
    // Not a byte was changed while the lease stood.
    #expect(try file.status(at: "test.status").size == 3)
    file.close()
    #expect(try writer.output() == "")
    #expect(try files.text(of: at("file")) == "new")
  }

  @Test func truncatingByNameDisturbsToo() throws {
    let file = try files.open(at("file"), .read, at: "test.open")
    try file.takeLease(.againstWriters, at: "test.lease")
    let writer = App("perl -e 'truncate $ARGV[0], 1' \"$1\"", directory.path("file"))
    try eventually("the truncation noticed") { try !file.leaseIsUndisturbed(at: "test.check") }
    try file.dropLease(at: "test.drop")
    _ = try writer.output()
    #expect(try file.status(at: "test.status").size == 1)
  }

  @Test func noLeaseOnWhatIsOpenElsewhere() throws {
    let app = App("exec 3<> \"$1\"; echo open; exec sleep 60", directory.path("file"))
    try eventually("the app has it open") { app.line == "open" }
    let file = try files.open(at("file"), .read, at: "test.open")
    #expect(errno { try file.takeLease(.againstAll, at: "test.lease") } == EAGAIN)
    #expect(errno { try file.takeLease(.againstWriters, at: "test.lease") } == EAGAIN)
    #expect(try !file.leaseIsUndisturbed(at: "test.check"))
    app.stop()
    try file.takeLease(.againstAll, at: "test.lease")
    #expect(try file.leaseIsUndisturbed(at: "test.check"))
  }
}

/// A shell in another process, `$1` its file, that runs while the test goes on.
private final class App: Sendable {
  private struct State {
    var line = ""
    var result: Result<ChildResult, SyscallError>?
    var isStopping = false
  }
  private let state: Shared
  private let thread: OwnedThread

  private final class Shared: Sendable {
    let value = Mutex(State())
  }

  init(_ script: String, _ path: String) {
    let shared = Shared()
    state = shared
    thread = OwnedThread(name: "app") {
      let command = ChildCommand(
        "/bin/sh", ["-c", script, "app", path], environment: ["PATH": "/usr/bin:/bin"])
      let result = Result { () throws(SyscallError) in
        try ChildProcess(command).wait(
          deadline: .seconds(100), checkInterval: .milliseconds(10),
          shouldStop: { shared.value.withLock(\.isStopping) },
          onLine: { _, line in shared.value.withLock { $0.line = String(decoding: line, as: UTF8.self) } })
      }
      shared.value.withLock { $0.result = result }
    }
  }

  var line: String { state.value.withLock(\.line) }
  var hasEnded: Bool { state.value.withLock { $0.result != nil } }

  func stop() {
    state.value.withLock { $0.isStopping = true }
    thread.join()
  }

  func output() throws -> String {
    thread.join()
    let result = try #require(try state.value.withLock { try $0.result?.get() })
    #expect(result.succeeded, "\(result.ending) \(result.errorText)")
    return String(decoding: result.output, as: UTF8.self)
  }
}
