import Glibc
import TierLinux

/// `tier-bench all`, or `tier-bench <benchmark> [options]`. Measure release builds (`make bench`).
@main enum TierBench {
  private static let benchmarks: [any Benchmark.Type] = [
    NFSBenchmark.self, DirectoryBenchmark.self, ScanBenchmark.self, WatchBenchmark.self,
    CatalogBenchmark.self, DaemonBenchmark.self, GuardBenchmark.self, RecallBenchmark.self,
  ]
  /// What benchmarks run in a process of its own.
  private static let probes: [any Benchmark.Type] = [
    CatalogProbe.self, WatchProbe.self, GuardProbe.self, GuardBareReader.self,
  ]

  static func main() {
    let arguments = Array(CommandLine.arguments.dropFirst())
    if arguments == ["all"] { exit(runAll()) }
    guard let name = arguments.first,
      let benchmark = (benchmarks + probes).first(where: { $0.name == name })
    else {
      print("usage: tier-bench all | <benchmark> [options]\n")
      for benchmark in benchmarks { print("  \(benchmark.name)  \(benchmark.usage)") }
      exit(64)
    }
    exit(run(benchmark, Array(arguments.dropFirst())) ? 0 : 1)
  }

  private static func runAll() -> Int32 {
    print("\(MachineText.current)\n")
    var failed = 0
    for benchmark in benchmarks {
      print("## \(benchmark.name)\n")
      failed += run(benchmark, []) ? 0 : 1
      print("")
    }
    return failed == 0 ? 0 : 1
  }

  private static func run(_ benchmark: any Benchmark.Type, _ arguments: [String]) -> Bool {
    do {
      try benchmark.run(arguments)
      return true
    } catch let obstacle as Obstacle {
      print("SKIPPED \(benchmark.name): \(obstacle)")
      return true
    } catch {
      print("tier-bench \(benchmark.name): \(error)")
      return false
    }
  }
}

protocol Benchmark: SendableMetatype {
  static var name: String { get }
  /// Options and what is measured, in one line. Every option has a default.
  static var usage: String { get }
  static func run(_ arguments: [String]) throws
}

struct UsageError: Error, CustomStringConvertible {
  var description: String
}

/// Why this machine can't run a benchmark.
struct Obstacle: Error, CustomStringConvertible {
  var description: String
}

extension [String] {
  /// The number at a place, or the default where nothing was given.
  func number(_ index: Int, default value: Int) throws -> Int {
    guard index < count else { return value }
    guard let number = Int(self[index]), number > 0 else {
      throw UsageError(description: "\"\(self[index])\" is no number above 0")
    }
    return number
  }
}
