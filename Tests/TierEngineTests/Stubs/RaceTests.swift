import Glibc
import Testing
import TierCore
import TierGuardSupport
import TierLinux
import TierTestSupport

@testable import TierEngine

/// Release, recall, archive, write, rename and compare, all at once, as ScoutFS's race of stage and release: two
/// threads of tierd's own do what they please with the files that six apps in two other processes work on. Every read
/// is compared with all that was written before, every round; what the target holds, every twenty rounds.
/// `TIERD_RACE_ROUNDS=1000`; `TIERD_RACE_SEED` repeats a failure.
/// `TIERD_RACE_STUBS=placeholder` plays these alone.
@Suite(.serialized) struct RaceTests {
  private static let stubs: [Stub] = {
    guard let text = getenv("TIERD_RACE_STUBS").map({ String(cString: $0) }) else { return Stub.allCases }
    return Stub.allCases.filter { text.contains($0.rawValue) }
  }()

  @Test(.enabled(if: Place.ext4.obstacle == nil, "\(Place.ext4.obstacle ?? "")"), arguments: Self.stubs)
  func noByteIsWrongAndNoWriteIsLost(_ stub: Stub) throws {
    let rounds = getenv("TIERD_RACE_ROUNDS").flatMap { Int(String(cString: $0)) } ?? 50
    let seed =
      getenv("TIERD_RACE_SEED").flatMap { UInt64(String(cString: $0)) } ?? UInt64.random(in: 1..<1_000_000)
    let race = try Race(stub, seed: seed)
    do {
      for round in 0..<rounds {
        try race.play(round)
        if (round + 1) % 20 == 0 || round + 1 == rounds { try race.settle() }
      }
    } catch {
      Issue.record("\(stub), TIERD_RACE_SEED=\(seed), round \(race.round): \(error)")
    }
    let line = "\(Place.ext4) \(stub): \(race.tally), seed \(seed)"
    print("RACE", line)
    // Else nothing was proven.
    #expect(race.tally.releases > rounds / 4 && race.tally.restores > rounds / 4, "\(line)")
    if let path = getenv("TIERD_RACE_TABLE") { try Race.add("- \(line)\n", to: String(cString: path)) }
  }
}

/// A few files, and who works on them.
final class Race {
  struct Tally: CustomStringConvertible {
    var rounds = 0, reads = 0, writes = 0, renames = 0, releases = 0, freed = 0, restores = 0, killed = 0
    var description: String {
      "\(rounds) rounds: \(reads) reads compared, \(writes) writes, \(renames) renames, \(releases) releases begun, "
        + "\(freed) freed, \(restores) restores, \(killed) waiting readers killed"
    }
  }

  private static let files = 4
  private let ground: Ground
  private let seed: UInt64
  private var random: SplitMix
  private let locks: TemporaryDirectory
  private var history: RaceHistory
  private(set) var tally = Tally()
  private(set) var round = 0

  init(_ stub: Stub, seed: UInt64) throws {
    ground = try Ground(.ext4, stub) { policy in
      policy.archive.after = .seconds(1)
      policy.restore.stay = .zero
      policy.restore.perMinute = 1_000_000
    }
    self.seed = seed
    random = SplitMix(state: seed)
    locks = try TemporaryDirectory()
    history = RaceHistory(files: Self.files)
    let line = RaceHistory.firstLine
    for file in 0..<Self.files {
      ground.bench.write("f\(file)", String(repeating: line + "\n", count: 500))
    }
    try ground.bench.archive()
  }

  // MARK: A round

  func play(_ number: Int) throws {
    round = number
    try releaseAll()
    let tierd = TierdAtWork(ground, seed: random.next())
    let apps = (0..<2).map { _ in
      App(
        "race", on: ground.bench.cache, locks.path(""), "\(Self.files)",
        "\(random.next() % 100_000_000 * 10)")
    }
    let victim = number % 5 == 0 ? App(reading: "\(ground.bench.cache)/f\(number / 5 % Self.files)") : nil
    if let victim {
      pause(atMost: 30_000)
      victim.stop()
      tally.killed += 1
    }
    do {
      try eventually(within: .seconds(110), "the apps' end") {
        apps.allSatisfy(\.hasEnded) || tierd.hasFailed
      }
    } catch {
      tierd.end()
      throw error
    }
    tierd.end()
    if let error = tierd.failure { throw error }
    tally.releases += tierd.releases
    let site: CallSite = ground.stub == .placeholder ? "placeholder.markReleased" : "release.free"
    tally.freed = ground.faults.count(of: site)
    try judge(apps)
    tally.rounds += 1
    tally.restores = ground.bench.windows.condition.counters.restoredFiles
  }

  /// Apps find stubs, or files that linger.
  private func releaseAll() throws {
    let bench = ground.bench
    bench.clock.advance(.seconds(2))
    try bench.archive()
    let rows = try bench.catalog.files(below: bench.volume.rootDirectory, after: nil, limit: 100)
    let begun = bench.loop.release(rows.filter { $0.state == .archived })
    tally.releases += begun.count { if case .released = $0 { true } else { false } }
    if Bool.random(using: &random) {
      bench.clock.advance(.seconds(3))
      try bench.loop.finishLingering()
    }
  }

  private func judge(_ apps: [App]) throws {
    var events: [RaceEvent] = []
    for app in apps {
      let result = try app.result()
      guard result.succeeded else {
        throw Broken(description: "an app ended with \(result.ending) \(result.errorText)")
      }
      for line in String(decoding: result.output, as: UTF8.self).split(separator: "\n") {
        guard let event = RaceEvent(line) else { throw Broken(description: "an app said \(line)") }
        events.append(event)
      }
    }
    guard events.count == 30 else { throw Broken(description: "\(events.count) operations of 30") }
    try history.take(events)
    tally.reads += events.count { if case .read = $0.what { true } else { false } }
    tally.renames += events.count { $0.what == .renamed }
    tally.writes += events.count { event in
      switch event.what {
      case .wrote, .appended: true
      default: false
      }
    }
  }

  // MARK: Afterwards

  /// Nobody works any more: the volume, the target and the catalog agree with what was written.
  func settle() throws {
    let bench = ground.bench
    for _ in 0..<2 {
      bench.clock.advance(.seconds(61))
      try bench.loop.finishLingering()
      try bench.archive()
    }
    for file in 0..<Self.files {
      let names = ["f\(file)", "g\(file)"].filter(bench.exists)
      guard names.count == 1, let name = names.first else {
        throw Broken(description: "file \(file) has the names \(names)")
      }
      let expected = history.content(of: file)
      guard let copy = try bench.row(name).copy, bench.read("\(copy.path)", in: bench.nas) == expected else {
        throw Broken(description: "\(name)'s copy isn't what was written, its row \(try bench.row(name))")
      }
      if try bench.row(name).state == .released { continue }
      guard bench.read(name) == expected else { throw Broken(description: "\(name) isn't what was written") }
    }
    let intents = try bench.catalog.openIntents(limit: 10)
    guard bench.leftovers() == [], intents.isEmpty, bench.volume.unfinished.isEmpty else {
      throw Broken(description: "left over: \(bench.leftovers()), \(intents)")
    }
  }

  static func add(_ line: String, to path: String) throws {
    let file = open(path, O_WRONLY | O_CREAT | O_APPEND, 0o644)
    let length = line.utf8.count
    guard file >= 0, line.withCString({ write(file, $0, length) }) == length else {
      throw SyscallError(call: "write", path: path, errno: errno)
    }
    close(file)
  }
}
