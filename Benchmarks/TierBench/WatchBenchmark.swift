import Glibc
import TierCore
import TierLinux
import TierTestSupport

/// How long it takes until every directory is watched, and what a watch costs, against inotifywait.
enum WatchBenchmark: Benchmark {
  static let name = "watch"
  static let usage = "[DIRECTORIES=20000]: start of watching and memory a watch, with inotifywait -m -r"

  static func run(_ arguments: [String]) throws {
    try Programs.require(["inotifywait"])
    let directories = try arguments.number(0, default: 20_000)
    let limits = try WatchLimits.current()
    // Both sides' watches may stand at once for a moment.
    guard limits.watches.count > 2 * directories else {
      throw Obstacle(description: limits.watchShortage(needed: 2 * directories, others: 0))
    }
    let tree = try FileTree(files: directories, bytes: 0, perDirectory: 1)
    let nothing = try TemporaryDirectory()
    let own = Watching(name: "tierd", mark: WatchProbe.ready) { path in
      (Programs.own, [WatchProbe.name, path])
    }
    let peer = Watching(name: "inotifywait -m -r", mark: "Watches established") { path in
      ("inotifywait", ["-m", "-r", path])
    }
    let base = (own: try own.start(nothing.path).memory, peer: try peer.start(nothing.path).memory)
    let contest = try Contest(own: [own.contender(tree.path)], peers: [peer.contender(tree.path)], rounds: 7)
    contest.print("### Watching \(directories) directories, from the start of the process") {
      "\(threeDigits(Double(directories) / $0.seconds)) directories/s"
    }
    var table = Table("", "memory before", "memory after", "bytes a watch")
    for (watching, before) in [(own, base.own), (peer, base.peer)] {
      let perWatch = (watching.memory.value - before) / directories
      table.add(watching.name, mebibytes(before), mebibytes(watching.memory.value), "\(perWatch)")
    }
    table.print()
    print(
      "\nTo this the kernel adds about 1 KiB a watch for either, most of it the inode that stays in memory.")
  }
}

/// A program that watches and says when it does.
private struct Watching {
  let name: String
  let mark: String
  let command: (String) -> (String, [String])
  /// Resident memory of the last run, once it watched.
  let memory = Box()

  final class Box { var value = 0 }

  init(name: String, mark: String, command: @escaping (String) -> (String, [String])) {
    self.name = name
    self.mark = mark
    self.command = command
  }

  func start(_ path: String) throws -> (time: Duration, memory: Int) {
    let (program, arguments) = command(path)
    let time = try Programs.run(program, arguments, untilLines: [mark]) { pid in
      memory.value = try memoryBytes("VmRSS", of: "\(pid)")
    }
    return (time[0], memory.value)
  }

  func contender(_ path: String) -> Contender {
    Contender(name: name, remark: "watched") { try start(path).time }
  }
}

enum WatchProbe: Benchmark {
  static let name = "watch-probe"
  static let usage = "DIRECTORY: the half of `watch` that watches"
  static let ready = "watching"

  static func run(_ arguments: [String]) throws {
    guard let path = arguments.first else { throw UsageError(description: usage) }
    let watcher = try InotifyWatcher(path: path)
    try watcher.start { _ in }
    let coverage = watcher.coverage
    guard coverage.gapCount == 0 else { throw UsageError(description: "\(coverage.gaps)") }
    print("\(ready) \(coverage.watchedDirectories) directories")
    fflush(nil)
    _ = try watcher.wait(atMost: .seconds(60))
  }
}
