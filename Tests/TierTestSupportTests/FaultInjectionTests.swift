import Glibc
import Testing
import TierCore
import TierLinux
import TierTestSupport

/// The fault injector changes exactly the call it was told to.
@Suite struct FaultInjectionTests {
  @Test func onlyTheChosenCallFails() throws {
    let directory = try TemporaryDirectory()
    let faults = FaultPlan()
    let files = FaultInjectingFileSystem(try directory.fileSystem(), faults)
    faults.at("archive.write", occurrence: 2, .fail(errno: EIO))
    let file = try files.open(at("a"), .create(mode: 0o600), at: "archive.create")
    try [1, 2].withUnsafeBytes { try file.write($0, offset: 0, at: "archive.write") }
    let error = #expect(throws: SyscallError.self) {
      try [3].withUnsafeBytes { try file.write($0, offset: 0, at: "archive.write") }
    }
    #expect(error == SyscallError(call: "pwrite", path: "a", errno: EIO))
    #expect(faults.sitesSeen == ["archive.create", "archive.write"])
    #expect(faults.count(of: "archive.write") == 2)
  }

  @Test func aLostAnswerHasItsEffect() throws {
    let directory = try TemporaryDirectory()
    let faults = FaultPlan()
    let files = FaultInjectingFileSystem(try directory.fileSystem(), faults)
    faults.at("release.mkdir", .failAfter(errno: ENOTCONN))
    #expect(throws: SyscallError.self) { try files.makeDirectory(at("a"), mode: 0o700, at: "release.mkdir") }
    #expect(try files.exists(at("a")))
  }

  @Test func theTreeChangesUnderTheCall() throws {
    let directory = try TemporaryDirectory()
    let real = try directory.fileSystem()
    let faults = FaultPlan()
    let files = FaultInjectingFileSystem(real, faults)
    try files.put(at("a"), "old")
    faults.at("release.status", .before { try real.put(at("a"), "newer") })
    #expect(try files.status(of: at("a"), at: "release.status")?.size == 5)
    faults.at("release.list", .before { throw NeverHappened(description: "by design") })
    _ = try files.list(.root, at: "release.list")
    #expect(faults.closureError != nil)
  }

  @Test(arguments: ["a:1", "a:x:kill", "a:1:boom", "a:1:kill,b"])
  func plansThatDoNotReadAreRefused(_ text: String) { #expect(FaultPlan(parsing: text) == nil) }

  @Test func plansAreReadFromText() throws {
    let directory = try TemporaryDirectory()
    let faults = try #require(FaultPlan(parsing: "x.one:1:5,x.two:2:28"))
    let files = FaultInjectingFileSystem(try directory.fileSystem(), faults)
    #expect(throws: SyscallError.self) { try files.status(of: at("a"), at: "x.one") }
    #expect(try files.status(of: at("a"), at: "x.two") == nil)
    #expect(throws: SyscallError.self) { try files.status(of: at("a"), at: "x.two") }
  }

  @Test(
    .enabled(if: Machine.hasLoopDevices, "mounting needs root and a loop device"),
    arguments: LoopFileSystem.Kind.allCases.filter(\.isAvailable))
  func loopFileSystemsMountAndVanish(_ kind: LoopFileSystem.Kind) throws {
    var volume: LoopFileSystem? = try LoopFileSystem(kind)
    let path = try #require(volume?.path)
    #expect(try MountTable.mount(holding: path)?.fileSystem == kind.rawValue)
    try volume?.fileSystem().put(at("a"), "x")
    volume = nil
    #expect(access(path, F_OK) != 0)
  }
}
