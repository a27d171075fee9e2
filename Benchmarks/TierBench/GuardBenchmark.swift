import CTierLinux
import Glibc
import TierGuard
import TierGuardSupport
import TierLinux
import TierTestSupport

/// What the guard costs who opens files that are there, from a process that isn't the guard's client. Each round
/// measures the same files without a guard, at their first open with one, and at a later one; and so with a reader that
/// lets everybody through: what the kernel takes. A new round's group knows nothing of the one before.
enum GuardBenchmark: Benchmark {
  static let name = "guard"
  static let usage =
    "[ROUNDS=15] [FILES=1000]: open() of resident files without the guard, with it, and with a reader that looks at nothing; ext4, xfs, FUSE"

  static func run(_ arguments: [String]) throws {
    let rounds = try arguments.number(0, default: 15)
    let files = try arguments.number(1, default: 1000)
    let kinds: [GuardBench.Kind] = [.ext4, .xfs, .fuse].filter(\.isAvailable)
    guard !kinds.isEmpty else { throw Obstacle(description: "needs root and loop devices") }
    var table = Table(
      "open() and close()", "nobody asked", "first: a bare reader", "more", "the guard", "more",
      "later: a bare reader", "more", "the guard", "more", "read() more")
    var prices: [(GuardBench.Kind, Price)] = []
    for kind in kinds {
      let price = try measure(kind, rounds: rounds, files: files)
      prices.append((kind, price))
      let cells = [price.bareFirst, price.first, price.bareLater, price.later].flatMap {
        [$0.median.short, $0.more.short]
      }
      table.add([kind.rawValue, price.alone.short] + cells + [price.readMore.short])
    }
    table.print()
    print("")
    for (kind, price) in prices where kind.isLocal {
      let first = Double(price.first.more.nanoseconds) / 1000
      printGoal("\(kind.rawValue): a first open more than without guard, µs", reached: first, atMost: 15)
      let later = Double(price.later.median.nanoseconds) / Double(price.alone.nanoseconds)
      printGoal("\(kind.rawValue): a later open, ratio to without guard", reached: later, atMost: 1.1)
    }
  }

  /// Over the rounds; what is more, of each round's own difference.
  private struct Figure {
    var median, more: Duration
  }

  private struct Price {
    var alone, readMore: Duration
    var bareFirst, bareLater, first, later: Figure
  }

  private static func measure(_ kind: GuardBench.Kind, rounds: Int, files: Int) throws -> Price {
    let bench = try GuardBench(kind)
    for number in 0..<files { try Placeholder.makeResident(bench.path("f\(number)"), size: 4096) }
    // Also starts the guard, whose start isn't measured.
    try guarded(bench) { _ = try probe(bench, files) }
    var (alone, bareFirst, bareLater): ([Probe], [Probe], [Probe]) = ([], [], [])
    var (first, later): ([Probe], [Probe]) = ([], [])
    for _ in 0..<rounds {
      alone.append(try probe(bench, files))
      try guarded(bench) {
        first.append(try probe(bench, files))
        later.append(try probe(bench, files))
      }
      let reader = App(Programs.own, [GuardBareReader.name, bench.path])
      try eventually("the bare reader") { reader.lines == ["reads"] }
      bareFirst.append(try probe(bench, files))
      bareLater.append(try probe(bench, files))
      reader.stop()
    }
    func more(_ part: KeyPath<Probe, Duration>, _ with: [Probe]) -> Duration {
      Timing(zip(with, alone).map { $0[keyPath: part] - $1[keyPath: part] }).median
    }
    func figure(_ probes: [Probe]) -> Figure {
      Figure(median: Timing(probes.map(\.open)).median, more: more(\.open, probes))
    }
    return Price(
      alone: Timing(alone.map(\.open)).median, readMore: more(\.read, later), bareFirst: figure(bareFirst),
      bareLater: figure(bareLater), first: figure(first), later: figure(later))
  }

  private static func guarded(_ bench: GuardBench, _ body: () throws -> Void) throws {
    let connection = try bench.connect()
    _ = try connection.protect()
    try body()
    try connection.unprotect()
  }

  private struct Probe {
    var open, read: Duration
  }

  private static func probe(_ bench: GuardBench, _ files: Int) throws -> Probe {
    let result = try ChildProcess.run(
      ChildCommand(Programs.own, [GuardProbe.name, bench.path("f"), "\(files)"]), deadline: .seconds(120))
    let numbers = String(decoding: result.output, as: UTF8.self).split(whereSeparator: \.isWhitespace)
      .compactMap { Int64($0) }
    guard result.succeeded, numbers.count == 2 else {
      throw SyscallFailure(description: "the probe failed: \(result.ending) \(result.errorText)")
    }
    return Probe(open: .nanoseconds(numbers[0]), read: .nanoseconds(numbers[1]))
  }
}

/// Opens each file once, as an app does, and prints the median of opening and closing, and of reading 4 KiB, in ns.
enum GuardProbe: Benchmark {
  static let name = "guard-probe"
  static let usage = "PATH COUNT: a part of `guard`"

  static func run(_ arguments: [String]) throws {
    let count = try arguments.number(1, default: 1)
    var (opens, reads): ([Duration], [Duration]) = ([], [])
    var bytes = [UInt8](repeating: 0, count: 4096)
    for number in 0..<count {
      let path = "\(arguments[0])\(number)"
      var file: Int32 = -1
      let opening = timed { file = open(path, O_RDONLY) }
      precondition(file >= 0)
      reads.append(timed { precondition(read(file, &bytes, bytes.count) == bytes.count) })
      opens.append(opening + timed { close(file) })
    }
    print("\(Timing(opens).median.nanoseconds) \(Timing(reads).median.nanoseconds)")
  }
}

/// Lets everybody through, and asks once for each file, as the guard does; but looks at nothing.
enum GuardBareReader: Benchmark {
  static let name = "guard-bare-reader"
  static let usage = "ROOT: a part of `guard`; never ends"

  static func run(_ arguments: [String]) throws {
    let group = tier_permission_group()
    let root = open(arguments[0], O_RDONLY | O_DIRECTORY)
    var asked = tier_OPEN_PERM | tier_PRE_ACCESS
    if tier_permission_mark(group, asked, root) != 0 {
      asked = tier_OPEN_PERM | tier_ACCESS_PERM
      guard tier_permission_mark(group, asked, root) == 0 else {
        throw Obstacle(description: "this kernel asks nobody")
      }
    }
    print("reads")
    fflush(nil)
    let events = UnsafeMutablePointer<tier_permission_event>.allocate(capacity: 2)
    while true {
      let count = tier_permission_read(group, events)
      if count < 0 {
        var poll = pollfd(fd: group, events: Int16(POLLIN), revents: 0)
        _ = Glibc.poll(&poll, 1, -1)
      }
      for index in 0..<Int(max(0, count)) {
        let file = events[index].file
        _ = tier_permission_ignore(group, asked, file)
        _ = tier_permission_answer(group, file, 0)
        close(file)
      }
    }
  }
}
