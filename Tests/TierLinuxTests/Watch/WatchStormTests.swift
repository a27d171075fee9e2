import Glibc
import Synchronization
import Testing
import TierCore
import TierTestSupport

@testable import TierLinux

/// Random changes by several threads at once, while watching; afterwards nothing is unwatched, nothing is watched
/// twice, and everything has its right path.
@Suite struct WatchStormTests {
  @Test(arguments: [UInt64](1...6)) func survivesAStorm(seed: UInt64) throws {
    let storm = try Storm(seed: seed)
    try storm.run()
    #expect(storm.fixture.watcher.coverage.overflows == 0)
    try storm.fixture.expectEveryDirectoryIsHeard()
    storm.expectAllWasTold()
  }

  @Test(
    .enabled(if: WatchFixture.mayShortenQueue, "fs.inotify.max_queued_events can't be written"),
    arguments: [UInt64](31...36))
  func survivesOverflowAfterOverflow(seed: UInt64) throws {
    let storm = try Storm(seed: seed, hasShortQueue: true)
    try storm.run()
    #expect(storm.fixture.watcher.coverage.overflows > 0)
    try storm.fixture.waitUntilInStep()
    try storm.fixture.expectEveryDirectoryIsHeard()
    storm.expectAllWasTold()
  }

  /// Every read is cut in pieces, some of them held back: halves of renames come apart, and the tree is always
  /// far ahead of the events.
  @Test(arguments: [UInt64](11...16)) func survivesAStormOfLateEvents(seed: UInt64) throws {
    let tap = SourceTap()
    let storm = try Storm(seed: seed, source: tap)
    var random = SplitMix(state: seed)
    var late: [InotifyEvent] = []
    tap.onTurn = { turn in
      late += turn.events
      var cut = turn
      let share = late.count > 2000 ? late.count : Int(random.next() % UInt64(late.count + 1))
      cut.events = Array(late.prefix(min(share, 7)))
      late.removeFirst(cut.events.count)
      cut.isQueueEmptied = turn.isQueueEmptied && late.isEmpty
      return cut
    }
    try storm.run()
    try eventually("the late events") {
      _ = try storm.fixture.watcher.wait(atMost: .milliseconds(5))
      return late.isEmpty
    }
    tap.onTurn = { $0 }
    try storm.fixture.settle()
    try storm.fixture.expectEveryDirectoryIsHeard()
  }

  /// Events of different directories have no order among them that one could count on.
  @Test(arguments: [UInt64](21...26)) func survivesSwappedEvents(seed: UInt64) throws {
    let tap = SourceTap()
    let storm = try Storm(seed: seed, source: tap)
    var random = SplitMix(state: seed)
    tap.onTurn = { turn in
      var mixed = turn
      for index in mixed.events.indices.dropFirst()
      where mixed.events[index].watch != mixed.events[index - 1].watch
        && !mixed.events[index].has(IN_IGNORED) && !mixed.events[index - 1].has(IN_IGNORED)
        && random.next() % 3 == 0
      {
        mixed.events.swapAt(index, index - 1)
      }
      return mixed
    }
    try storm.run()
    tap.onTurn = { $0 }
    try storm.fixture.expectEveryDirectoryIsHeard()
  }
}

private final class Storm {
  let fixture: WatchFixture
  private let outside: TemporaryDirectory
  private let seed: UInt64
  private var told: [Hint] = []

  init(seed: UInt64, hasShortQueue: Bool = false, source: SourceTap? = nil) throws {
    self.seed = seed
    let parent = seed % 2 == 0 && access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
    fixture = try WatchFixture(inMemory: parent == "/dev/shm", source: source)
    outside = try TemporaryDirectory(in: parent)
    if hasShortQueue { try fixture.startWithShortQueue() } else { try fixture.start() }
  }

  func run() throws {
    let left = Atomic(3)
    let threads = (0..<3).map { number in
      OwnedThread(name: "storm") { [files = fixture.files, path = fixture.path, out = outside.path, seed] in
        var random = SplitMix(state: seed * 1000 + UInt64(number))
        for _ in 0..<700 { Storm.change(files, path, out, &random) }
      }
    }
    let ends = OwnedThread(name: "ends") {
      for thread in threads { thread.join() }
      left.store(0, ordering: .releasing)
    }
    while left.load(ordering: .acquiring) > 0 {
      told += try fixture.watcher.wait(atMost: .milliseconds(1))
    }
    ends.join()
    told += try fixture.settle()
  }

  /// Whatever exists at the end is covered by some hint: all of it was made under the watcher's eyes.
  func expectAllWasTold() {
    if told.contains(where: { if case .everything = $0 { true } else { false } }) { return }
    let subtrees = Set(told.compactMap { hint in if case .subtree(let path) = hint { path } else { nil } })
    for directory in (try? fixture.directories()) ?? [] where !directory.isRoot {
      var place = directory
      while !place.isRoot, !subtrees.contains(place) { place = place.parent }
      #expect(!place.isRoot, "\(directory) was never told of")
    }
  }

  /// Names from a small set, so that the threads meet.
  private static func change(
    _ files: LinuxFileSystem, _ path: String, _ outside: String, _ random: inout SplitMix
  ) {
    func place(_ base: String) -> String {
      var place = base
      for _ in 0...(random.next() % 4) { place += "/\(random.next() % 4)" }
      return place
    }
    switch random.next() % 14 {
    case 0...4: mkdir(place(path), 0o755)
    case 5...7: rename(place(path), place(path))
    case 8: rename(place(path), place(outside))
    case 9: rename(place(outside), place(path))
    case 10: rmdir(place(path))
    case 11...12:
      let (one, other) = (at(String(place("").dropFirst())), at(String(place("").dropFirst())))
      try? files.rename(one, to: other, .exchange, at: "test.exchange")
    default:
      mkdir(place(outside), 0o755)
      let from = place(path)
      if let file = fopen(from + "/file", "w") { fclose(file) }
      unlink(from + "/file")
    }
  }
}
