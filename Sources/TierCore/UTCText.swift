/// Times as people and other programs read them: ISO 8601 in UTC, without a calendar library.
extension Timestamp {
  /// `2026-11-23T10:58:00Z`, with as many decimals as needed, in groups of three: `…:00.250Z`.
  package var utcText: String {
    let (date, time) = civil
    var text = "\(date.year.padded(4))-\(date.month.padded(2))-\(date.day.padded(2))"
    text += "T\((time / 3600).padded(2)):\((time / 60 % 60).padded(2)):\((time % 60).padded(2))"
    var fraction = nanoseconds.remainder(floored: 1_000_000_000)
    guard fraction != 0 else { return text + "Z" }
    var digits: Int64 = 9
    while fraction % 1000 == 0 {
      fraction /= 1000
      digits -= 3
    }
    return text + ".\(fraction.padded(Int(digits)))Z"
  }

  /// `20261123T105800Z`: whole seconds, fit for file names.
  package var compactUTCText: String {
    let (date, time) = civil
    return "\(date.year.padded(4))\(date.month.padded(2))\(date.day.padded(2))"
      + "T\((time / 3600).padded(2))\((time / 60 % 60).padded(2))\((time % 60).padded(2))Z"
  }

  /// Reads what `utcText` writes; nil for anything else, for dates that don't exist and for what is outside
  /// of 64 bits of nanoseconds (the years 1678 to 2261 in full).
  package init?(utcText text: some StringProtocol) {
    let bytes = Array(text.utf8)
    guard bytes.count >= 20, bytes.last == UInt8(ascii: "Z") else { return nil }
    for (position, separator) in zip([4, 7, 10, 13, 16], "--T::".utf8) where bytes[position] != separator {
      return nil
    }
    func number(_ range: Range<Int>) -> Int64? {
      guard bytes[range].allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
      return Int64(String(decoding: bytes[range], as: UTF8.self))
    }
    guard let year = number(0..<4), let month = number(5..<7), let day = number(8..<10),
      let hour = number(11..<13), let minute = number(14..<16), let second = number(17..<19),
      (1...12).contains(month), day >= 1, hour < 24, minute < 60, second < 60
    else { return nil }
    var fraction: Int64 = 0
    if bytes.count > 20 {
      let digits = bytes.count - 21
      guard bytes[19] == .dot, [3, 6, 9].contains(digits), let value = number(20..<20 + digits) else {
        return nil
      }
      fraction = (digits..<9).reduce(value) { value, _ in value * 10 }
    }
    let days = Self.days(year: year, month: month, day: day)
    let seconds = days * 86_400 + hour * 3600 + minute * 60 + second
    let (whole, tooLarge) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
    let (nanoseconds, sumTooLarge) = whole.addingReportingOverflow(fraction)
    guard !tooLarge, !sumTooLarge else { return nil }
    self.init(nanoseconds: nanoseconds)
    guard civil.date == (year, month, day) else { return nil }
  }

  /// The date in the proleptic Gregorian calendar, and the second of that day.
  private var civil: (date: (year: Int64, month: Int64, day: Int64), time: Int64) {
    let seconds = nanoseconds.quotient(floored: 1_000_000_000)
    let time = seconds.remainder(floored: 86_400)
    // Howard Hinnant's civil_from_days: eras of 400 years that begin on 1 March, so that leap days come last.
    let shifted = seconds.quotient(floored: 86_400) + 719_468
    let era = shifted.quotient(floored: 146_097)
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    return ((year, month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1), time)
  }

  /// Days since 1970-01-01; the inverse of `civil`.
  private static func days(year: Int64, month: Int64, day: Int64) -> Int64 {
    let shiftedYear = month <= 2 ? year - 1 : year
    let era = shiftedYear.quotient(floored: 400)
    let yearOfEra = shiftedYear - era * 400
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
  }
}

extension Int64 {
  fileprivate func quotient(floored divisor: Int64) -> Int64 {
    self / divisor - (self % divisor < 0 ? 1 : 0)
  }

  fileprivate func remainder(floored divisor: Int64) -> Int64 {
    self % divisor + (self % divisor < 0 ? divisor : 0)
  }

  fileprivate func padded(_ width: Int) -> String {
    let digits = String(self)
    return String(repeating: "0", count: Swift.max(0, width - digits.utf8.count)) + digits
  }
}
