import Glibc
import TierCore
import TierGuardSupport
import TierTargets
import TierTestSupport

/// Opening released files until their content is there, against others that copy the same files from the same server's
/// disk to the same file system. All leave it durable there. The server has the files in memory.
enum RecallBenchmark: Benchmark {
  static let name = "recall"
  static let usage =
    "[LOAD]: opening released files over NFS until they are there, with cp from the server's disk and rsync from it"

  private static let loads = [
    Load(title: "1 × 1 GiB", files: 1, bytes: 1 << 30, rounds: 5),
    Load(title: "1,000 × 16 KiB", files: 1000, bytes: 16 << 10, rounds: 5),
  ]

  static func run(_ arguments: [String]) throws {
    guard NASStandIn.isAvailable else { throw Obstacle(description: NASStandIn.skipReason) }
    guard GuardBench.Kind.ext4.isAvailable else {
      throw Obstacle(description: "needs loop devices, e2fsprogs")
    }
    try Programs.require(["rsync"])
    for load in try Load.chosen(arguments, of: loads) {
      let site = try RecallSite(load)
      defer { site.close() }
      let own =
        load.files == 1 ? [site.recall(readers: 1)] : [site.recall(readers: 1), site.recall(readers: 8)]
      let contest = try Contest(own: own, peers: [site.cp, site.rsync], rounds: load.rounds)
      contest.print(
        "### \(load.title), from nfs-ganesha on an ext4 disk to another ext4 disk", rate: load.rate)
      for name in own.map(\.name) {
        printGoal(
          "\(name), speed over cp", reached: contest.speed(of: name, against: site.cp.name), atLeast: 0.9)
      }
      print("")
    }
  }
}

/// A guarded disk with a tree that is archived, and the NAS that it is archived to.
private final class RecallSite {
  private let load: Load
  private let disk: GuardBench
  private let nas: NASStandIn
  private let secrets: TemporaryDirectory
  private let engine: RunningEngine

  private var tree: String { disk.path("tree") }
  private var copies: String { disk.path("copies") }

  init(_ load: Load) throws {
    self.load = load
    disk = try GuardBench(.ext4, mebibytes: 4096)
    nas = try NASStandIn(diskMiB: 4096)
    secrets = try TemporaryDirectory()
    let source = try FileTree(files: load.files, bytes: load.bytes, perDirectory: load.files)
    try Programs.shell(
      """
      cp -r '\(source.path)' '\(disk.path("tree"))'; cp -r '\(source.path)' '\(nas.rsyncFolder)/tree'; sync
      umask 077; echo '\(nas.rsyncPassword)' > '\(secrets.path("password"))'
      """)
    let share = Configuration.NFS(host: nas.address, export: nas.nfsExport)
    engine = try RunningEngine(
      volume: disk.path,
      target: NFSTarget(name: "nas", share: share, timeout: .seconds(60), memory: .none), kind: .nfs(share),
      guarded: disk)
    _ = try engine.flush(expecting: load.files)
    try engine.prove()
  }

  func close() {
    engine.stop()
    nas.close()
  }

  func recall(readers: Int) -> Contender {
    let each = (load.files + readers - 1) / readers
    return Contender(
      name: readers == 1 ? "recall" : "recall, \(readers) readers", remark: "durable, verified"
    ) {
      [self] in
      try releaseAll()
    } run: { [self] in
      try timed {
        try Programs.shell(
          "find '\(tree)' -type f -print0 | xargs -0 -P \(readers) -n \(each) head -c 1 > /dev/null")
      }
    }
  }

  private func releaseAll() throws {
    try eventually(within: .seconds(120), "all is released") {
      try engine.release()
      // Each keeps a block for its attributes.
      return try allocatedKibibytes() < load.files * load.bytes / 2048
    }
    try Programs.run("sync", ["-f", disk.path])
  }

  /// Looking opens nothing.
  private func allocatedKibibytes() throws -> Int {
    let output = try Programs.output("du", ["-sk", tree])
    return output.split(whereSeparator: \.isWhitespace).first.flatMap { Int($0) } ?? .max
  }

  /// Without a network: more than a mounted share could give.
  var cp: Contender {
    copying(
      "cp from the server's disk, fsync",
      "cp -r '\(nas.nfsFolder)/bench/tree' '\(copies)'; find '\(copies)' -type f -print0 | xargs -0 sync")
  }

  var rsync: Contender {
    copying(
      "rsync --fsync",
      """
      rsync -r --fsync --password-file='\(secrets.path("password"))' \
        rsync://\(nas.rsyncUser)@\(nas.address)/\(nas.rsyncModule)/tree/ '\(copies)'
      """)
  }

  private func copying(_ name: String, _ script: String) -> Contender {
    Contender(name: name, remark: "durable") {
      try timed { try Programs.shell(script) }
    } cleanUp: { [copies, disk] in
      try Programs.shell("rm -rf '\(copies)'; sync -f '\(disk.path)'")
    }
  }
}
