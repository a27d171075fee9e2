import TierCore

/// What rsync prints: escaped names, listings, itemized changes. Read from a client of ours under `LC_ALL=C`,
/// `TZ=UTC0` and `-8`, so the server's version doesn't matter.
enum RsyncText {
  /// Undoes `\#ooo`, which stands for bytes that aren't printable (and for a backslash before `#`).
  static func unescape(_ text: [UInt8]) -> [UInt8] {
    guard text.contains(.backslash) else { return text }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.count)
    var rest = text[...]
    while let byte = rest.popFirst() {
      let digits = rest.dropFirst().prefix(3)
      if byte == .backslash, rest.first == UInt8(ascii: "#"), digits.count == 3,
        let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 8)
      {
        bytes.append(value)
        rest = rest.dropFirst(4)
      } else {
        bytes.append(byte)
      }
    }
    return bytes
  }

  struct Listed: Equatable {
    /// As it was asked for: below the place that was listed.
    var path: [UInt8]
    var isDirectory: Bool
    var status: TargetStatus
  }

  /// `-rw-r--r--          1234 2026/11/23 11:25:55 vol/a b`; nil for any other line. Times have whole seconds.
  static func listed(_ line: [UInt8]) -> Listed? {
    var rest = line[...]
    func field() -> String? {
      while rest.first == .space { rest.removeFirst() }
      let text = rest.prefix { $0 != .space }
      rest = rest.dropFirst(text.count)
      return text.isEmpty ? nil : String(decoding: text, as: UTF8.self)
    }
    guard let mode = field(), mode.utf8.count >= 10, let size = field().flatMap({ Int64($0) }),
      let seconds = field().flatMap({ day in field().flatMap { time in self.seconds(day: day, time: time) } }
      ),
      rest.popFirst() == .space, !rest.isEmpty
    else { return nil }
    let time = FileTime(seconds: seconds, nanoseconds: 0)
    return Listed(
      path: unescape(Array(rest)), isDirectory: mode.first == "d",
      status: TargetStatus(size: size, modified: time, isRegular: mode.first == "-"))
  }

  /// The path that an itemized line (`<f+++++++++ path`) says would be sent; nil for any other line.
  static func sent(_ line: [UInt8]) -> RelativePath? {
    guard line.count > 12, line[0] == UInt8(ascii: "<"), line[1] == UInt8(ascii: "f"), line[11] == .space
    else {
      return nil
    }
    return RelativePath(unescape(Array(line[12...])))
  }

  /// True for the server's complaint that nothing can have a name that it was asked for: there is nothing
  /// (ENOENT), there can't be (ENOTDIR, ENAMETOOLONG), or only behind a symbolic link (ELOOP).
  static func isAboutMissing(_ line: [UInt8]) -> Bool {
    let text = String(decoding: line, as: UTF8.self)
    return (text.contains("link_stat \"") || text.contains("change_dir"))
      && [" (2)", " (20)", " (36)", " (40)"].contains(where: text.hasSuffix)
  }

  /// True for rsync's own last words, which sum up what was said before.
  static func isTheEnd(_ line: [UInt8]) -> Bool {
    let text = String(decoding: line, as: UTF8.self)
    return text.hasPrefix("rsync error: ") || text.hasPrefix("rsync warning: ")
  }

  private static func seconds(day: String, time: String) -> Int64? {
    let date = day.split(separator: "/").map { Int64($0) }
    let clock = time.split(separator: ":").map { Int64($0) }
    guard date.count == 3, clock.count == 3, let year = date[0], let month = date[1], let day = date[2],
      let hour = clock[0], let minute = clock[1], let second = clock[2]
    else { return nil }
    return daysSince1970(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second
  }

  /// The proleptic Gregorian calendar, in years that begin in March.
  private static func daysSince1970(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
    let shifted = month > 2 ? year : year - 1
    let era = (shifted >= 0 ? shifted : shifted - 399) / 400
    let yearOfEra = shifted - era * 400
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
    return era * 146_097 + dayOfEra - 719_468
  }
}

extension UInt8 {
  static let space = UInt8(ascii: " ")
}
