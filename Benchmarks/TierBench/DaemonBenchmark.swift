import Glibc
import TierCore
import TierLinux
import TierTestSupport

/// The whole daemon, idle on a large volume.
enum DaemonBenchmark: Benchmark {
  static let name = "daemon"
  static let usage = "[FILES=200000]: time and memory of tierd on a volume with ten files a directory"

  static func run(_ arguments: [String]) throws {
    let program = try tierd()
    let files = try arguments.number(0, default: 200_000)
    let tree = try FileTree(files: files, bytes: 0, perDirectory: 10)
    let folder = try TemporaryDirectory()
    try configure(folder, volume: tree.path)
    var table = Table("start", "serves after", "first scan done after", "memory then", "highest")
    for start in ["first, with an empty catalog", "second, nothing changed", "third, nothing changed"] {
      var memory = (now: "", highest: "")
      let times = try Programs.run(
        program, ["run", "--config", folder.path("tierd.yaml")], untilLines: [" ready", "scan complete"]
      ) { pid in
        memory = (try memoryText("VmRSS", of: "\(pid)"), try memoryText("VmHWM", of: "\(pid)"))
      }
      table.add(start, times[0].short, times[1].short, memory.now, memory.highest)
    }
    print("### tierd on \(files) files in \((files + 9) / 10) directories, all of them watched\n")
    table.print()
  }

  /// The release build lies beside this program (`make bench` makes both).
  private static func tierd() throws -> String {
    let path = Programs.own.split(separator: "/").dropLast().map { "/" + $0 }.joined() + "/tierd"
    guard access(path, X_OK) == 0 else {
      throw Obstacle(description: "no \(path): swift build -c release --product tierd")
    }
    return path
  }

  private static func configure(_ folder: TemporaryDirectory, volume: String) throws {
    let files = try folder.fileSystem()
    for name in ["state", "nas", "policies"] {
      try files.makeDirectory(RelativePath(name)!, mode: 0o700, at: "bench.make")
    }
    try files.put(
      RelativePath("tierd.yaml")!,
      """
      stateDirectory: \(folder.path("state"))
      socket: \(folder.path("state/tierd.sock"))
      policies: \(folder.path("policies"))
      log: {level: debug}
      volumes:
        - name: bench
          path: \(volume)
      targets:
        - name: nas
          directory: {path: \(folder.path("nas"))}

      """)
    try files.put(RelativePath("policies/bench.yaml")!, "name: bench\nvolume: bench\npath: /\n")
  }
}
