import Testing
import TierTestSupport

@testable import TierCore

@Suite struct IdentityRecordTests {
  private let sample = """
    tierd1 released epoch=3 target=nas size=3000000 mtime=1795000000.000000005 mode=640 owner=1000 group=100 \
    sha256=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f id=0123456789abcdeffedcba9876543210 \
    path=photos/2026/my cat.jpg
    """

  /// The text is on people's disks: it may only change with a new version.
  @Test func isWrittenAsDocumented() throws {
    let record = IdentityRecord(state: .released, epoch: Epoch(3), copy: .sample)
    #expect(String(decoding: record.encoded, as: UTF8.self) == sample)
    #expect(try IdentityRecord.parse(Array(sample.utf8)) == record)
  }

  @Test func readsBackWhatItWrote() throws {
    var random = SplitMix(state: 11)
    for _ in 0..<2000 {
      let state = IdentityState.allCases.randomElement(using: &random)!
      let epoch = Epoch(Int64.random(in: 0...(.max), using: &random))
      let record = IdentityRecord(state: state, epoch: epoch, copy: .random(using: &random))
      #expect(try IdentityRecord.parse(record.encoded) == record)
    }
  }

  @Test func aLookTellsTheStateOfEveryRecord() throws {
    for state in IdentityState.allCases {
      let record = IdentityRecord(state: state, epoch: Epoch(3), copy: .sample)
      #expect(record.encoded.withUnsafeBytes { IdentityState.peek($0) } == state)
    }
  }

  @Test(arguments: [
    "", "tierd1", "tierd1 released", "tierd2 released epoch=3", "tierd1 freed epoch=3",
    "tierd1  released epoch=3", "Tierd1 released epoch=3", "tierd1 releasedepoch=3",
  ]) func aLookRefusesWhatIsNoRecord(_ text: String) {
    #expect(Array(text.utf8).withUnsafeBytes { IdentityState.peek($0) } == nil)
  }

  @Test func readsNamesThatBeginWithACombiningAccent() throws {
    var copy = ArchivedCopy.sample
    copy.path = RelativePath("\u{301}a/\u{301}")!
    let record = IdentityRecord(state: .archived, epoch: Epoch(1), copy: copy)
    #expect(try IdentityRecord.parse(record.encoded) == record)
  }

  @Test(arguments: [
    "", "tierd", "tierd1", "other", "tierd1 archived", "tierd1  archived epoch=3", "TIERD1 archived",
  ]) func refusesWhatIsNoRecord(_ text: String) {
    #expect(throws: TierError.self) { try IdentityRecord.parse(Array(text.utf8)) }
  }

  @Test(arguments: [
    ("released", "restored"), ("epoch=3", "epoch=+3"), ("epoch=3", "epoch=03"), ("epoch=3", "age=3"),
    ("size=3000000", "size=-1"), ("size=3000000", "size=99999999999999999999"),
    ("owner=1000", "owner=4294967296"),
    (".000000005", ".5"), ("mode=640", "mode=9"), ("sha256=00", "sha256="), ("id=01", "id=0x"),
    ("path=photos", "path=/photos"), ("path=photos", "path=../photos"), ("my cat", #"my\x20cat"#),
    ("my cat", #"my\cat"#), ("my cat", "my\ncat"), ("target=nas", "target=n s"), (" path", "  path"),
  ]) func refusesWhatItWouldNotWrite(_ part: String, _ replacement: String) {
    let changed = sample.replacing(part, with: replacement)
    #expect(changed != sample)
    let error = #expect(throws: TierError.self) { try IdentityRecord.parse(Array(changed.utf8)) }
    #expect(error?.code == .corruptRecord)
  }

  @Test func namesALaterVersion() {
    for text in ["tierd2 whatever", "tierd10 \u{FFFD}"] {
      let error = #expect(throws: TierError.self) { try IdentityRecord.parse(Array(text.utf8)) }
      #expect(error?.code == .unsupported)
    }
  }

  /// Whoever can write the attribute must not be able to stop the daemon, nor be misread.
  @Test func damageIsRefusedOrReadsBackToItself() {
    var random = SplitMix(state: 12)
    var refused = 0
    for _ in 0..<20_000 {
      let record = IdentityRecord(state: .archived, epoch: Epoch(1), copy: .sample)
      let bytes = damaged(record.encoded, using: &random)
      do { #expect(try IdentityRecord.parse(bytes).encoded == bytes) } catch { refused += 1 }
    }
    #expect(refused > 10_000)
  }
}
