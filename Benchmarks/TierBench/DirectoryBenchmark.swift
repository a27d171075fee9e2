import TierCore
import TierTargets
import TierTestSupport

/// Archiving to a mounted directory, against what copies files locally.
enum DirectoryBenchmark: Benchmark {
  static let name = "directory"
  static let usage = "[LOAD]: archiving to a directory, with cp, rsync and rclone to the same disk"

  static func run(_ arguments: [String]) throws {
    guard LoopFileSystem.Kind.ext4.isAvailable else {
      throw Obstacle(description: "needs root, loop devices and e2fsprogs")
    }
    try Programs.require(["rsync", "rclone"])
    let disk = try LoopFileSystem(.ext4, mebibytes: 8192)
    for load in try Load.chosen(arguments) {
      let tree = try FileTree(files: load.files, bytes: load.bytes)
      let place = Place(disk: disk, tree: tree)
      let own = Archiving(tree: tree, makeTarget: place.makeTarget, emptyTarget: place.empty)
      let contest = try Contest(
        own: [own.copying, own.window],
        peers: [
          place.script("cp, sync", "durable", "cp -a SOURCE TARGET; sync -f TARGET"),
          place.script(
            "cp, sync, compare", "durable, verified",
            "cp -a SOURCE TARGET; sync -f TARGET; diff -r SOURCE TARGET"),
          place.script("rsync --fsync", "durable", "rsync -a --fsync SOURCE/ TARGET"),
          place.script("rclone, sync", "durable, verified", "rclone copy SOURCE TARGET; sync -f TARGET"),
          place.script("cp", "", "cp -a SOURCE TARGET"),
        ], rounds: load.rounds)
      contest.print("### \(load.title), to a directory on an ext4 disk", rate: load.rate)
      for name in [Archiving.copyName, Archiving.windowName] where !load.isSmallFiles {
        printGoal(
          "\(name), speed over cp, sync", reached: contest.speed(of: name, against: "cp, sync"), atLeast: 0.9)
      }
      print("")
    }
  }
}

private struct Place {
  let disk: LoopFileSystem
  let tree: FileTree

  private var folder: String { "\(disk.path)/target" }

  func makeTarget() throws -> (target: any Target, kind: Configuration.Kind) {
    try Programs.run("mkdir", [folder])
    return (DirectoryTarget(name: "nas", path: folder, memory: .none), .directory(path: folder))
  }

  func empty() throws { try Programs.shell("rm -rf '\(folder)'; sync -f '\(disk.path)'") }

  func script(_ name: String, _ remark: String, _ script: String) -> Contender {
    let command = script.replacing("SOURCE", with: "'\(tree.path)'").replacing("TARGET", with: "'\(folder)'")
    return Contender(name: name, remark: remark) {
      try timed { try Programs.shell(command) }
    } cleanUp: {
      try empty()
    }
  }
}
