import Glibc
import Testing
import TierCore
import TierTestSupport

@testable import TierEngine

/// The catalog is lost, and the stubs carry no identity that could be trusted: the manifests are all there is.
@Suite struct RebuildTests {
  @Test func stubsOfAnUnprivilegedTierdGetTheirRowsBackFromTheManifests() throws {
    let faults = FaultPlan()
    for start in 0..<2 {
      // `trusted.tierd` is root's alone.
      faults.at("volume.attribute.probe", occurrence: 2 * start + 1, .fail(errno: EPERM))
    }
    let bench = try Bench(faults: faults)
    #expect(bench.volume.identityAttribute == "user.tierd")
    let names = ["a", "b", "folder/c", "folder/d", "folder/below/e"]
    for name in names { bench.write(name, "content of \(name)") }
    try bench.archive()
    bench.write("a", "newer content of a")
    try bench.archive()
    for name in names { try bench.release(name) }
    #expect(names.allSatisfy(bench.isSymlink))
    try bench.loseCatalog()
    try bench.look()
    for name in names { #expect(try bench.find(name)?.copy == nil) }
    #expect(try bench.rebuild().failures == [])
    for name in names { #expect(try bench.restore(name).failures == []) }
    #expect(bench.read("a") == "newer content of a")
    for name in names.dropFirst() { #expect(bench.read(name) == "content of \(name)") }
  }
}

extension Bench {
  fileprivate func rebuild() throws -> RequestState {
    let handle = engine.context.requests.open("fsck")
    let (context, volume) = (engine.context, volume)
    windows.run(
      Errand(cause: "test") { session throws(TierError) in
        try CatalogRebuild(
          context: context, session: session, target: "nas", volume: volume, progress: handle, stubsAtOnce: 2
        ).run()
      } failed: {
        handle.fail("\($0)")
      })
    try window()
    return handle.current
  }
}
