import Testing
import TierCore

@Suite struct UTCTextTests {
  @Test(arguments: [
    (0, "1970-01-01T00:00:00Z"), (951_782_400, "2000-02-29T00:00:00Z"),
    (1_795_431_480, "2026-11-23T10:58:00Z"), (-1, "1969-12-31T23:59:59Z"),
    (4_107_542_399, "2100-02-28T23:59:59Z"), (4_107_542_400, "2100-03-01T00:00:00Z"),
    (-9_214_560_000, "1678-01-01T00:00:00Z"), (9_214_646_399, "2261-12-31T23:59:59Z"),
  ])
  func wholeSeconds(seconds: Int64, text: String) {
    #expect(Timestamp(seconds: seconds).utcText == text)
    #expect(Timestamp(utcText: text) == Timestamp(seconds: seconds))
  }

  @Test(arguments: [
    (1_500_000_000, "1970-01-01T00:00:01.500Z"), (1_000_001_000, "1970-01-01T00:00:01.000001Z"),
    (1, "1970-01-01T00:00:00.000000001Z"), (-1, "1969-12-31T23:59:59.999999999Z"),
    (Int64.max, "2262-04-11T23:47:16.854775807Z"),
  ])
  func fractions(nanoseconds: Int64, text: String) {
    #expect(Timestamp(nanoseconds: nanoseconds).utcText == text)
    #expect(Timestamp(utcText: text) == Timestamp(nanoseconds: nanoseconds))
  }

  @Test func compact() {
    #expect(Timestamp(seconds: 1_795_431_480).compactUTCText == "20261123T105800Z")
  }

  @Test func everyDayReadsBack() {
    for day in stride(from: Int64(-106_000), to: 106_000, by: 13) {
      let time = Timestamp(seconds: day * 86_400 + 3_723)
      #expect(Timestamp(utcText: time.utcText) == time)
    }
  }

  @Test(arguments: [
    "", "2026-11-23", "2026-11-23T10:58:00", "2026-11-23 10:58:00Z", "2026-02-29T00:00:00Z",
    "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-01-32T00:00:00Z", "2026-01-01T24:00:00Z",
    "2026-01-01T00:60:00Z", "2026-01-01T00:00:60Z", "2026-01-01T00:00:00.1Z", "2026-01-01T00:00:00.Z",
    "2026-01-01T00:00:00+01:00Z", "+026-01-01T00:00:00Z", "2262-04-11T23:47:16.854775808Z",
    "9999-01-01T00:00:00Z", "0001-01-01T00:00:00Z",
  ])
  func refused(text: String) { #expect(Timestamp(utcText: text) == nil) }
}
