import Glibc
import Synchronization
import Testing
import TierCore
import TierLinux
import TierTestSupport

@testable import TierEngine

/// Apps that do anything at any time, watched by the real inotify with a queue far too short, while windows,
/// releases and restores come in between: 10,000 operations in all, other ones with `TIERD_SEEDS=11-50`.
@Suite struct RandomTests {
  @Test(
    "after random operations every content is right and the catalog equals a scan",
    .enabled(if: ShortQueue.isPossible, "fs.inotify.max_queued_events can't be written"), .serialized,
    arguments: Seeds.chosen)
  func afterRandomOperations(seed: UInt64) throws {
    let bench = try Bench(watching: ShortQueue.watcher)
    let world = World(root: bench.cache)
    var apps = RandomApps(seed: seed, world)
    var done = 0
    while done < 1000 {
      let count = Int.random(in: 1...20, using: &apps.random)
      for _ in 0..<count { apps.act() }
      done += count
      try engineActs(bench, &apps)
      try #require(try Verdict.targetDifferences(of: bench) == [], "after \(done) operations")
    }
    #expect(bench.loop.overflows > 0, "the queue never overflowed: nothing was proven")
    // By what events and overflows told alone, without a scan of the test's own.
    try eventually("the catalog equals the volume") {
      if let error = bench.loop.settleNow() { throw error }
      return try Verdict.differences(of: bench) == []
    }
    let problems = try Verdict.problems(of: bench, world)
    #expect(problems == [])
  }

  private func engineActs(_ bench: Bench, _ apps: inout RandomApps) throws {
    bench.clock.advance(.seconds(Int64.random(in: 0...90, using: &apps.random)))
    switch Int.random(in: 0..<6, using: &apps.random) {
    case 0: break
    case 1:
      try bench.window()
    case 2:
      let rows = try bench.catalog.files(below: bench.volume.rootDirectory, after: nil, limit: 512)
      _ = bench.loop.release(rows.filter { $0.state == .archived && Bool.random(using: &apps.random) })
    case 3:
      let stubs = apps.files.filter { bench.isSymlink($0) }
      guard let path = stubs.randomElement(using: &apps.random), try bench.find(path) != nil else { break }
      _ = try bench.restore(path)
    case 4: try bench.loop.finishLingering()
    default:
      if let error = bench.loop.settleNow() { throw error }
    }
  }
}

private enum Seeds {
  static var chosen: [UInt64] {
    guard let text = getenv("TIERD_SEEDS").map({ String(cString: $0) }) else { return Array(1...10) }
    return text.split(separator: ",").flatMap { part in
      let ends = part.split(separator: "-").compactMap { UInt64($0) }
      return ends.count == 2 ? Array(ends[0]...ends[1]) : ends
    }
  }
}

struct RandomApps {
  var random: SplitMix
  private let world: World
  private var number = 0

  init(seed: UInt64, _ world: World) {
    random = SplitMix(state: seed)
    self.world = world
  }

  var files: [String] { world.nodes.keys.sorted() }

  mutating func act() {
    number += 1
    let text = "content \(number) of \(random.next() % 1000)"
    switch Int.random(in: 0..<20, using: &random) {
    case 0..<5: world.create(place(), text)
    case 5: if let path = file() { world.overwrite(path, text) }
    case 6: if let path = file() { world.append(path, text) }
    case 7: if let path = file() { world.truncate(path, to: Int.random(in: 0...20, using: &random)) }
    case 8, 9: if let path = file() { world.rename(path, place()) }
    case 10: if let from = file(), let to = file() { world.rename(from, to) }
    case 11: if let left = file(), let right = file() { world.exchange(left, right) }
    case 12:
      if let path = file() {
        world.rename(path, path + ".1")
        world.create(path, text)
      }
    case 13: if let folder = folder() { world.rename(folder, place()) }
    case 14: if let left = folder(), let right = folder() { world.exchange(left, right) }
    case 15: if let path = file() { world.unlink(path) }
    case 16: if number % 7 == 0, let folder = folder() { world.removeTree(folder) }
    case 17: if let path = file() { world.copy(path, place()) }
    case 18: if let path = file() { world.link(path, place()) }
    default: if let path = file() { chmod(world.absolute(path), Bool.random(using: &random) ? 0o600 : 0o644) }
    }
  }

  private mutating func file() -> String? { files.randomElement(using: &random) }
  private mutating func folder() -> String? { world.directories.sorted().randomElement(using: &random) }

  private mutating func place() -> String {
    let depth = Int.random(in: 0...2, using: &random)
    let folders = (0..<depth).map { _ in "d\(Int.random(in: 0..<4, using: &random))" }
    return (folders + ["f\(Int.random(in: 0..<12, using: &random))"]).joined(separator: "/")
  }
}

enum ShortQueue {
  private static let setting = "/proc/sys/fs/inotify/max_queued_events"
  static let isPossible = access(setting, W_OK) == 0
  private static let turn = Mutex(())

  /// The kernel's setting counts when the watcher makes its instance; it is the machine's, so only for a moment.
  static func watcher(of path: String) throws -> any Watcher {
    try turn.withLock { _ in
      let before = try text()
      try write("16")
      defer { try? write(before) }
      let watcher = try InotifyWatcher(path: path)
      try watcher.start { _ in }
      return watcher
    }
  }

  private static func text() throws -> String {
    let fd = open(setting, O_RDONLY)
    defer { close(fd) }
    var bytes = [UInt8](repeating: 0, count: 32)
    let length = read(fd, &bytes, 32)
    guard length > 0 else { throw SyscallError(call: "read", path: setting, errno: errno) }
    return String(decoding: bytes[..<length], as: UTF8.self)
  }

  private static func write(_ text: String) throws {
    let fd = open(setting, O_WRONLY)
    defer { close(fd) }
    guard Glibc.write(fd, text, text.utf8.count) > 0 else {
      throw SyscallError(call: "write", path: setting, errno: errno)
    }
  }
}
