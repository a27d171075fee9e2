import Testing
import TierCore
import TierLinux
import TierTestSupport

@testable import TierEngine

/// Swaps on volumes without RENAME_EXCHANGE, cut off at every step.
@Suite struct SwapTests {
  let folder: TemporaryDirectory
  let files: LinuxFileSystem
  let hidden = RelativePath("hidden")!
  let path = RelativePath("path")!

  init() throws {
    folder = try TemporaryDirectory()
    files = try LinuxFileSystem(root: folder.path, renameFlags: false)
    try files.put(path, "content")
    try files.makeSymlink(hidden, to: Array("stub".utf8), at: "test")
  }

  @Test func swapsBothWays() throws {
    try files.swap(hidden, with: path, at: "test")
    #expect(try files.status(of: path, at: "test")?.kind == .symlink)
    #expect(try files.text(of: hidden) == "content")
    try files.swap(hidden, with: path, at: "test")
    #expect(try files.text(of: path) == "content")
    #expect(try files.list(.root, at: "test").count == 2)
  }

  @Test(
    "settles after a failure at", arguments: ["swap.takeAside", "swap.place", "swap.takeOut"], [true, false])
  func settles(site: String, isMade: Bool) throws {
    let plan = try #require(FaultPlan(parsing: "\(site):1:5"))
    let after = FaultPlan()
    after.at(CallSite(stringLiteral: "swap.takeOut"), .failAfter(errno: 5))
    let faulty = FaultInjectingFileSystem(files, isMade && site == "swap.takeOut" ? after : plan)
    #expect(throws: SyscallError.self) { try faulty.swap(hidden, with: path, at: "test") }
    try files.settleSwap(of: hidden, with: path)
    let names = try files.list(.root, at: "test").map(\.name.description).sorted()
    #expect(names == ["hidden", "path"], "both names stand, nothing is left aside")
    let content = try files.status(of: path, at: "test")?.kind == .regular ? path : hidden
    #expect(try files.text(of: content) == "content")
  }

  @Test func anAppThatTakesTheNameMeanwhileKeepsIt() throws {
    let plan = FaultPlan()
    let files = files
    let path = path
    plan.at("swap.place", .before { _ = try files.put(path, "the app's") })
    let faulty = FaultInjectingFileSystem(files, plan)
    #expect(throws: SyscallError.self) { try faulty.swap(hidden, with: path, at: "test") }
    #expect(try files.text(of: path) == "the app's")
    #expect(try files.text(of: hidden) == "content", "the content stays, the stub goes")
    #expect(try files.list(.root, at: "test").count == 2)
  }
}
