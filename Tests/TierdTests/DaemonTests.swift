import Glibc
import Testing
import TierCore
import TierLinux
import TierTestSupport

/// The programs as people start them.
@Suite struct DaemonTests {
  @Test func doesTheMainJobByHand() throws {
    let daemon = try DaemonRun(try DaemonRun.prepare())
    defer { daemon.stop() }
    try daemon.waitUntilReady()
    let files = try daemon.folder.fileSystem()
    try files.put(at("cache/notes/a b.txt"), "the content")
    let path = daemon.folder.path("cache/notes/a b.txt")

    let flush = try daemon.tierctl("flush", "--wait")
    #expect(flush.status == 0, "\(flush)")
    #expect(try files.text(of: at("nas/vol/notes/a b.txt")) == "the content")

    let release = try daemon.tierctl("release", path)
    #expect(release.status == 0, "\(release)")
    #expect(try files.status(of: at("cache/notes/a b.txt"), at: "test")?.kind == .symlink)
    #expect(try daemon.tierctl("why", path).output.contains("It is released"))

    let restore = try daemon.tierctl("restore", path)
    #expect(restore.status == 0, "\(restore)")
    #expect(try files.text(of: at("cache/notes/a b.txt")) == "the content")
    #expect(try daemon.tierctl("doctor").status == 0)
    let windows = try daemon.tierctl("windows", "-o", "json")
    #expect(windows.output.contains("tierctl flush of everything"), "\(windows)")
  }

  @Test func stopsOnSIGTERMAndLeavesNoSocket() throws {
    let daemon = try DaemonRun(try DaemonRun.prepare())
    try daemon.waitUntilReady()
    daemon.stop()
    // `stop` sends SIGTERM and tells so; what counts is that tierd came to its own end in time.
    #expect(daemon.log.last?.contains("\"stopped\"") == true, "\(daemon.log)")
    #expect(access(daemon.folder.path("run/tierd.sock"), F_OK) != 0)
    let answer = try daemon.tierctl("status")
    #expect(answer.status == 69)
    #expect(answer.errors.contains("tierd"))
  }

  @Test func refusesASecondDaemonOnOneStateDirectory() throws {
    let folder = try DaemonRun.prepare()
    let first = try DaemonRun(folder)
    defer { first.stop() }
    try first.waitUntilReady()
    let second = try ChildProcess.run(
      ChildCommand(DaemonRun.program("tierd"), ["run", "--config", folder.path("tierd.yaml")]),
      deadline: .seconds(60))
    #expect(second.ending == .exited(1), "\(second)")
    #expect(second.errorText.contains("catalog"), "\(second.errorText)")
    #expect(try first.tierctl("status").status == 0)
  }

  @Test func exitsWith78OnABadConfiguration() throws {
    let folder = try DaemonRun.prepare()
    _ = try folder.fileSystem().put(at("tierd.yaml"), "volumes: [{ nam: vol }]\n")
    for command in ["run", "check-policy"] {
      let result = try ChildProcess.run(
        ChildCommand(DaemonRun.program("tierd"), [command, "--config", folder.path("tierd.yaml")]),
        deadline: .seconds(60))
      #expect(result.ending == .exited(78))
      #expect(result.errorText.contains("tierd.yaml:1:13"), "\(result.errorText)")
    }
  }

  @Test func readsPoliciesAgainAndKeepsTheOldOnesWhereTheNewAreBad() throws {
    let daemon = try DaemonRun(try DaemonRun.prepare())
    defer { daemon.stop() }
    try daemon.waitUntilReady()
    let files = try daemon.folder.fileSystem()
    try files.put(at("policies/wiki.yaml"), "name: wiki\nvolume: vol\npath: wiki\n")
    try eventually(within: .seconds(60), "the new policy is in force") {
      try daemon.tierctl("policy", "list").output.contains("wiki")
    }
    try files.put(at("policies/wiki.yaml"), "name: wiki\nvolume: vol\npath: wiki\narchive: { after: 5x }\n")
    try eventually(within: .seconds(60), "the bad one is told") {
      daemon.log.contains { $0.contains("policies refused") }
    }
    let listed = try daemon.tierctl("policy", "list")
    #expect(listed.output.contains("notes") && listed.output.contains("wiki"))
    #expect(try daemon.tierctl("doctor").output.contains("5x"))
  }
}
