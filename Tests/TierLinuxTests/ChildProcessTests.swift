import Glibc
import Testing
import TierCore
import TierLinux
import TierTestSupport

@Suite(.timeLimit(.minutes(2))) struct ChildProcessTests {
  private func shell(_ script: String, _ arguments: [String] = []) -> ChildCommand {
    ChildCommand("/bin/sh", ["-c", script, "sh"] + arguments, environment: ["PATH": "/usr/bin:/bin"])
  }

  @Test func streamsEndingAndEnvironmentComeThrough() throws {
    let command = ChildCommand(
      "/bin/sh", ["-c", "pwd; echo $A; echo no >&2; exit 7"], environment: ["A": "b c"], directory: "/usr")
    let result = try ChildProcess.run(command, deadline: .seconds(60))
    #expect(result.ending == .exited(7) && !result.succeeded)
    #expect(String(decoding: result.output, as: UTF8.self) == "/usr\nb c\n")
    #expect(result.errorText == "no")
  }

  @Test func argumentsAreBytes() throws {
    let command = ChildCommand("/usr/bin/printf", bytes: [Array("%s".utf8), [0xFF, 0x0A, 0x20]])
    #expect(try ChildProcess.run(command, deadline: .seconds(60)).output == [0xFF, 0x0A, 0x20])
  }

  @Test func aMissingProgramOrDirectoryIsAnError() throws {
    #expect(errno { _ = try ChildProcess(ChildCommand("/no/such/program")) } == ENOENT)
    // EACCES where a directory of PATH can't be read.
    let unknown = errno { _ = try ChildProcess(ChildCommand("no-such-program-anywhere")) }
    #expect([ENOENT, EACCES].contains(unknown))
    #expect(errno { _ = try ChildProcess(ChildCommand("/bin/true", directory: "/nowhere")) } == ENOENT)
    #expect(errno { _ = try ChildProcess(ChildCommand("/etc/passwd")) } == EACCES)
    #expect(errno { _ = try ChildProcess(ChildCommand("/bin/echo", ["a\0b"])) } == EINVAL)
  }

  @Test func theChildSeesNoDescriptorOfOursAndAnEmptyInput() throws {
    // Without O_CLOEXEC: libraries forget it.
    let leaky = open("/dev/null", O_RDONLY)
    defer { close(leaky) }
    let result = try ChildProcess.run(shell("cat; ls /proc/self/fd"), deadline: .seconds(60))
    // 3 is ls's own, on the directory.
    #expect(String(decoding: result.output, as: UTF8.self) == "0\n1\n2\n3\n")
  }

  @Test func signalsAreAtTheirDefaults() throws {
    var blocked = sigset_t()
    sigemptyset(&blocked)
    sigaddset(&blocked, SIGTERM)
    var before = sigset_t()
    pthread_sigmask(SIG_BLOCK, &blocked, &before)
    defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
    let result = try ChildProcess.run(shell("kill -TERM $$; exit 3"), deadline: .seconds(60))
    #expect(result.ending == .signalled(SIGTERM))
  }

  @Test func theDeadlineEndsGrandchildrenToo() throws {
    let clock = SystemClock()
    let start = clock.monotonic
    var pids: [Int32] = []
    let command = shell("sleep 300 & echo $!; (sleep 300 & echo $!; wait) & echo $!; wait")
    let result = try ChildProcess(command).wait(
      deadline: .seconds(300), checkInterval: .milliseconds(10), shouldStop: { pids.count == 3 },
      onLine: { _, line in pids += [Int32(String(decoding: line, as: UTF8.self))!] })
    #expect(result.ending == .stopped)
    let timed = try ChildProcess.run(shell("sleep 300"), deadline: .milliseconds(50))
    #expect(timed.ending == .timedOut)
    #expect(clock.monotonic - start < .seconds(60))
    for pid in pids { try eventually("\(pid) gone") { !isAlive(pid) } }
  }

  @Test func whatIgnoresTermIsKilled() throws {
    let result = try ChildProcess.run(
      shell("trap '' TERM; sleep 300 & while :; do sleep 300; done"), deadline: .milliseconds(50))
    #expect(result.ending == .timedOut)
  }

  @Test func aBackgroundProcessNeitherHoldsUpNorOutlives() throws {
    var pid: Int32 = 0
    let result = try ChildProcess.run(shell("sleep 300 & echo $!"), deadline: .seconds(200)) { _, line in
      pid = Int32(String(decoding: line, as: UTF8.self))!
    }
    #expect(result.succeeded)
    try eventually("\(pid) gone") { !isAlive(pid) }
  }

  @Test func aChildDiesWithItsThread() throws {
    let directory = try TemporaryDirectory()
    let files = try directory.fileSystem()
    let command = shell("echo $$ > \"$1.new\"; mv \"$1.new\" \"$1\"; exec sleep 300", [directory.path("pid")])
    // Kept alive, so that it isn't its deinit that kills; the thread's end does.
    nonisolated(unsafe) var child: ChildProcess?
    OwnedThread(name: "short-lived") {
      child = try? ChildProcess(command)
      try? eventually { try files.exists(at("pid")) }
    }.join()
    let pid = try #require(child?.pid)
    try eventually("\(pid) gone") { !isAlive(pid) }
  }

  @Test func onlyTheTailIsKeptButEveryLineIsTold() throws {
    var lines = 0
    let result = try ChildProcess.run(shell("seq 1 50000"), deadline: .seconds(60), keptBytes: 100) { _, _ in
      lines += 1
    }
    #expect(lines == 50_000)
    #expect(result.output.count == 100 && result.output.suffix(6) == Array("50000\n".utf8)[...])
  }

  @Test func aLineWithoutEndIsToldInPieces() throws {
    var bytes = 0
    var longest = 0
    _ = try ChildProcess.run(shell("head -c 300000 /dev/zero"), deadline: .seconds(60), keptBytes: 1000) {
      bytes += $1.count
      longest = max(longest, $1.count)
    }
    #expect(bytes == 300_000 && longest <= 40_000)
  }

  private func isAlive(_ pid: Int32) -> Bool {
    // A zombie that waits for a far-away init to reap it has ended.
    guard let stat = try? SmallFile.read("/proc/\(pid)/stat", limit: 4096) else { return false }
    return !String(decoding: stat, as: UTF8.self).contains(") Z")
  }
}
