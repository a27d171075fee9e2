import Glibc
import TierCore
import TierLinux

/// `tier-bench <benchmark> [options]`: each benchmark prints one table. Measure release builds.
@main enum TierBench {
  private static let benchmarks: [any Benchmark.Type] = [CatalogBenchmark.self, CatalogProbe.self]

  static func main() {
    let arguments = Array(CommandLine.arguments.dropFirst())
    guard let name = arguments.first, let benchmark = benchmarks.first(where: { $0.name == name }) else {
      print("usage: tier-bench <benchmark> [options]\n")
      for benchmark in benchmarks { print("  \(benchmark.name)  \(benchmark.usage)") }
      exit(64)
    }
    do { try benchmark.run(Array(arguments.dropFirst())) } catch {
      print("tier-bench \(name): \(error)")
      exit(1)
    }
  }
}

protocol Benchmark: SendableMetatype {
  static var name: String { get }
  /// Options and what is measured, in one line.
  static var usage: String { get }
  static func run(_ arguments: [String]) throws
}

struct UsageError: Error, CustomStringConvertible {
  var description: String
}

/// Every run's time, the median of them and the worst.
struct Timing {
  private(set) var runs: [Duration] = []

  init(times: Int, _ body: () throws -> Void) rethrows {
    let clock = ContinuousClock()
    for _ in 0..<times { runs.append(try clock.measure(body)) }
  }

  var median: Duration { runs.sorted()[runs.count / 2] }
  var worst: Duration { runs.max() ?? .zero }
}

struct Table {
  private var rows: [[String]]

  init(_ headings: String...) { rows = [headings] }

  mutating func add(_ cells: String...) { rows.append(cells) }

  func print() {
    let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
    for row in rows {
      let padded = zip(row, widths).map { cell, width in
        cell + String(repeating: " ", count: width - cell.count)
      }
      Swift.print("| " + padded.joined(separator: " | ") + " |")
    }
  }
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
    let scale = value < 10 ? 100.0 : value < 100 ? 10 : 1
    let rounded = (value * scale).rounded() / scale
    return "\(scale == 1 ? String(Int(rounded)) : String(rounded)) \(unit)"
  }
}

/// A line of `/proc/self/status` such as `VmHWM`, in MiB.
func memory(_ field: String) throws -> String {
  let descriptor = open("/proc/self/status", O_RDONLY)
  defer { close(descriptor) }
  var text = [UInt8](repeating: 0, count: 4096)
  let count = max(0, read(descriptor, &text, text.count))
  let line = String(decoding: text[..<count], as: UTF8.self).split(separator: "\n").first {
    $0.hasPrefix(field)
  }
  guard let kibibytes = line?.split(whereSeparator: { !$0.isNumber }).first.flatMap({ Int($0) }) else {
    throw UsageError(description: "no \(field) in /proc/self/status")
  }
  return "\((Double(kibibytes) / 102.4).rounded() / 10) MiB"
}
