import Glibc
import Logging
import Testing
import TierCore
import TierTestSupport

@testable import TierEngine

/// What a turn, a batch and a memory may take.
@Suite struct BoundsTests {
  @Test func fullVolumeIsEmptiedTurnByTurn() throws {
    let bench = try Bench()
    for index in 0..<70 { bench.write("\(index)", "content") }
    try bench.archive()
    let releaser = Releaser(
      volume: bench.volume, stubs: bench.engine.context.stubs(for: bench.volume), log: Logger(label: "test"))
    let full = FileSystemSpace(total: 1 << 30, available: 0)
    #expect(try releaser.releaseDue(space: full) == .more)
    #expect(try bench.catalog.totals(of: bench.volume.id).released.files == 64)
    #expect(try releaser.releaseDue(space: full) == .more)
    #expect(try bench.catalog.totals(of: bench.volume.id).released.files == 70)
    #expect(try releaser.releaseDue(space: full) == .stuck)
    #expect(try releaser.releaseDue(space: FileSystemSpace(total: 100, available: 50)) == .done)
  }

  @Test func ownUsesAreForgotten() {
    var uses = OwnUses()
    for second in 0..<100_000 {
      let now = Duration.seconds(second)
      uses.note(RelativePath("\(second)")!, until: now + .seconds(30), now: now)
    }
    #expect(uses.count <= 8192)
    #expect(uses.holds(RelativePath("99999")!, now: .seconds(100_000)))
    #expect(!uses.holds(RelativePath("99000")!, now: .seconds(100_000)))
  }
}
