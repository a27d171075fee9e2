import Glibc
import TierCore

/// Every run's time, the median of them and the extremes.
struct Timing {
  private(set) var runs: [Duration] = []

  init(times: Int, _ body: () throws -> Void) rethrows {
    for _ in 0..<times { runs.append(try timed(body)) }
  }

  init(_ runs: [Duration]) { self.runs = runs }

  var median: Duration { runs.sorted()[runs.count / 2] }
  var best: Duration { runs.min() ?? .zero }
  var worst: Duration { runs.max() ?? .zero }
}

func timed(_ body: () throws -> Void) rethrows -> Duration { try ContinuousClock().measure(body) }

struct Table {
  private var rows: [[String]]

  init(_ headings: [String]) { rows = [headings] }
  init(_ headings: String...) { self.init(headings) }

  mutating func add(_ cells: [String]) { rows.append(cells) }
  mutating func add(_ cells: String...) { add(cells) }

  /// As Markdown, so that it can be kept as it is.
  func print() {
    let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
    for (index, row) in rows.enumerated() {
      let padded = zip(row, widths).map { cell, width in
        cell + String(repeating: " ", count: width - cell.count)
      }
      Swift.print("| " + padded.joined(separator: " | ") + " |")
      if index == 0 {
        Swift.print("|" + widths.map { String(repeating: "-", count: $0 + 2) }.joined(separator: "|") + "|")
      }
    }
    // Through a pipe too, a long run is followed as it goes.
    fflush(nil)
  }
}

/// What was aimed at, beside what came out.
func printGoal(_ what: String, reached: Double, atLeast limit: Double) {
  printGoal(what, reached, reached >= limit, "at least \(threeDigits(limit))")
}

func printGoal(_ what: String, reached: Double, atMost limit: Double) {
  printGoal(what, reached, reached <= limit, "at most \(threeDigits(limit))")
}

/// Nothing where a peer was left out.
private func printGoal(_ what: String, _ reached: Double, _ isReached: Bool, _ goal: String) {
  if reached.isNaN { return }
  print("- \(isReached ? "reached" : "MISSED"): \(what): \(threeDigits(reached)), goal \(goal)")
}

/// Three digits.
func threeDigits(_ value: Double) -> String {
  let scale = value < 10 ? 100.0 : value < 100 ? 10 : 1
  let rounded = (value * scale).rounded() / scale
  return scale == 1 || rounded == rounded.rounded() ? String(Int(rounded)) : String(rounded)
}

extension Duration {
  /// Three digits: `12.3 ms`.
  var short: String {
    let nanoseconds = Double(nanoseconds)
    let (value, unit) =
      switch nanoseconds {
      case ..<1e6: (nanoseconds / 1e3, "µs")
      case ..<1e9: (nanoseconds / 1e6, "ms")
      default: (nanoseconds / 1e9, "s")
      }
    return "\(threeDigits(value)) \(unit)"
  }

  var seconds: Double { Double(nanoseconds) / 1e9 }
}
