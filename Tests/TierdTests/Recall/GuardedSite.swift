import Glibc
import TierCore
import TierGuardSupport
import TierLinux
import TierTestSupport

/// A guarded volume of its own, a target, and the real tierd and tier-guard between them. What opens files here are
/// other processes.
final class GuardedSite {
  let bench: GuardBench
  let nas: NASStandIn?
  let folder: TemporaryDirectory
  private var running: DaemonRun?

  static let policy = """
    name: tree
    volume: vol
    path: tree
    archive: { after: 1s, within: 1s }
    release: { after: never, keepBelow: 0 }
    restore: { mode: guard, stay: 0s, perMinute: 1000000 }
    """

  /// With a folder as target where there is no `nas`. `patience`: how long an opener waits at the most.
  init(_ kind: GuardBench.Kind, nas: NASStandIn? = nil, patience: Int = 60, policy: String = policy) throws {
    bench = try GuardBench(kind, mebibytes: 512)
    self.nas = nas
    let target = nas.map {
      "timeout: 5s, retryAfter: 1s, nfs: { host: \($0.address), export: \($0.nfsExport) }"
    }
    folder = try DaemonRun.prepare(
      cache: bench.path, target: target,
      more: "guard: { socket: \(bench.socket), absence: \(Self.absence)s, patience: \(patience)s }",
      policies: [policy])
    mkdir(tree, 0o755)
  }

  /// Seconds; the least that can be configured.
  static let absence = 10

  /// Below the volume's root.
  var tree: String { bench.path("tree") }
  /// Where copies lie, as the NAS sees them.
  var copies: String { (nas?.nfsFolder ?? folder.path("nas")) + "/vol/tree" }
  var daemon: DaemonRun { running! }

  func start(_ later: Duration = .zero) throws {
    running = try DaemonRun(folder, clockAhead: later)
    try daemon.waitUntilReady()
  }

  /// In whatever state a test left tierd.
  func close() {
    running?.signal(SIGCONT)
    running?.killNow()
    running = nil
    nas?.close()
  }

  // MARK: Files

  /// `count` of 12 to 40 KiB, some of them of megabytes.
  func write(_ count: Int, large: Int, seed: UInt64) throws {
    var random = SplitMix(state: seed)
    let files = try LinuxFileSystem(root: tree)
    for number in 0..<(count + large) {
      let size = Int.random(in: number < count ? 12_000...40_000 : 3_000_000...6_000_000, using: &random)
      let name = "file\(number).\(size)"
      try files.put(at(name), KnownContent(of: name).bytes(size))
    }
  }

  /// Archived, and free to be released.
  func archive() throws {
    try expectDone("flush", "--wait")
    // Over NFS a copy is proven by a window that is two minutes younger.
    guard nas != nil else { return }
    daemon.stop()
    try start(.seconds(150))
    try expectDone("verify", tree)
  }

  /// Returns once nothing of any file is in the cache.
  func releaseAll() throws {
    var answer = ""
    try eventually(within: .seconds(40), "everything is released, \(answer)") {
      if residents == 0 { return true }
      answer = try daemon.tierctl("release", tree).errors
      pause(atMost: 200_000)
      return residents == 0
    }
  }

  /// Files that take space. Looking opens nothing.
  var residents: Int { names(in: tree).count { isResident("\(tree)/\($0)") } }

  private func isResident(_ path: String) -> Bool {
    var status = stat()
    return lstat(path, &status) == 0 && status.st_size >= 12_000 && status.st_blocks > 16
  }

  func expectDone(_ words: String...) throws {
    let answer = try daemon.tierctl(words.map { Array($0.utf8) })
    guard answer.status == 0 else { throw NeverHappened(description: "tierctl \(words): \(answer)") }
  }

  func names(in folder: String) -> [String] {
    guard let directory = opendir(folder) else { return [] }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names
  }

  // MARK: Readers

  /// Fifty threads of another process, each with so many files.
  func readers(each: Int, seed: UInt64) -> App {
    App(GuardBench.program("guard-test-client"), ["readers", tree, "50", "\(each)", "\(seed)"])
  }

  /// How many of them the guard holds at this moment.
  func waiting(_ app: App) -> Int {
    let threads = "/proc/\(app.pid)/task"
    return names(in: threads).count { thread in
      let text = (try? SmallFile.read("\(threads)/\(thread)/stat", limit: 4096)) ?? []
      return String(decoding: text, as: UTF8.self).split(separator: ")").last?.hasPrefix(" D") ?? false
    }
  }
}

/// What the readers said of all their opens.
struct ReadersReport: CustomStringConvertible {
  let whole, refused, failed, wrong: Int
  let slowest, firstFailure: Duration
  let description: String

  init(_ app: App) throws {
    let result = try app.result()
    description = String(decoding: result.output, as: UTF8.self)
    let numbers = description.split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
    guard result.succeeded, numbers.count == 6 else {
      throw NeverHappened(description: "the readers: \(result.ending) \(description) \(result.errorText)")
    }
    (whole, refused, failed, wrong) = (numbers[0], numbers[1], numbers[2], numbers[3])
    (slowest, firstFailure) = (.milliseconds(numbers[4]), .milliseconds(numbers[5]))
  }
}
