import TierCore
import TierTestSupport

@testable import TierTargets

extension TargetKind {
  static let directory = TargetKind(
    testDescription: "directory",
    make: {
      let root = try TemporaryDirectory()
      return try TargetBench(folder: root.path, keeping: [root]) { memory, _ in
        DirectoryTarget(name: "test", path: root.path, memory: memory)
      }
    }, keepsAttributes: true)
}
