import Glibc
import TierCore
import TierLinux
import TierTestSupport

@testable import TierEngine

/// What is wrong once the engine came to rest; empty means: every content an app last wrote is where the catalog
/// says, whole and current, and nothing else is anywhere.
struct Verdict {
  let bench: Bench
  let world: World
  private var problems: [String] = []
  /// How many rows stand for one copy: more than one where an app copied a stub.
  private var shared: [ArchiveID: Int] = [:]

  /// Lets the engine come to rest, then looks; restores every stub and looks again, as a reader would.
  static func problems(of bench: Bench, _ world: World) throws -> [String] {
    try bench.comeToRest()
    var first = Verdict(bench: bench, world: world)
    try first.look()
    guard first.problems.isEmpty else { return first.problems }
    let stubs = world.nodes.keys.filter { world.nodes[$0]?.kind == .file && bench.isSymlink($0) }.sorted()
    if stubs.isEmpty { return [] }
    for path in stubs {
      let failures = try bench.restore(path).failures
      if !failures.isEmpty { return ["restore of \(path): \(failures)"] }
    }
    try bench.comeToRest()
    var second = Verdict(bench: bench, world: world)
    try second.look()
    return second.problems.map { "after the restore: \($0)" }
  }

  /// Only between the catalog and the volume, as they are now.
  static func differences(of bench: Bench) throws -> [String] {
    var verdict = Verdict(bench: bench, world: World(root: bench.cache))
    var rows = try verdict.catalogRows()
    for (path, status) in bench.walk(bench.cache) {
      let row = rows.removeValue(forKey: path)
      switch status.st_mode & S_IFMT {
      case S_IFREG where row?.version.inode != UInt64(status.st_ino) || row?.state == .released:
        verdict.problems.append("\(path): the catalog has \(row.map { "\($0.state)" } ?? "nothing")")
      case S_IFREG where row?.version.changed != FileTime(status.st_ctim):
        verdict.problems.append("\(path): the catalog has another version")
      case S_IFLNK where row?.state != .released:
        verdict.problems.append("\(path): a stub that the catalog doesn't know")
      default: break
      }
    }
    return verdict.problems + rows.keys.map { "\($0): only in the catalog" }
  }

  /// Only between the catalog and the target, as they are now: each copy, that of a deleted file too, is where the
  /// catalog says, with its content; and nothing else is there, not in the trash either.
  static func targetDifferences(of bench: Bench) throws -> [String] {
    let rows = try Verdict(bench: bench, world: World(root: bench.cache)).catalogRows()
    let removals = try bench.catalog.removals(at: .root, in: bench.volume.id, after: nil, limit: 10_000)
    let copies =
      rows.compactMap { name, row in row.copy.map { (name, $0, $0.path) } }
      + removals.map { ("deleted \($0.path)", $0.copy, $0.stage == .trashed ? $0.trashPath! : $0.copy.path) }
    let known = Set(copies.map { "\($0.2)" })
    let trash = bench.walk("\(bench.nas)/.tierd/trash").keys.map { ".tierd/trash/\($0)" }
    let strange = (bench.walk(bench.nas).keys + trash).filter { !known.contains($0) }
    return strange.map { "of nobody: \($0)" }
      + copies.compactMap { name, copy, place in
        guard let text = bench.read("\(place)", in: bench.nas) else { return "\(name): no copy at \(place)" }
        let hash = Array(text.utf8).withUnsafeBytes { SHA256Hasher.hash($0) }
        return hash == copy.hash ? nil : "\(name): another content at \(place)"
      }
  }

  private init(bench: Bench, world: World) {
    self.bench = bench
    self.world = world
  }

  private mutating func look() throws {
    let rows = try catalogRows()
    shared = Dictionary(grouping: rows.values.compactMap { $0.copy?.archiveID }) { $0 }.mapValues(\.count)
    try checkCache(rows)
    checkTarget(rows)
    for name in bench.leftovers() { problems.append("left in .tierd/tmp: \(name)") }
    for intent in try bench.catalog.openIntents(limit: 100) {
      problems.append("open intent: \(intent.kind) of \(intent.path)")
    }
    let pending = try bench.catalog.pending(for: "nas", now: bench.clock.now)
    if pending.removals + pending.moves > 0 { problems.append("not at rest: \(pending)") }
    if let error = bench.faults.closureError { problems.append("the scenario itself failed: \(error)") }
    if let error = bench.targetFaults.closureError { problems.append("the scenario itself failed: \(error)") }
  }

  // MARK: Cache and catalog

  private mutating func checkCache(_ rows: [String: CatalogFile]) throws {
    var unseen = rows
    for (path, status) in bench.walk(bench.cache) {
      guard let node = world.nodes[path] else {
        problems.append("\(path): stands in the cache, but no app put it there")
        continue
      }
      let row = unseen.removeValue(forKey: path)
      switch (node.kind, status.st_mode & S_IFMT) {
      case (.file, S_IFREG): checkRegular(path, node, status, row)
      case (.file, S_IFLNK): checkStub(path, node, status, row)
      case (.link, S_IFLNK), (.fifo, S_IFIFO), (.socket, S_IFSOCK):
        if row != nil { problems.append("\(path): the catalog takes a special file for a file") }
      default: problems.append("\(path): is of another kind than the app made")
      }
    }
    for path in world.nodes.keys where !bench.exists(path) { problems.append("\(path): is gone") }
    for (path, row) in unseen { problems.append("\(path): the catalog has it (\(row.state)), the cache not") }
  }

  private mutating func checkRegular(_ path: String, _ node: World.Node, _ status: stat, _ row: CatalogFile?)
  {
    if bench.read(path) != node.content { problems.append("\(path): reads \(shown(bench.read(path)))") }
    guard let row else { return problems.append("\(path): the catalog doesn't know it") }
    let version = FileVersion(
      inode: UInt64(status.st_ino), size: Int64(status.st_size), modified: FileTime(status.st_mtim),
      changed: FileTime(status.st_ctim))
    if row.version != version { problems.append("\(path): the catalog has \(row.version), not \(version)") }
    if UInt(row.links) != status.st_nlink { problems.append("\(path): the catalog has \(row.links) links") }
    if row.isLost { problems.append("\(path): counts as lost") }
    guard status.st_nlink == 1 else {
      if row.state != .resident { problems.append("\(path): has hard links and is \(row.state)") }
      return
    }
    guard row.state == .archived, let copy = row.copy else {
      return problems.append("\(path): is \(row.state) at rest: \(row.heldReason ?? "no reason")")
    }
    checkCopy(copy, path, node)
  }

  private mutating func checkStub(_ path: String, _ node: World.Node, _ status: stat, _ row: CatalogFile?) {
    guard let row, row.state == .released, let copy = row.copy else {
      return problems.append(
        "\(path): a stub that the catalog has as \(row.map { "\($0.state)" } ?? "nothing")")
    }
    if row.version.inode != UInt64(status.st_ino) { problems.append("\(path): the catalog has another stub") }
    if row.isLost { problems.append("\(path): counts as lost") }
    checkCopy(copy, path, node)
  }

  private mutating func checkCopy(_ copy: ArchivedCopy, _ path: String, _ node: World.Node) {
    if copy.path != RelativePath("vol/\(path)"), shared[copy.archiveID] == 1 {
      problems.append("\(path): its copy is at \(copy.path)")
    }
    let text = bench.read("\(copy.path)", in: bench.nas)
    if text != node.content { problems.append("\(path): its copy reads \(shown(text))") }
  }

  // MARK: Target

  private mutating func checkTarget(_ rows: [String: CatalogFile]) {
    let known = Set(rows.values.compactMap { $0.copy?.path.description })
    for (path, _) in bench.walk(bench.nas) where !known.contains(path) {
      problems.append("on the target, of nobody: \(path)")
    }
  }

  private func catalogRows() throws -> [String: CatalogFile] {
    var rows: [String: CatalogFile] = [:]
    var after: FileID?
    while true {
      let page = try bench.catalog.files(below: bench.volume.rootDirectory, after: after, limit: 512)
      guard let last = page.last else { return rows }
      for row in page { rows[try bench.volume.path(of: row)?.description ?? "?"] = row }
      after = last.id
    }
  }

  private func shown(_ text: String?) -> String {
    text.map { "\"\($0.prefix(40))\" (\($0.utf8.count) bytes)" } ?? "nothing"
  }
}

extension FileTime {
  init(_ time: timespec) { self.init(seconds: Int64(time.tv_sec), nanoseconds: UInt32(time.tv_nsec)) }
}

extension Bench {
  /// Looks and opens windows until nothing is to do any more.
  func comeToRest() throws {
    for round in 0..<8 {
      clock.advance(.seconds(700))
      try loop.finishLingering()
      try look()
      try window()
      let pending = try catalog.pending(for: "nas", now: clock.now)
      let isQuiet = pending.dueFiles + pending.laterFiles + pending.removals + pending.moves == 0
      if round >= 2, isQuiet, pending.unprovenFiles == 0 { return }
    }
  }

  /// Everything but directories and tierd's own folder, by path.
  func walk(_ root: String) -> [String: stat] {
    var found: [String: stat] = [:]
    var waiting = [""]
    while let folder = waiting.popLast() {
      for name in names(in: "\(root)/\(folder)") where name != ".tierd" && name != "lost+found" {
        let path = folder.isEmpty ? name : "\(folder)/\(name)"
        var status = stat()
        guard lstat("\(root)/\(path)", &status) == 0 else { continue }
        if status.st_mode & S_IFMT == S_IFDIR { waiting.append(path) } else { found[path] = status }
      }
    }
    return found
  }

  func exists(_ path: String) -> Bool {
    var status = stat()
    return lstat("\(cache)/\(path)", &status) == 0
  }
}
