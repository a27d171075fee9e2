import Testing

@testable import TierCore

@Suite struct UnitsTests {
  @Test(
    arguments: [
      ("90s", 90), ("15m", 900), ("4h", 14_400), ("2d", 172_800), ("1w", 604_800), ("1h30m", 5400), ("0", 0),
      ("0s", 0), ("1d0h", 86_400), ("1w2d3h4m5s", 788_645),
    ] as [(String, Int64)])
  func durationsRead(_ text: String, _ seconds: Int64) throws {
    #expect(try Duration(unitText: text) == .seconds(seconds))
  }

  @Test(arguments: [
    ("", "not a duration (write for example 90s, 15m, 4h, 2d, 1w or 1h30m)"),
    ("5", "no unit (write for example 90s, 15m, 4h, 2d, 1w or 1h30m)"),
    ("5x", "unknown unit \"x\" (use s, m, h, d, w)"), ("5D", "unknown unit \"D\" (use s, m, h, d, w)"),
    ("5min", "unknown unit \"min\" (use s, m, h, d, w)"),
    ("1.5h", "whole numbers only (write for example 90s, 15m, 4h, 2d, 1w or 1h30m)"),
    ("-1h", "not a duration (write for example 90s, 15m, 4h, 2d, 1w or 1h30m)"),
    ("5 h", "not a duration (write for example 90s, 15m, 4h, 2d, 1w or 1h30m)"),
    ("22:00", "not a duration (write for example 90s, 15m, 4h, 2d, 1w or 1h30m)"),
    ("30m1h", "units go from large to small, each once, as in 1h30m"),
    ("1h1h", "units go from large to small, each once, as in 1h30m"), ("300000w", "longer than 292 years"),
    ("99999999999999999999s", "the number is too large"),
    ("٣d", "not a duration (write for example 90s, 15m, 4h, 2d, 1w or 1h30m)"),
  ])
  func badDurationsSayWhy(_ text: String, _ message: String) {
    let error = #expect(throws: UnitError.self) { try Duration(unitText: text) }
    #expect(error?.description == message)
  }

  @Test(arguments: ["0s", "90d", "1h30m", "1w", "30d", "2w", "1d1h1m1s", "1m30s", "365d"])
  func durationsPrintAsWritten(_ text: String) throws {
    #expect(try Duration(unitText: text).unitText == text)
  }

  @Test(
    arguments: [
      ("0", 0), ("512B", 512), ("64KiB", 65_536), ("10MB", 10_000_000), ("1GiB", 1_073_741_824),
      ("1kB", 1000),
      ("2TB", 2_000_000_000_000),
    ] as [(String, Int64)])
  func sizesRead(_ text: String, _ bytes: Int64) throws {
    #expect(try ByteCount.parse(text) == bytes)
  }

  @Test(arguments: [
    ("10", "no unit (write for example 64KiB, 10MB or 1GiB)"),
    ("10M", "unknown unit \"M\" (use B, KiB, MiB, GiB, TiB, or kB, MB, GB, TB)"),
    ("1.5GiB", "whole numbers only (write for example 64KiB, 10MB or 1GiB)"),
    ("1GiB5", "not a size (write for example 64KiB, 10MB or 1GiB)"), ("9000000000TB", "larger than any file"),
    ("-1B", "not a size (write for example 64KiB, 10MB or 1GiB)"),
  ])
  func badSizesSayWhy(_ text: String, _ message: String) {
    let error = #expect(throws: UnitError.self) { try ByteCount.parse(text) }
    #expect(error?.description == message)
  }

  @Test func sizesPrintExactly() throws {
    for bytes: Int64 in [0, 1, 1001, 1024, 1536, 65_536, 3 << 29, 5 << 40] {
      #expect(try ByteCount.parse(ByteCount.exactText(bytes)) == bytes)
    }
    #expect(ByteCount.exactText(3 << 29) == "1536MiB")
  }
}
