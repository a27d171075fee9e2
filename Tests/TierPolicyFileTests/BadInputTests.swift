import Testing
import TierCore

@testable import TierPolicyFile

/// Every file under `Bad/policy` and `Bad/configuration` starts with what must be said of it, word for word, in
/// lines `# expect LINE:COLUMN: MESSAGE`.
@Suite struct BadInputTests {
  struct Case: CustomTestStringConvertible, Sendable {
    var name: String
    var testDescription: String { name }
  }

  static func cases(_ kind: String) -> [Case] {
    SourceTree.names(in: "\(SourceTree.bad)/\(kind)").map { Case(name: "\(kind)/\($0)") }
  }

  @Test(arguments: cases("policy"))
  func policy(_ one: Case) throws {
    let bytes = try SourceTree.bytes("\(SourceTree.bad)/\(one.name)")
    let (policy, diagnostics) = PolicyFile.parse(bytes, file: "F")
    #expect(policy == nil)
    expectSaid(diagnostics, in: bytes)
  }

  @Test(arguments: cases("configuration"))
  func configuration(_ one: Case) throws {
    let bytes = try SourceTree.bytes("\(SourceTree.bad)/\(one.name)")
    let (configuration, diagnostics) = ConfigurationFile.parse(bytes, file: "F", directory: "/nonexistent")
    #expect(configuration == nil)
    expectSaid(diagnostics, in: bytes)
    #expect(!diagnostics.contains { $0.message.contains("hunter2") }, "a secret was printed")
  }

  @Test func thereAreEnough() {
    #expect(Self.cases("policy").count >= 60)
    #expect(Self.cases("configuration").count >= 40)
  }

  /// Each directory holds a `tierd.yaml`, `policies` and `expected.txt`, whose paths start at the directory.
  @Test(arguments: SourceTree.names(in: SourceTree.bad + "/directory"))
  func directory(_ name: String) throws {
    let place = "\(SourceTree.bad)/directory/\(name)"
    let loaded = ConfigurationFile.load(place + "/tierd.yaml")
    let configuration = try #require(loaded.configuration, "\(loaded.diagnostics)")
    let (policies, diagnostics) = PolicyDirectory.load(place + "/policies", configuration)
    #expect(policies == nil)
    let expected = try SourceTree.text(place + "/expected.txt").split(separator: "\n").map(String.init)
    #expect(diagnostics.map { $0.description.replacing(place + "/", with: "") } == expected)
  }

  private func expectSaid(_ diagnostics: [Diagnostic], in bytes: [UInt8]) {
    let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
    let expected = lines.prefix { $0.hasPrefix("# expect ") }.map { $0.dropFirst("# expect ".count) }
    #expect(!expected.isEmpty)
    let said = diagnostics.map { $0.description.dropFirst("F:".count) }
    for (said, expected) in zip(said, expected) { #expect(said == expected) }
    #expect(said.count == expected.count, "\(said)")
  }
}

extension String {
  fileprivate func replacing(_ part: String, with other: String) -> String {
    var text = self[...]
    var result = ""
    while let range = text.firstRange(of: part) {
      result += text[..<range.lowerBound] + other
      text = text[range.upperBound...]
    }
    return result + text
  }
}
