/// Why a text isn't a duration, a size or a fraction: one clause for a person, with the way out.
package struct UnitError: Error, Hashable, Sendable, CustomStringConvertible {
  package var description: String
}

extension Duration {
  private static let units: [(symbol: String, seconds: Int64)] = [
    ("w", 7 * 24 * 3600), ("d", 24 * 3600), ("h", 3600), ("m", 60), ("s", 1),
  ]

  /// About 292 years: added to any time it gives `.distantFuture`.
  package static let forever = Duration.nanoseconds(Int64.max)

  /// `90s`, `15m`, `4h`, `2d`, `1w`, and combined from large to small, `1h30m`; `0` needs no unit.
  package init(unitText text: String) throws(UnitError) {
    if text == "0" {
      self = .zero
      return
    }
    var seconds: Int64 = 0
    var rest = text[...]
    var smallest = Int64.max
    repeat {
      let (count, symbol) = try rest.takeCountedUnit(
        example: "90s, 15m, 4h, 2d, 1w or 1h30m", kind: "duration")
      guard let unit = Self.units.first(where: { $0.symbol == symbol }) else {
        throw UnitError(description: "unknown unit \"\(symbol)\" (use s, m, h, d, w)")
      }
      guard unit.seconds < smallest else {
        throw UnitError(description: "units go from large to small, each once, as in 1h30m")
      }
      smallest = unit.seconds
      let (part, tooLarge) = count.multipliedReportingOverflow(by: unit.seconds)
      let (sum, sumTooLarge) = seconds.addingReportingOverflow(part)
      guard !tooLarge, !sumTooLarge, sum <= Int64.max / 1_000_000_000 else {
        throw UnitError(description: "longer than 292 years")
      }
      seconds = sum
    } while !rest.isEmpty
    self = .seconds(seconds)
  }

  /// As it would be written in a policy, exact for whole seconds: `1h30m`, `30d`, `0s`; `forever`.
  package var unitText: String {
    if self >= .forever { return "forever" }
    var rest = max(0, components.seconds)
    if rest == 0 { return "0s" }
    if rest % (7 * 24 * 3600) != 0 || rest >= 4 * 7 * 24 * 3600 { return text(&rest, Self.units.dropFirst()) }
    return text(&rest, Self.units[...])
  }

  private func text(_ seconds: inout Int64, _ units: ArraySlice<(symbol: String, seconds: Int64)>) -> String {
    var text = ""
    for unit in units where seconds >= unit.seconds {
      text += "\(seconds / unit.seconds)\(unit.symbol)"
      seconds %= unit.seconds
    }
    return text
  }
}

/// Sizes as people write them: `0`, `512B`, `64KiB` (1024), `10MB` (1000 × 1000).
package enum ByteCount {
  private static let units: [(symbol: String, bytes: Int64)] = [
    ("B", 1), ("kB", 1000), ("KB", 1000), ("MB", 1_000_000), ("GB", 1_000_000_000), ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40),
  ]

  package static func parse(_ text: String) throws(UnitError) -> Int64 {
    if text == "0" { return 0 }
    var rest = text[...]
    let (count, symbol) = try rest.takeCountedUnit(example: "64KiB, 10MB or 1GiB", kind: "size")
    guard rest.isEmpty else {
      throw UnitError(description: "not a size (write for example 64KiB, 10MB or 1GiB)")
    }
    guard let unit = units.first(where: { $0.symbol == symbol }) else {
      throw UnitError(
        description: "unknown unit \"\(symbol)\" (use B, KiB, MiB, GiB, TiB, or kB, MB, GB, TB)")
    }
    let (bytes, tooLarge) = count.multipliedReportingOverflow(by: unit.bytes)
    guard !tooLarge else { throw UnitError(description: "larger than any file") }
    return bytes
  }

  /// Exact, in the largest binary unit that divides it: `64KiB`, `1536MiB`, `1001B`.
  package static func exactText(_ bytes: Int64) -> String {
    if bytes == 0 { return "0" }
    for unit in units.reversed() where unit.symbol.hasSuffix("iB") && bytes % unit.bytes == 0 {
      return "\(bytes / unit.bytes)\(unit.symbol)"
    }
    return "\(bytes)B"
  }
}

extension Substring {
  /// Takes `12h` off the front.
  fileprivate mutating func takeCountedUnit(example: String, kind: String) throws(UnitError)
    -> (count: Int64, symbol: String)
  {
    let digits = prefix { $0.isASCII && $0.isNumber }
    let symbol = self[digits.endIndex...].prefix { $0.isLetter }
    guard !digits.isEmpty else {
      throw UnitError(description: "not a \(kind) (write for example \(example))")
    }
    let tail = self[symbol.endIndex...]
    if symbol.isEmpty, tail.first == "." || tail.first == "," {
      throw UnitError(description: "whole numbers only (write for example \(example))")
    }
    guard !symbol.isEmpty else {
      if tail.isEmpty { throw UnitError(description: "no unit (write for example \(example))") }
      throw UnitError(description: "not a \(kind) (write for example \(example))")
    }
    guard tail.isEmpty || tail.first!.isASCII && tail.first!.isNumber else {
      throw UnitError(description: "not a \(kind) (write for example \(example))")
    }
    guard let count = Int64(digits) else { throw UnitError(description: "the number is too large") }
    self = tail
    return (count, String(symbol))
  }
}
