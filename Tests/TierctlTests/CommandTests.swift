import Glibc
import Testing
import TierAPI
import TierConsole
import TierControlSupport
import TierCore
import TierTestSupport

/// Swift Testing has an `ExitStatus` of its own.
typealias Exit = TierConsole.ExitStatus

/// Each command of the real binary: what it asks the daemon, what it prints, how it exits.
@Suite struct CommandTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var line: String
    var calls: [String]
    var output: String
    var status: Exit = .done
    var testDescription: String { line }
  }

  static let cases: [Case] = [
    Case(line: "status", calls: ["status"], output: "tierd 0.1.0, up 3 d. 14 files"),
    Case(line: "ls /a", calls: ["files /a recursive=false after=- limit=1000"], output: "STATE "),
    Case(
      line: "ls -R /a",
      calls: [
        "files /a recursive=true after=- limit=1000", "files /a recursive=true after=page two limit=1000",
      ],
      output: "STATE "),
    Case(line: "ls --lost /a", calls: ["files /a recursive=false after=- limit=1000"], output: "STATE "),
    Case(line: "du /a", calls: ["usage /a"], output: "CACHED "),
    Case(
      line: "why /a /b", calls: ["why /a", "why /b"],
      output: "/srv/cache/photos/2026/IMG_0001.jpg\n  Released"),
    Case(line: "windows --target nas --limit 3", calls: ["windows nas limit=3"], output: "OPENED "),
    Case(line: "flush", calls: ["flush everything"], output: "flush: done, 10 files (48 MB) in 30 s\n"),
    Case(line: "flush --app p", calls: ["flush policy(\"p\")"], output: "flush: done"),
    Case(line: "flush --volume v", calls: ["flush volume(\"v\")"], output: "flush: done"),
    Case(line: "flush /a /b", calls: ["flush paths([/a, /b])"], output: "flush: done"),
    Case(
      line: "restore /a --pin 2d", calls: ["restore paths([/a]) planOnly=false pin=2d"],
      output: "restore: done"),
    Case(
      line: "restore --app p --plan", calls: ["restore policy(\"p\") planOnly=true pin=-"],
      output: "Would restore 10 files (48 MB), about 45 s.\nWakes the NAS: yes.\n"),
    Case(
      line: "restore --dry-run /a", calls: ["restore paths([/a]) planOnly=true pin=-"],
      output: "Would restore"),
    Case(line: "release /a", calls: ["release paths([/a]) planOnly=false"], output: "release: done"),
    Case(line: "pin /a", calls: ["pin [/a] -"], output: "3 files: pinned until"),
    Case(line: "pin --for 1h30m /a", calls: ["pin [/a] 1h30m"], output: "3 files: pinned until"),
    Case(line: "unpin /a", calls: ["unpin [/a]"], output: "3 files\n"),
    Case(line: "policy list", calls: ["policies"], output: "POLICY "),
    Case(line: "policy explain /a", calls: ["explain /a"], output: "/srv/cache/photos/2026/IMG_0001.jpg\n"),
    Case(line: "verify /a", calls: ["verify [/a]"], output: "verify: done"),
    Case(line: "fsck", calls: ["fsck rebuild=false"], output: "fsck: done"),
    Case(line: "fsck --rebuild", calls: ["fsck rebuild=true"], output: "fsck: done"),
    Case(line: "doctor", calls: ["doctor"], output: "ok       inotify watches", status: .failed),
    Case(line: "undelete --list /a", calls: ["undelete /a listOnly=true"], output: "DELETED "),
    Case(line: "undelete /a", calls: ["undelete /a listOnly=false"], output: "undelete: done"),
  ]

  @Test(arguments: cases) func command(_ test: Case) async throws {
    let control = RecordingControl()
    let run = try await TierctlRun.with(control, test.line.split(separator: " ").map(String.init))
    #expect(control.calls == test.calls)
    #expect(run.output.hasPrefix(test.output), "\(run.output)")
    #expect(run.status == test.status.rawValue, "\(run.errors)")
  }

  @Test(arguments: cases.filter { $0.status == .done }) func structuredOutputOfEach(_ test: Case) async throws
  {
    let words = test.line.split(separator: " ").map(String.init)
    let json = try await TierctlRun.with(RecordingControl(), words + ["-o", "json"])
    #expect(json.output.hasPrefix("{") && json.output.hasSuffix("}\n"))
    let yaml = try await TierctlRun.with(RecordingControl(), words + ["-o", "yaml"])
    #expect(!yaml.output.isEmpty && !yaml.output.hasPrefix("{"))
  }

  @Test func nameOfAnyBytes() async throws {
    let directory = try TemporaryDirectory()
    let control = RecordingControl()
    let name: [UInt8] = [0xFF, 0x0A, 0x2D, 0xC3]
    let arguments = [Array("why".utf8), Array("--".utf8), name]
    let run = try await TierctlRun.with(control, arguments, in: directory.path)
    #expect(run.status == 0)
    #expect(control.calls == ["why \(directory.path)/\\xff\\x0a-\\xc3"])
  }

  @Test func stubIsNotFollowed() async throws {
    let directory = try TemporaryDirectory()
    #expect(symlink("/etc/hostname", directory.path("stub")) == 0)
    let control = RecordingControl()
    _ = try await TierctlRun.with(control, ["why", directory.path("stub")])
    #expect(control.calls == ["why \(directory.path("stub"))"])
  }

  @Test func policyCheck() async throws {
    let directory = try TemporaryDirectory()
    try write("name: a\n", to: directory.path("good.yaml"))
    try write("after: 5x\n", to: directory.path("bad.yaml"))
    let good = try await TierctlRun.with(
      RecordingControl(), ["policy", "check", directory.path("good.yaml")])
    #expect(good.status == 0 && good.output == "valid\n")
    let both = try await TierctlRun.with(
      RecordingControl(), ["policy", "check", directory.path("good.yaml"), directory.path("bad.yaml")])
    #expect(both.status == 78)
    #expect(both.output == "\(Samples.diagnostic.sentence)\n")
    let missing = try await TierctlRun.with(RecordingControl(), ["policy", "check", directory.path("none")])
    #expect(missing.status == 64)
    #expect(missing.errors.contains("\(directory.path("none")): No such file or directory"))
  }

  @Test func waitsForTheEnd() async throws {
    let control = RecordingControl()
    var further = Samples.running
    further.filesDone = 5
    control.answer(
      started: Samples.running, then: [Samples.running, further, Samples.done(.restore, id: "r7")])
    let run = try await TierctlRun.with(control, ["restore", "/a"])
    #expect(control.calls.count == 4)
    #expect(control.calls.last == "request r7 wait=10s")
    #expect(run.output == "restore: done, 10 files (48 MB) in 30 s\n")
    #expect(run.errors == "restore: 5 of 10 files, 12 MB of 48 MB: copies from nas\n")
  }

  @Test func doesNotWait() async throws {
    let control = RecordingControl()
    control.answer(started: Samples.running, then: [])
    let run = try await TierctlRun.with(control, ["restore", "--no-wait", "/a"])
    #expect(control.calls.count == 1)
    #expect(run.status == 0)
    #expect(run.output.hasPrefix("restore r7 is running: 3 of 10 files"))
  }

  private func write(_ text: String, to path: String) throws {
    let stream = try #require(fopen(path, "w"))
    fputs(text, stream)
    fclose(stream)
  }
}

/// DESIGN's exit codes, and that the standard output stays empty on errors.
@Suite struct ExitCodeTests {
  @Test func partlyDone() async throws {
    let control = RecordingControl()
    control.answer(started: Samples.running, then: [Samples.partly])
    let run = try await TierctlRun.with(control, ["restore", "/a"])
    #expect(run.status == 2)
    #expect(run.output == "restore: partly done, 9 files (44 MB) of 10 in 30 s\n")
    #expect(run.errors.contains("\(Samples.hostile): the target's copy is missing\n"))
  }

  @Test func failed() async throws {
    let control = RecordingControl()
    var failed = Samples.partly
    failed.state = .failed
    control.answer(started: failed, then: [])
    #expect(try await TierctlRun.with(control, ["restore", "/a"]).status == 1)
  }

  @Test(arguments: [
    (TierError(.badConfiguration, "x"), Exit.badConfiguration), (TierError(.badRequest, "x"), .usage),
    (TierError(.notFound, "in no volume", path: "/a", cause: "c"), .failed),
    (TierError(.fileBusy, "x", disposition: .retry), .tryLater),
    (TierError(.targetUnreachable, "x", disposition: .retry), .tryLater),
  ])
  func refusals(error: TierError, status: Exit) async throws {
    let control = RecordingControl()
    control.fail(error)
    let run = try await TierctlRun.with(control, ["why", "/a"])
    #expect(run.status == status.rawValue)
    #expect(run.output.isEmpty)
    #expect(run.errors == "tierctl: \(error)\n")
  }

  @Test func notReachable() async throws {
    let run = try await TierctlRun.alone(["status", "--socket", "/nowhere/s"])
    #expect(run.status == 69)
    #expect(run.output.isEmpty)
    #expect(
      run.errors
        == "tierctl: no control socket at /nowhere/s. Is tierd running? See `systemctl status tierd`; for another socket use --socket or TIERD_SOCKET\n"
    )
  }

  @Test(arguments: [
    "nonsense", "ls --nonsense", "restore", "restore /a --app p", "restore /a --pin 2", "restore /a --pin 0",
    "flush --app p --volume v", "windows --limit 0", "ls --state gone", "status -o xml", "policy check",
    "completion tcsh", "undelete", "why",
  ])
  func usage(line: String) async throws {
    let control = RecordingControl()
    let run = try await TierctlRun.with(control, line.split(separator: " ").map(String.init))
    #expect(run.status == 64)
    #expect(run.output.isEmpty)
    #expect(!run.errors.isEmpty)
    #expect(control.calls.isEmpty)
  }

  /// A full disk must not look like success.
  @Test func unwritableOutput() async throws {
    let place = try TemporaryDirectory()
    let line = "exec '\(TierctlRun.program)' status --socket '\(place.path("s"))' > /dev/full"
    let run = try await withControlServer(RecordingControl(), socket: place.path("s")) {
      try await TierctlRun.shell(line)
    }
    #expect(run.status == 1)
    #expect(run.errors == "tierctl: the standard output can't be written: No space left on device\n")
  }

  /// Nobody wants an error after `| head`.
  @Test func closedPipe() async throws {
    let place = try TemporaryDirectory()
    let line = "'\(TierctlRun.program)' status -o json --socket '\(place.path("s"))' | head -n 1"
    let run = try await withControlServer(RecordingControl(), socket: place.path("s")) {
      try await TierctlRun.shell(line)
    }
    #expect(run.status == 0)
    #expect(run.output == "{\n")
    #expect(run.errors.isEmpty)
  }
}
