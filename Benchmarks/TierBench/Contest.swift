import Glibc

/// One way to do a piece of work.
struct Contender {
  var name: String
  /// What a run leaves behind: `durable`, `verified`, …
  var remark = ""
  /// Not timed.
  var prepare: () throws -> Void = {}
  /// What the work took.
  var run: () throws -> Duration
  /// Not timed.
  var cleanUp: () throws -> Void = {}
}

/// Several ways to do the same work, in turns (A B C, A B C, …): whatever else the machine does meets all alike.
struct Contest {
  private let own: [String]
  private let remarks: [(name: String, remark: String)]
  private var times: [String: [Duration]] = [:]

  /// `own` are ours: everyone is compared with each of them. `only`: those whose name contains it.
  init(own: [Contender], peers: [Contender], rounds: Int, only: String? = nil) throws {
    let isChosen = { (contender: Contender) in only.map(contender.name.contains) ?? true }
    let (own, peers) = (own.filter(isChosen), peers.filter(isChosen))
    self.own = own.map(\.name)
    remarks = (own + peers).map { ($0.name, $0.remark) }
    for _ in 0..<rounds {
      for contender in own + peers {
        try contender.prepare()
        let time = try contender.run()
        times[contender.name, default: []].append(time)
        // On standard error: a long run shows that it lives, and what an interrupted one came to.
        let line = "  \(contender.name): \(time.short)\n"
        _ = write(STDERR_FILENO, line, line.utf8.count)
        try contender.cleanUp()
      }
    }
  }

  func median(of name: String) -> Duration { Timing(times[name] ?? []).median }

  /// How many times as long `other` took as `name`: the median of the rounds' own ratios.
  func speed(of name: String, against other: String) -> Double {
    let ratios = zip(times[other] ?? [], times[name] ?? []).map { $0.seconds / $1.seconds }.sorted()
    return ratios.isEmpty ? .nan : ratios[ratios.count / 2]
  }

  /// `rate` says what a median amounts to: files or bytes a second.
  func print(_ title: String, rate: (Duration) -> String) {
    Swift.print("\(title)\n")
    let columns = own.map { "time / \($0)" }
    var table = Table(["", "leaves", "median", "least to most", "rate"] + columns)
    for (name, remark) in remarks {
      let timing = Timing(times[name] ?? [])
      let ratios = own.map { threeDigits(speed(of: $0, against: name)) }
      table.add(
        [
          name, remark, timing.median.short, "\(timing.best.short) to \(timing.worst.short)",
          rate(timing.median),
        ]
          + ratios)
    }
    table.print()
    Swift.print("")
  }
}
