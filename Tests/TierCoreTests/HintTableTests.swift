import Testing
import TierTestSupport

@testable import TierCore

@Suite struct HintTableTests {
  @Test func everyFixtureIsFound() throws {
    #expect(try HintFixture.all().count >= 14)
  }

  @Test(arguments: try HintFixture.all())
  func behavesAsTheFixtureSays(_ fixture: HintFixture) {
    var table = HintTable(quiet: fixture.quiet, maximumWait: fixture.maximum, placeLimit: fixture.places)
    var seen: [HintFixture.Line] = []
    func takeUntil(_ end: Duration) {
      while let due = table.nextDue, due <= end {
        let milliseconds = due.nanoseconds / 1_000_000
        seen += table.takeDue(now: due).map { HintFixture.Line(milliseconds: milliseconds, hint: $0) }
      }
    }
    // What is due at the very second of an event comes out first, but for whole-volume hints, which a fixture
    // lists after the events of the same second.
    var index = 0
    while index < fixture.input.count {
      let time = fixture.input[index].time
      takeUntil(time)
      while index < fixture.input.count, fixture.input[index].time == time {
        table.add([fixture.input[index].hint], now: time)
        index += 1
      }
    }
    takeUntil(.seconds(1_000_000))
    #expect(seen == fixture.output)
    #expect(table.count == 0)
    #expect(table.placeCount == 1)
  }

  /// Every pair of hints about places, in every relation, written out.
  @Test(arguments: [
    ("same", "used   < used absorb, written replace, changed replace, subtree replace"),
    ("same", "written < used absorb, written absorb, changed replace, subtree replace"),
    ("same", "changed < used absorb, written absorb, changed absorb, subtree replace"),
    ("same", "subtree < used absorb, written absorb, changed absorb, subtree absorb"),
    ("above", "used   < used stack, written stack, changed stack, subtree stack"),
    ("above", "written < used stack, written stack, changed stack, subtree stack"),
    ("above", "changed < used stack, written stack, changed stack, subtree stack"),
    ("above", "subtree < used absorb, written absorb, changed absorb, subtree absorb"),
    ("below", "used   < used stack, written stack, changed stack, subtree replace"),
    ("below", "written < used stack, written stack, changed stack, subtree replace"),
    ("below", "changed < used stack, written stack, changed stack, subtree replace"),
    ("below", "subtree < used stack, written stack, changed stack, subtree replace"),
    ("apart", "used   < used stack, written stack, changed stack, subtree stack"),
    ("apart", "written < used stack, written stack, changed stack, subtree stack"),
    ("apart", "changed < used stack, written stack, changed stack, subtree stack"),
    ("apart", "subtree < used stack, written stack, changed stack, subtree stack"),
  ])
  func combinesByTheTable(_ relation: String, _ row: String) throws {
    let sides = row.split(separator: "<").map {
      $0.split(whereSeparator: { " ,".contains($0) }).map(String.init)
    }
    func hint(_ word: String) throws -> PlaceHint {
      try #require(PlaceHint.allCases.first { "\($0)" == word })
    }
    let waitingKind = try hint(sides[0][0])
    let waitingPath = try #require(
      RelativePath(["same": "d/e", "above": "d", "below": "d/e/f", "apart": "d/x"][relation]!))
    let newPath = try #require(RelativePath("d/e"))
    #expect(sides[1].count == 8)
    for column in stride(from: 0, to: 8, by: 2) {
      let newKind = try hint(sides[1][column])
      let waiting = Hint(waitingKind, at: waitingPath)
      let new = Hint(newKind, at: newPath)
      let expected = ["absorb": [waiting], "replace": [new], "stack": [waiting, new]][sides[1][column + 1]]
      var table = HintTable(quiet: .seconds(1), maximumWait: .seconds(9))
      table.add([waiting, new], now: .zero)
      #expect(table.takeDue(now: .seconds(9)) == expected, "\(waiting), then \(new)")
    }
  }

  @Test func wholeVolumeHintsSwallowEveryOther() {
    let path = RelativePath("a")!
    for place in PlaceHint.allCases.map({ Hint($0, at: path) }) {
      for whole in [Hint.everything("lost"), .volumeGone] {
        for pair in [[place, whole], [whole, place]] {
          var table = HintTable(quiet: .seconds(1), maximumWait: .seconds(9))
          table.add(pair, now: .zero)
          #expect(table.takeDue(now: .zero) == [whole])
          #expect(table.nextDue == nil)
        }
      }
    }
  }

  @Test(arguments: [UInt64](1...40))
  func losesNothingAndStaysBounded(seed: UInt64) {
    var random = SplitMix(state: seed)
    let limit = [4, 16, 64, 1000][Int(random.next() % 4)]
    let maximum = Duration.seconds(20)
    var table = HintTable(quiet: .seconds(5), maximumWait: maximum, placeLimit: limit)
    var open: [(hint: Hint, time: Duration)] = []
    var now = Duration.zero
    for _ in 0..<3000 {
      now += .milliseconds(Int64(random.next() % 400))
      if random.next() % 4 == 0 {
        for hint in table.takeDue(now: now) { open.removeAll { covers(hint, $0.hint) } }
        #expect(open.allSatisfy { now - $0.time < maximum }, "a hint waited longer than the maximum")
      }
      let hint = randomHint(&random)
      table.add([hint], now: now)
      open.append((hint, now))
      #expect(table.placeCount <= limit)
    }
    for hint in table.takeDue(now: now + maximum) { open.removeAll { covers(hint, $0.hint) } }
    #expect(open.isEmpty)
    #expect(table.count == 0 && table.placeCount == 1 && table.nextDue == nil)
  }

  @Test func aDeepPathIsHeldWithinTheBound() {
    var table = HintTable(quiet: .seconds(1), maximumWait: .seconds(9), placeLimit: 64)
    let deep = (0..<2000).reduce(RelativePath.root) { path, _ in path.appending(FileName("d")!) }
    table.add([.changed(deep)], now: .zero)
    #expect(table.placeCount <= 64)
    let taken = table.takeDue(now: .seconds(9))
    #expect(taken.count == 1 && covers(taken[0], .changed(deep)))
  }

  private func randomHint(_ random: inout SplitMix) -> Hint {
    switch random.next() % 500 {
    case 0: return .everything("lost")
    case 1: return .volumeGone
    default:
      let depth = Int(random.next() % 5)
      let path = (0...depth).reduce(RelativePath.root) { path, _ in
        path.appending(FileName("\(random.next() % 7)")!)
      }
      let kinds: [PlaceHint] = [.used, .written, .written, .changed, .changed, .changed, .subtree]
      return Hint(kinds[Int(random.next() % 7)], at: path)
    }
  }

  /// What the engine does for `output` does all that `input` asks for.
  private func covers(_ output: Hint, _ input: Hint) -> Bool {
    switch (output, input) {
    case (.volumeGone, _): return true
    case (.everything, _): return input != .volumeGone
    default:
      guard let (outKind, outPath) = output.place, let (inKind, inPath) = input.place else { return false }
      if outKind == .subtree { return inPath.isWithin(outPath) }
      return outPath == inPath && outKind >= inKind
    }
  }
}
