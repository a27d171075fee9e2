import Foundation
import Testing

@testable import TierCore

/// A file under `Fixtures/hints`; its README says how to read one.
struct HintFixture: CustomTestStringConvertible {
  struct Line: Equatable, CustomStringConvertible {
    var milliseconds: Int64
    var hint: Hint

    var description: String { "\(Double(milliseconds) / 1000) \(hint)" }
    var time: Duration { .milliseconds(milliseconds) }
  }

  struct Malformed: Error { var line: String }

  var testDescription: String
  var quiet = Duration.zero
  var maximum = Duration.zero
  var places = 0
  var input: [Line] = []
  var output: [Line] = []

  static let directory = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "Fixtures/hints")

  static func all() throws -> [HintFixture] {
    try FileManager.default.contentsOfDirectory(atPath: directory.path)
      .filter { $0.hasSuffix(".txt") }.sorted().map(HintFixture.init(fileName:))
  }

  init(fileName: String) throws {
    testDescription = fileName
    let text = try String(contentsOf: Self.directory.appending(path: fileName), encoding: .utf8)
    for line in text.split(separator: "\n").map(String.init) where !line.hasPrefix("#") {
      let words = line.split(separator: " ", maxSplits: 2).map { $0.trimmingCharacters(in: .whitespaces) }
      if words.count == 2, let number = Double(words[1]) {
        switch words[0] {
        case "quiet": quiet = .seconds(number)
        case "maximum": maximum = .seconds(number)
        case "places": places = Int(number)
        default: throw Malformed(line: "\(fileName): \(line)")
        }
      } else if words.count == 3, let seconds = Double(words[0]), ["in", "out"].contains(words[1]),
        let hint = Self.hint(words[2])
      {
        let line = Line(milliseconds: Int64((seconds * 1000).rounded()), hint: hint)
        if words[1] == "in" { input.append(line) } else { output.append(line) }
      } else {
        throw Malformed(line: "\(fileName): \(line)")
      }
    }
  }

  private static func hint(_ text: String) -> Hint? {
    let parts = text.split(separator: " ", maxSplits: 1).map(String.init)
    let rest = parts.count > 1 ? parts[1] : ""
    if parts[0] == "everything" { return .everything(rest) }
    if parts[0] == "volumeGone" { return .volumeGone }
    guard let path = rest == "." ? .root : RelativePath(escaped: rest),
      let hint = PlaceHint.allCases.first(where: { "\($0)" == parts[0] })
    else { return nil }
    return Hint(hint, at: path)
  }
}
