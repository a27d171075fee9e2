/// Figures as people read them; the same on terminals and on the status page.
package enum HumanText {
  /// `0 B`, `999 B`, `1.4 GB`, `140 GB`: decimal units, two or three digits.
  package static func bytes(_ count: Int64) -> String {
    let sign = count < 0 ? "-" : ""
    var value = count.magnitude
    if value < 1000 { return "\(sign)\(value) B" }
    // The last unit holds all that 64 bits can.
    for unit in ["kB", "MB", "GB", "TB", "PB", "EB"] {
      // 9.95 would round to the three digits of 10.0.
      if value < 9_950 { return "\(sign)\((value + 50) / 1000).\((value + 50) % 1000 / 100) \(unit)" }
      if value < 999_500 || unit == "EB" { return "\(sign)\((value + 500) / 1000) \(unit)" }
      value = (value + 500) / 1000
    }
    return ""
  }

  /// `12,345`.
  package static func count(_ count: Int) -> String {
    var digits = String(count.magnitude)[...]
    var groups: [Substring] = []
    while digits.count > 3 {
      groups.insert(digits.suffix(3), at: 0)
      digits = digits.dropLast(3)
    }
    return (count < 0 ? "-" : "") + ([digits] + groups).joined(separator: ",")
  }

  /// `1 file`, `12,345 files`.
  package static func files(_ count: Int) -> String {
    "\(self.count(count)) \(count == 1 ? "file" : "files")"
  }

  /// `0 s`, `45 s`, `12 min`, `3 h`, `5 d`: one unit, of which there are always enough to tell.
  package static func duration(seconds: Int64) -> String {
    let length = seconds.magnitude
    switch length {
    case ..<90: return "\(length) s"
    case ..<(90 * 60): return "\((length + 30) / 60) min"
    case ..<(36 * 3600): return "\((length + 1800) / 3600) h"
    case ..<(1000 * 86_400): return "\((length + 43_200) / 86_400) d"
    default: return "\((length + 15_778_800) / 31_557_600) years"
    }
  }

  /// `84 %`; a whole that is 0 gives `-`.
  package static func percent(_ part: Int64, of whole: Int64) -> String {
    whole <= 0 ? "-" : "\(Int((Double(part) / Double(whole) * 100).rounded(.down))) %"
  }
}
