import Glibc
import Synchronization
import Testing
import TierCore
import TierLinux

/// What apps, people, the NAS and tierd itself do to released files, by name, for both kinds of stubs; modelled on
/// Lustre's sanity-hsm. On ext4; on others with `TIERD_SCENARIOS_ON=xfs,btrfs,bindfs,glusterfs` or `all`.
/// `TIERD_SCENARIOS=text` plays only those whose names have it. `make scenarios` plays all, and writes the table.
@Suite(.serialized) struct ScenarioTests {
  @Test(.enabled(if: Place.ext4.obstacle == nil, "\(Place.ext4.obstacle ?? "")"))
  func whateverHappensToStubs() throws {
    let scenarios = Scenario.all.filter { scenario in
      getenv("TIERD_SCENARIOS").map { scenario.name.contains(String(cString: $0)) } ?? true
    }
    #expect(Set(scenarios.map(\.name)).count == scenarios.count, "each has a name of its own")
    let columns = try Self.play(scenarios)
    for column in columns {
      if let obstacle = column.obstacle {
        print("NOT POSSIBLE: \(column.title): \(obstacle)")
        // Where a person asked for it, or where it always was, that is news.
        let isExpected = column.place == .glusterfs && column.stub == .placeholder
        #expect(isExpected, "\(column.title): \(obstacle)")
      }
      for (scenario, outcome) in zip(scenarios, column.outcomes) {
        if case .failed(let why) = outcome { Issue.record("\(column.title): \(scenario.name): \(why)") }
      }
    }
    let table = ScenarioTable(scenarios: scenarios, columns: columns)
    print(table.text)
    if let path = getenv("TIERD_SCENARIOS_TABLE") { try table.write(String(cString: path)) }
  }

  /// Two at a time: they wait for disks most of the time.
  private static func play(_ scenarios: [Scenario]) throws -> [Column] {
    let places = Place.chosen.flatMap { place in Stub.allCases.map { (place, $0) } }
    let state = Mutex((next: 0, columns: [Int: Column](), failure: (any Error)?.none))
    let threads = (0..<2).map { _ in
      OwnedThread(name: "scenarios") {
        while true {
          let number = state.withLock { state in
            defer { state.next += 1 }
            return state.next
          }
          guard number < places.count else { return }
          do {
            let column = try Column(scenarios, places[number].0, places[number].1)
            state.withLock { $0.columns[number] = column }
          } catch { state.withLock { $0.failure = error } }
        }
      }
    }
    for thread in threads { thread.join() }
    return try state.withLock { state in
      if let failure = state.failure { throw failure }
      return places.indices.compactMap { state.columns[$0] }
    }
  }
}

/// All scenarios on one file system with one kind of stubs.
struct Column: Sendable {
  let place: Place
  let stub: Stub
  var outcomes: [Scenario.Outcome] = []
  /// Why there are none.
  var obstacle: String?

  var title: String { "\(place) \(stub)" }

  init(_ scenarios: [Scenario], _ place: Place, _ stub: Stub) throws {
    self.place = place
    self.stub = stub
    obstacle = try place.obstacle ?? Ground(place, stub).obstacle
    if obstacle == nil { outcomes = try Ground.outcomes(of: scenarios, on: place, stub) }
  }
}

/// One scenario a line.
struct ScenarioTable {
  let scenarios: [Scenario]
  let columns: [Column]

  private var played: [Column] { columns.filter { $0.obstacle == nil } }

  var text: String {
    var lines = ["| scenario | " + played.map(\.title).joined(separator: " | ") + " |"]
    lines.append("|---|" + played.map { _ in "---|" }.joined())
    for (number, scenario) in scenarios.enumerated() {
      let cells = played.map { $0.outcomes[number].text }
      lines.append("| \(scenario.name) | " + cells.joined(separator: " | ") + " |")
    }
    lines.append(
      "| **\(scenarios.count) scenarios: held** | " + played.map(Self.sum).joined(separator: " | ") + " |")
    for column in columns {
      if let obstacle = column.obstacle { lines += ["", "**\(column.title): not possible**: \(obstacle)."] }
    }
    return lines.map { $0 + "\n" }.joined()
  }

  private static func sum(_ column: Column) -> String {
    let here = column.outcomes.filter { $0 != .notHere }
    return "\(here.filter { $0 == .ok }.count) of \(here.count)"
  }

  func write(_ path: String) throws {
    let file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
    let length = text.utf8.count
    guard file >= 0, text.withCString({ Glibc.write(file, $0, length) }) == length else {
      throw SyscallError(call: "write", path: path, errno: errno)
    }
    close(file)
  }
}
