import Glibc
import Testing
import TierCore
import TierTestSupport

@testable import TierPolicyFile

/// What can't stand in a text file of examples.
@Suite struct BadBytesTests {
  static let useful = Array("name: a\nvolume: v\npath: p\n".utf8)

  @Test(
    arguments: [
      ([], "F:1:1: the file is empty"),
      (Array("name: a\u{FEFF}\nvolume: \u{7}\n".utf8), "F:2:9: control character U+0007"),
      (Array("name: a\0\n".utf8), "F:1:8: control character U+0000"),
      (Array("name: ä".utf8) + [0xE4, 0x0A], "F:1:8: not UTF-8: save the file in that encoding"),
      ([0xFF, 0xFE, 0x6E, 0x00], "F:1:1: not UTF-8: save the file in that encoding"),
      (
        useful + [UInt8](repeating: UInt8(ascii: "#"), count: 1 << 20),
        "F: larger than 1 MiB: not a configuration file"
      ),
      (Array(repeating: UInt8(ascii: "["), count: 1 << 20), "F:1:18: nested deeper than 16 levels"),
    ] as [([UInt8], String)])
  func bytes(_ bytes: [UInt8], _ message: String) {
    let (policy, diagnostics) = PolicyFile.parse(bytes, file: "F")
    #expect(policy == nil)
    #expect(diagnostics.map(\.description) == [message])
  }

  @Test(arguments: [[0xEF, 0xBB, 0xBF] + useful, useful.flatMap { $0 == 0x0A ? [0x0D, 0x0A] : [$0] }])
  func marksAndLineEndsOfOtherSystemsAreRead(_ bytes: [UInt8]) {
    let (policy, diagnostics) = PolicyFile.parse(bytes, file: "F")
    #expect(policy?.name == "a")
    #expect(diagnostics == [])
  }

  @Test func filesThatCannotBeReadSayWhy() throws {
    let directory = try TemporaryDirectory()
    let fifo = "\(directory.path)/fifo.yaml"
    try #require(mkfifo(fifo, 0o600) == 0)
    #expect(said(fifo) == ["\(fifo): can't be read: not a regular file"])
    #expect(said(directory.path) == ["\(directory.path): can't be read: not a regular file"])
    let missing = "\(directory.path)/missing.yaml"
    #expect(said(missing) == ["\(missing): can't be read: No such file or directory"])
    #expect(ConfigurationFile.load(missing).diagnostics.map(\.description) == said(missing))
  }

  @Test func aThousandProblemsAreCutShort() {
    let lines = (0..<1000).map { "key\($0): x" }.joined(separator: "\n")
    let (_, diagnostics) = PolicyFile.parse(Array(lines.utf8), file: "F")
    #expect(diagnostics.count == 101)
    #expect(diagnostics.last?.message == "more than 100 problems: mend these first")
  }

  /// Aliases in aliases in a key: a tree builder that follows them before it looks takes hours for ten levels.
  @Test func billionLaughsEndAtOnce() {
    var text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    for level in 1...30 {
      let items = Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ", ")
      text += "a\(level): &a\(level) [\(items)]\n"
    }
    let start = ContinuousClock.now
    let (policy, diagnostics) = PolicyFile.parse(Array((text + "? *a30\n: x\n").utf8), file: "F")
    #expect(policy == nil)
    #expect(!diagnostics.isEmpty)
    #expect(ContinuousClock.now - start < .seconds(5))
  }

  /// Whatever bytes come: an answer, no crash, and never a refusal without a reason.
  @Test(arguments: 0..<6 as Range<UInt64>)
  func randomDamageIsAnswered(_ seed: UInt64) throws {
    var random = SplitMix(state: seed)
    let policy = try SourceTree.bytes(SourceTree.root + "/policies/photos/policy.yaml")
    let configuration = try SourceTree.bytes(SourceTree.root + "/docs/examples/tierd.yaml")
    let odd = Array("&*!%@`|>'\"{}[]:-?#\t\0\n ~<=".utf8) + [0xFF, 0xC3]
    for _ in 0..<100 {
      var (one, other) = (policy, configuration)
      for _ in 0..<Int.random(in: 1...6, using: &random) {
        one[Int.random(in: 0..<one.count, using: &random)] = odd.randomElement(using: &random)!
        let place = Int.random(in: 0..<other.count, using: &random)
        if Bool.random(using: &random) {
          other.removeSubrange(place..<min(other.count, place + 5))
        } else {
          other.insert(odd.randomElement(using: &random)!, at: place)
        }
      }
      let read = PolicyFile.parse(one, file: "F")
      #expect(read.policy != nil || read.diagnostics.hasErrors)
      let configured = ConfigurationFile.parse(other, file: "F", directory: "/nonexistent")
      #expect(configured.configuration != nil || configured.diagnostics.hasErrors)
    }
  }

  private func said(_ path: String) -> [String] { PolicyFile.load(path).diagnostics.map(\.description) }
}
