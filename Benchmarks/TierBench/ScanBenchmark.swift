import TierCore
import TierLinux
import TierTargets
import TierTestSupport

/// Comparing a volume with the catalog, against `find` that prints what a scan needs to know.
enum ScanBenchmark: Benchmark {
  static let name = "scan"
  static let usage = "[FILES=200000]: a scan of the volume, with find -printf on the same tree"

  static func run(_ arguments: [String]) throws {
    let files = try arguments.number(0, default: 200_000)
    let tree = try FileTree(files: files, bytes: 0, perDirectory: 10)
    let target = try TemporaryDirectory()
    var engine: RunningEngine?
    let filling = try timed {
      engine = try RunningEngine(
        volume: tree.path, target: DirectoryTarget(name: "nas", path: target.path, memory: .none),
        kind: .directory(path: target.path))
    }
    guard let engine else { return }
    defer { engine.stop() }
    print(
      "\(files) files in \((files + 9) / 10) directories, everything in the page cache. The very first scan, "
        + "which fills the catalog, with watches: \(filling.short)\n")
    let contest = try Contest(
      own: [
        Contender(name: "tierd scan", remark: "compared with the catalog") { try engine.scan() },
        Contender(name: "tierd walk", remark: "listed") {
          let volume = try tree.folder.fileSystem()
          return try timed { _ = try count(.root, volume) }
        },
      ],
      peers: [
        Contender(name: "find -printf", remark: "listed") {
          try timed {
            try Programs.shell("find '\(tree.path)' -printf '%i %n %m %U %s %T@ %C@ %b %p\\n' >/dev/null")
          }
        }
      ], rounds: 7)
    contest.print("### Scan of \(files) files") { "\(threeDigits(Double(files) / $0.seconds)) files/s" }
    for name in ["tierd scan", "tierd walk"] {
      printGoal(
        "\(name), time over find's", reached: 1 / contest.speed(of: name, against: "find -printf"),
        atMost: 1.5)
    }
  }

  private static func count(_ directory: RelativePath, _ volume: LinuxFileSystem) throws -> Int {
    var count = 0
    for entry in try volume.list(directory, at: "bench.list") {
      count += 1
      if entry.status.kind == .directory { count += try self.count(directory.appending(entry.name), volume) }
    }
    return count
  }
}
