import Glibc
import TierCore
import TierTargets
import TierTestSupport

/// Archiving over NFS, against others that copy to the very same server and disk.
enum NFSBenchmark: Benchmark {
  static let name = "nfs"
  static let usage = "[LOAD [NAME]]: archiving over NFS, with rsync and rclone to the same server"

  static func run(_ arguments: [String]) throws {
    guard NASStandIn.isAvailable else { throw Obstacle(description: NASStandIn.skipReason) }
    try Programs.require(["rsync", "rclone"])
    let server = try Server()
    defer { server.nas.close() }
    print("\(Programs.version(of: "rsync")); \(Programs.version(of: "rclone"))\n")
    for load in try Load.chosen(arguments) {
      let tree = try FileTree(files: load.files, bytes: load.bytes)
      let own = Archiving(tree: tree, makeTarget: server.makeTarget, emptyTarget: server.empty)
      let contest = try Contest(
        own: [own.copying, own.window],
        peers: [
          server.rsync(tree, "rsync --fsync", ["--fsync"], "durable"), server.checkedRsync(tree),
          server.rsync(tree, "rsync", [], ""), server.rclone(tree), server.ownRsync(tree),
        ], rounds: load.rounds, only: arguments.dropFirst().first)
      contest.print(
        "### \(load.title), to nfs-ganesha, rsync daemon and sshd on one ext4 disk", rate: load.rate)
      printGoals(of: load, contest)
      print("")
    }
  }

  private static func printGoals(of load: Load, _ contest: Contest) {
    for own in [Archiving.copyName, Archiving.windowName] {
      let durable = contest.speed(of: own, against: "rsync --fsync")
      let bare = contest.speed(of: own, against: "rsync")
      if load.isSmallFiles {
        printGoal("\(own), speed over rsync --fsync", reached: durable, atLeast: 2.5)
        printGoal("\(own), speed over rsync without fsync", reached: bare, atLeast: 0.5)
      } else {
        // rclone and plain rsync leave the data to the server's memory.
        printGoal("\(own), speed over the fastest durable network peer", reached: durable, atLeast: 1)
      }
    }
  }
}

/// The NAS, and the ways to it.
private final class Server {
  let nas: NASStandIn
  private let secrets: TemporaryDirectory
  private var runs = 0

  init() throws {
    nas = try NASStandIn(diskMiB: 12_288, ssh: true)
    secrets = try TemporaryDirectory()
    let file = try secrets.fileSystem().open(
      RelativePath("password")!, .create(mode: 0o600), at: "bench.secret")
    try Array("\(nas.rsyncPassword)\n".utf8).withUnsafeBytes {
      try file.write($0, offset: 0, at: "bench.secret")
    }
  }

  /// A folder that nobody used before.
  private func newFolder() -> String {
    runs += 1
    return "run\(runs)"
  }

  func makeTarget() throws -> (target: any Target, kind: Configuration.Kind) {
    let share = Configuration.NFS(
      host: nas.address, export: nas.nfsExport, folder: RelativePath(newFolder())!)
    let target = NFSTarget(name: "nas", share: share, timeout: .seconds(60), memory: .none)
    return (target, .nfs(share))
  }

  /// The next one begins with an empty and idle disk.
  func empty() throws {
    try Programs.shell("rm -rf '\(nas.nfsFolder)'/* '\(nas.rsyncFolder)'/*")
    try nas.sync()
  }

  func rsync(_ tree: FileTree, _ name: String, _ options: [String], _ remark: String) -> Contender {
    Contender(name: name, remark: remark) { [self] in
      let folder = newFolder()
      return try timed { try rsync(tree, options, to: folder) }
    } cleanUp: { [self] in
      try empty()
    }
  }

  /// As durable and as well checked as we do it: the second pass reads both sides again.
  func checkedRsync(_ tree: FileTree) -> Contender {
    Contender(name: "rsync --fsync, then --checksum", remark: "durable, verified") { [self] in
      let folder = newFolder()
      return try timed {
        try rsync(tree, ["--fsync"], to: folder)
        try rsync(tree, ["--checksum", "--dry-run"], to: folder)
      }
    } cleanUp: { [self] in
      try empty()
    }
  }

  private func rsync(_ tree: FileTree, _ options: [String], to folder: String) throws {
    try Programs.run(
      "rsync",
      ["-a", "--password-file=\(secrets.path("password"))"] + options + [
        "\(tree.path)/", "rsync://\(nas.rsyncUser)@\(nas.address)/\(nas.rsyncModule)/\(folder)/",
      ])
  }

  /// Our other way to such a NAS, by the same rsync.
  func ownRsync(_ tree: FileTree) -> Contender {
    let archiving = Archiving(
      tree: tree, makeTarget: { [self] in try makeRsyncTarget() }, emptyTarget: { [self] in try empty() },
      copyName: "tierd by rsync")
    return archiving.copying
  }

  private func makeRsyncTarget() throws -> (target: any Target, kind: Configuration.Kind) {
    let settings = Configuration.Rsync(
      host: nas.address, user: nas.rsyncUser,
      transport: .daemon(port: 873, module: nas.rsyncModule, secretsFile: secrets.path("password")),
      folder: RelativePath(newFolder())!)
    let target = RsyncTarget(
      name: "nas", settings: settings, timeout: .seconds(60), scratchDirectory: secrets.path("scratch"),
      memory: .none)
    return (target, .rsync(settings))
  }

  func rclone(_ tree: FileTree) -> Contender {
    Contender(name: "rclone sftp") { [self] in
      let folder = newFolder()
      return try timed {
        // Its own check asks for each file's hash by a shell of its own: minutes for small files.
        try Programs.run(
          "rclone",
          [
            "copy", "--transfers=16", "--sftp-disable-hashcheck", "--sftp-host", nas.address, "--sftp-user",
            "root", "--sftp-key-file", nas.sshIdentityFile,
            "--sftp-known-hosts-file", nas.sshKnownHostsFile, tree.path,
            ":sftp:/run/nas/volume1/NetBackup/\(folder)",
          ])
      }
    } cleanUp: { [self] in
      try empty()
    }
  }
}
