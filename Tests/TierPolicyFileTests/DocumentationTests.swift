import Testing
import TierCore

@testable import TierPolicyFile

/// The YAML in the documentation is what it says it is.
@Suite struct DocumentationTests {
  @Test(arguments: [("policies", 4), ("configuration", 1)])
  func everyYAMLBlockIsRead(_ name: String, _ count: Int) throws {
    let blocks = blocks(try SourceTree.text(SourceTree.root + "/docs/\(name).md"))
    #expect(blocks.count == count)
    for block in blocks {
      if block.contains("volumes:") {
        let (_, diagnostics) = ConfigurationFile.parse(Array(block.utf8), file: "F", directory: "/etc/tierd")
        #expect(diagnostics == [])
      } else {
        let text = block.contains("name:") ? block : "name: a\nvolume: b\npath: c\n" + block
        #expect(PolicyFile.parse(Array(text.utf8), file: "F").diagnostics == [])
      }
    }
  }

  @Test(arguments: [
    (
      "policies",
      [
        PolicyKeys.policy, PolicyKeys.release, PolicyKeys.size, PolicyKeys.restore, PolicyExpectations.keys,
      ]
    ),
    (
      "configuration",
      [
        ConfigurationKeys.configuration, ConfigurationKeys.volume, ConfigurationKeys.target,
        ConfigurationKeys.nfs, ConfigurationKeys.rsync, ConfigurationKeys.guard,
      ]
    ),
  ])
  func everyKeyIsExplained(_ name: String, _ keys: [[String]]) throws {
    let text = try SourceTree.text(SourceTree.root + "/docs/\(name).md")
    let missing = Set(keys.joined()).filter { !text.contains("\($0)`") && !text.contains("`\($0).") }
    #expect(missing == [])
  }

  @Test func everyBuiltInPatternIsNamed() throws {
    let text = try SourceTree.text(SourceTree.root + "/docs/policies.md")
    #expect((TemporaryNames.patterns + RefusedProcesses.builtIn).filter { !text.contains("`\($0)`") } == [])
  }

  /// The sample of `tierctl policy explain` comes from the sample policies.
  @Test func theExplanationIsReal() throws {
    let text = try SourceTree.text(SourceTree.root + "/docs/policies.md")
    let policies = blocks(text).filter { $0.contains("name:") }.compactMap {
      PolicyFile.parse(Array($0.utf8), file: "F").policy
    }
    let set = try PolicySet(policies, defaultTarget: "nas")
    let path = try #require(RelativePath("photos/a.jpg"))
    let lines = set.explain(volume: "data", path: path, size: 1 << 20).lines
    #expect(lines.count == 3)
    #expect(text.contains(lines.joined(separator: "\n")))
  }

  private func blocks(_ text: String) -> [String] {
    text.split(separator: "```yaml\n").dropFirst().map {
      String($0[..<($0.firstRange(of: "```")?.lowerBound ?? $0.endIndex)])
    }
  }
}
