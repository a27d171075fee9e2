import Testing
import TierCore
import TierLinux
import TierTargets
import TierTestSupport

@testable import TierEngine

/// A copy that the server may still have in its memory only is no reason to release the file.
@Suite struct ProofTests {
  @Test func verifyProvesWhatIsOldEnough() throws {
    let bench = try forgetfulBench()
    bench.write("file", "content")
    try bench.archive()

    #expect(try bench.verify("file").failures == [])
    #expect(try bench.row("file").copy?.proof != .proven)
    let early = try #require(try bench.orderRelease(bench.selection("file")).failures.first)
    #expect(early.hasSuffix("tierctl verify PATH in 2 min or later opens one"), "\(early)")

    bench.clock.advance(.seconds(120))
    let late = try #require(try bench.orderRelease(bench.selection("file")).failures.first)
    #expect(late.hasSuffix("tierctl verify PATH opens one"), "\(late)")
    #expect(try bench.verify("file").files == 1)
    #expect(try bench.row("file").copy?.proof == .proven)
    #expect(try bench.orderRelease(bench.selection("file")).files == 1)
  }

  private func forgetfulBench() throws -> Bench {
    let folder = try TemporaryDirectory()
    return try Bench(target: (ForgetfulTarget(at: folder), folder.path))
  }
}

/// A folder that doesn't promise to have on its disk what it was given.
private struct ForgetfulTarget: Target {
  private let target: DirectoryTarget
  private let folder: TemporaryDirectory

  init(at folder: TemporaryDirectory) {
    self.folder = folder
    target = DirectoryTarget(name: "nas", path: folder.path, memory: .none)
  }

  var name: String { target.name }
  var properties: TargetProperties {
    var properties = target.properties
    properties.publishesDurably = false
    return properties
  }
  func connect() throws(TierError) -> any TargetSession { try target.connect() }
}

extension Bench {
  fileprivate func selection(_ path: String) -> FileSelection { .paths([Array("\(cache)/\(path)".utf8)]) }

  /// The order alone, without what a window does after it.
  fileprivate func verify(_ path: String) throws -> RequestState {
    let handle = engine.context.requests.open("verify")
    let session = try windows.target.connect()
    defer { session.close() }
    try CopyCheck(context: engine.context, session: session, progress: handle).run([try row(path)])
    return handle.current
  }
}
