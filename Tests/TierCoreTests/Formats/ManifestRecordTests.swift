import Testing
import TierTestSupport

@testable import TierCore

@Suite struct ManifestRecordTests {
  private var sample: ManifestRecord {
    var copy = ArchivedCopy.sample
    copy.metadata.attributes = [ExtendedAttribute(name: "user.tag", value: Array("red".utf8))]
    return ManifestRecord(
      operation: .archive, path: RelativePath([0xFF, 0x20, 0x22])!, copy: copy, epoch: Epoch(3),
      at: copy.archivedAt)
  }

  private let line = """
    {"v":1,"op":"archive","path":"\\\\xff \\"","copy":"photos/2026/my cat.jpg","size":3000000,\
    "mtime":"1795000000.000000005",\
    "sha256":"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",\
    "id":"0123456789abcdeffedcba9876543210","mode":"640","uid":1000,"gid":100,"epoch":3,\
    "at":"2026-11-18T11:08:20Z","xattrs":{"user.tag":"cmVk"}}

    """

  /// The lines are on people's disks: they may only change with a new version.
  @Test func isWrittenAsDocumented() throws {
    #expect(String(decoding: sample.encodedLine, as: UTF8.self) == line)
    #expect(try ManifestRecord.parse(sample.encodedLine, target: "nas") == sample)
  }

  @Test func isOneLineThatReadsBack() throws {
    var random = SplitMix(state: 21)
    for _ in 0..<2000 {
      let copy = ArchivedCopy.random(using: &random)
      let record = ManifestRecord(
        operation: [.archive, .remove, .rename].randomElement(using: &random)!, path: .random(using: &random),
        copy: copy, epoch: Epoch(Int64.random(in: 0...(.max), using: &random)), at: copy.archivedAt)
      let line = record.encodedLine
      #expect(line.firstIndex(of: 0x0A) == line.count - 1)
      #expect(try ManifestRecord.parse(line, target: "nas") == record)
    }
  }

  @Test(arguments: [
    (#""v":1"#, #""v":"1""#), (#""v":1,"#, ""), ("archive", "destroy"), ("3000000", "-3000000"),
    ("3000000", "3e6"), ("3000000", "99999999999999999999"), ("cmVk", "cmVk="), ("cmVk", "cmV"),
    ("cmVk", "c!Vk"),
    (#"{"user.tag":"cmVk"}"#, "7"), (#""gid":100"#, #""gid":4294967296"#), (#""gid":100"#, #""uid":100"#),
    ("11:08", "25:08"), (".000000005", ".5"), ("photos/", "/photos"), ("photos/", "../"), ("}}", "}"),
    ("}}", "}},"),
    (#""mode":"640""#, #""mode":640"#), ("my cat", "my\tcat"), ("my cat", #"my\ud800cat"#),
  ]) func refusesWhatItWouldNotWrite(_ part: String, _ replacement: String) {
    let changed = line.replacing(part, with: replacement)
    #expect(changed != line)
    let error = #expect(throws: TierError.self) {
      try ManifestRecord.parse(Array(changed.utf8), target: "nas")
    }
    #expect(error?.code == .corruptRecord)
  }

  @Test func namesALaterVersion() {
    let later = line.replacing(#""v":1"#, with: #""v":2,"more":{"a":{"b":"c"}}"#)
    let error = #expect(throws: TierError.self) { try ManifestRecord.parse(Array(later.utf8), target: "nas") }
    #expect(error?.code == .unsupported)
  }

  /// Unicode calls these two names equal, the kernel doesn't.
  @Test func attributesOfEquivalentNamesAreTwo() throws {
    var record = sample
    record.copy.metadata.attributes = ["user.e\u{301}", "user.\u{E9}"].map {
      ExtendedAttribute(name: $0, value: [1])
    }
    let read = try ManifestRecord.parse(record.encodedLine, target: "nas")
    #expect(
      Set(read.copy.metadata.attributes.map { Array($0.name.utf8) })
        == Set(record.copy.metadata.attributes.map { Array($0.name.utf8) }))
  }

  /// A later tierd of the same version may add what this one need not know.
  @Test func passesOverFieldsThatItDoesNotKnow() throws {
    let more = line.replacing("}}", with: #"},"why":{"a":"b"}}"#)
    #expect(try ManifestRecord.parse(Array(more.utf8), target: "nas") == sample)
  }

  /// A manifest lies on a NAS that others can write to.
  @Test func damageIsRefusedOrStaysARecord() throws {
    var random = SplitMix(state: 22)
    var refused = 0
    for _ in 0..<20_000 {
      let bytes = damaged(sample.encodedLine, using: &random)
      guard let record = try? ManifestRecord.parse(bytes, target: "nas") else {
        refused += 1
        continue
      }
      #expect(try ManifestRecord.parse(record.encodedLine, target: "nas") == record)
    }
    #expect(refused > 10_000)
  }

  @Test func nestingHasALimit() {
    for text in [String(repeating: #"{"a":"#, count: 100_000), String(repeating: "{", count: 100_000)] {
      #expect(throws: TierError.self) { try ManifestRecord.parse(Array(text.utf8), target: "nas") }
    }
  }
}

@Suite struct Base64Tests {
  /// RFC 4648, section 10.
  @Test(
    arguments: zip(
      ["", "f", "fo", "foo", "foob", "fooba", "foobar"],
      ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"]))
  func agreesWithTheStandard(_ plain: String, _ coded: String) {
    #expect(Base64.encode(Array(plain.utf8)) == coded)
    #expect(Base64.decode(coded) == Array(plain.utf8))
  }

  @Test(arguments: ["Zg", "Zg=", "Z===", "====", "Zh==", "Zg==Zg==", "Zm9v\n", "Zm9-"])
  func refusesWhatTheStandardDoesNotWrite(_ text: String) {
    #expect(Base64.decode(text) == nil)
  }
}
