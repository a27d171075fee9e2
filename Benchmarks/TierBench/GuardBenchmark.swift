import Glibc
import TierGuard
import TierGuardSupport
import TierLinux
import TierTestSupport

/// What the guard costs who opens files that are there: on ext4, from a process that isn't the guard's client.
enum GuardBenchmark: Benchmark {
  static let name = "guard"
  static let usage =
    "[FILES=2000]: open() of a resident file without the guard, with it, and once it is known"

  static func run(_ arguments: [String]) throws {
    let files = try arguments.number(0, default: 2000)
    guard GuardBench.Kind.ext4.isAvailable else { throw Obstacle(description: "needs root and loop devices") }
    let bench = try GuardBench(.ext4)
    for number in 0..<files { try Placeholder.makeResident(bench.path("f\(number)"), size: 100) }
    var table = Table("open() and close(), ext4", "median", "worst")
    func measure(_ what: String) throws -> Double {
      let result = try ChildProcess.run(
        ChildCommand(Programs.own, [GuardProbe.name, bench.path("f"), "\(files)"]), deadline: .seconds(120))
      let numbers = String(decoding: result.output, as: UTF8.self).split(separator: " ").compactMap {
        Int64($0)
      }
      guard result.succeeded, numbers.count == 2 else {
        throw SyscallFailure(description: "the probe failed: \(result.ending) \(result.errorText)")
      }
      table.add(what, Duration.nanoseconds(numbers[0]).short, Duration.nanoseconds(numbers[1]).short)
      return Double(numbers[0]) / 1000
    }
    _ = try measure("warming up")
    let bare = try measure("without guard")
    let (connection, _) = try bench.protect(.wait)
    let first = try measure("with guard, first open")
    let later = try measure("with guard, later opens")
    table.print()
    withExtendedLifetime(connection) {}
    print("")
    printGoal("a first open more than without guard, µs", reached: first - bare, atMost: 15)
    printGoal("later opens, ratio to without guard", reached: later / bare, atMost: 1.2)
  }
}

/// Opens each file once, as an app does.
enum GuardProbe: Benchmark {
  static let name = "guard-probe"
  static let usage = "PATH COUNT: a part of `guard`"

  static func run(_ arguments: [String]) throws {
    let count = try arguments.number(1, default: 1)
    var times: [Duration] = []
    for number in 0..<count {
      let path = "\(arguments[0])\(number)"
      times.append(
        timed {
          let file = open(path, O_RDONLY)
          precondition(file >= 0)
          close(file)
        })
    }
    let timing = Timing(times)
    print("\(timing.median.nanoseconds) \(timing.worst.nanoseconds)")
  }
}
