import Glibc
import TierCore
import TierGuard
import TierGuardSupport
import TierLinux
import TierTestSupport

@testable import TierEngine

/// Where one scenario plays: a folder of its own on a volume of one kind of file system, whose released files are
/// stubs of one kind. What apps do, other processes do: the guard lets this one's own calls through, as tierd's.
final class Stage {
  private let ground: Ground
  /// Of this scenario, in the volume.
  let folder: String
  /// What must be read in the end.
  private var noted: [String: String] = [:]

  init(_ ground: Ground, folder: String) {
    self.ground = ground
    self.folder = folder
    mkdir(path(""), 0o755)
  }

  var stub: Stub { ground.stub }
  var place: Place { ground.place }
  var guarded: GuardBench { ground.guarded }
  var bench: Bench { ground.bench }
  var faults: FaultPlan { ground.faults }
  var targetFaults: FaultPlan { ground.targetFaults }
  var isPlaceholder: Bool { stub == .placeholder }

  // MARK: Places

  func name(_ file: String) -> String { "\(folder)/\(file)" }
  func path(_ file: String) -> String { "\(bench.cache)/\(folder)/\(file)" }
  func onNAS(_ file: String) -> String { "\(bench.nas)/vol/\(folder)/\(file)" }
  func relative(_ file: String) -> RelativePath { RelativePath(name(file))! }

  /// Ten pages and a bit, of this file's own.
  func text(_ file: String) -> String {
    (0..<1000).map { "\(folder) \(file) line \($0) of a thousand\n" }.joined()
  }

  // MARK: Steps

  func write(_ file: String, _ text: String) {
    bench.write(name(file), text)
    noted[file] = text
  }

  /// Written long enough ago, and copied. Gives the content.
  @discardableResult
  func archived(_ file: String, _ text: String? = nil) throws -> String {
    let text = text ?? self.text(file)
    write(file, text)
    try archive()
    try must(try row(file).state == .archived, "\(file) is archived")
    return text
  }

  func archive() throws { try bench.archive() }

  /// Archived, released and freed. Gives the content.
  @discardableResult
  func released(_ file: String, _ text: String? = nil) throws -> String {
    let text = try archived(file, text)
    try release(file)
    return text
  }

  func release(_ file: String) throws {
    let outcome = try tryToRelease(file)
    try mustBeStub(file, "\(outcome)")
  }

  /// To the end, if it begins.
  @discardableResult
  func tryToRelease(_ file: String) throws -> [ReleaseOutcome] {
    let outcome = bench.loop.release([try row(file)])
    bench.clock.advance(.seconds(10))
    try finishLingering()
    return outcome
  }

  /// GlusterFS's bricks hear late that tierd's own descriptor was closed, and what anybody has open goes on to linger.
  func finishLingering() throws {
    if place == .glusterfs {
      for intent in try bench.catalog.openIntents(limit: 100) where intent.kind == .release {
        let hidden = bench.volume.hiddenPath(intent.archiveID)
        try eventually("tierd's own descriptor is closed") {
          try bench.volume.files.status(of: hidden, at: "test.hidden") == nil
            || !bench.volume.files.isHeldOpen(hidden, at: "test.isHeldOpen")
        }
      }
    }
    try bench.loop.finishLingering()
  }

  /// Why it stays; nil where it went.
  func refusal(of file: String) throws -> String? {
    guard case .held(_, let reason) = try tryToRelease(file).first else { return nil }
    return reason
  }

  /// Begun; nothing is freed yet.
  func beginRelease(_ file: String) throws {
    let outcome = bench.loop.release([try row(file)])
    guard case .released = outcome.first else { throw Broken(description: "the release begins: \(outcome)") }
  }

  /// Who needs a link's content has to ask for it; who opens a placeholder needn't.
  func wanted(_ files: String...) throws {
    guard stub == .link else { return }
    for file in files where bench.isSymlink(name(file)) { try restore(file) }
  }

  func restore(_ file: String) throws {
    let failures = try bench.restore(name(file)).failures
    try must(failures == [], "\(file) comes back: \(failures)")
  }

  /// All that a daemon would do by itself in the next minutes.
  func settle() throws {
    bench.clock.advance(.seconds(61))
    try finishLingering()
    try bench.look()
    try bench.window()
    try bench.look()
  }

  // MARK: Apps

  /// A program of the shell's, begun in the scenario's folder.
  func start(_ script: String) -> App {
    App("/bin/sh", ["-c", "cd \"$1\" && \(script)", "app", path("")], keptBytes: 16 << 20)
  }

  /// One of guard-test-client's.
  func start(_ action: String, on file: String) -> App { App(action, on: path(file)) }

  /// One that waits for a placeholder's content.
  func opener(_ script: String) throws -> App {
    let app = start(script)
    try eventually("the opener waits") { bench.windows.hasWaitingOrders }
    return app
  }

  /// Runs it to its end, while tierd does its work.
  @discardableResult
  func run(_ script: String) throws -> ChildResult { try end(start(script)) }

  @discardableResult
  func run(_ action: String, on file: String) throws -> ChildResult { try end(start(action, on: file)) }

  /// The output of one that succeeds.
  @discardableResult
  func output(_ script: String) throws -> String {
    let result = try run(script)
    try must(result.succeeded, "\(script): \(result.ending) \(result.errorText)")
    return String(decoding: result.output, as: UTF8.self)
  }

  @discardableResult
  func end(_ app: App) throws -> ChildResult {
    try eventually(within: .seconds(30), "the app's end") {
      if app.hasEnded { return true }
      try bench.serveOnce()
      return false
    }
    return try app.result()
  }

  /// Has a file open, as it says itself, until it is stopped.
  func holder(_ script: String) throws -> App {
    let app = start("\(script); echo open; exec sleep 100")
    try eventually("it has it open") { app.lines.contains("open") }
    return app
  }

  /// What others asked the volume's thread for.
  func runCommands() { bench.runCommands() }

  // MARK: Looking

  func row(_ file: String) throws -> CatalogFile { try bench.row(name(file)) }

  func status(_ file: String) -> stat {
    var status = stat()
    lstat(path(file), &status)
    return status
  }

  func exists(_ file: String) -> Bool { bench.exists(name(file)) }

  func identity(_ file: String) throws -> IdentityState? {
    try bench.volume.identity(of: relative(file), at: "test.identity")?.state
  }

  var transfers: Int { bench.windows.condition.counters.restoredFiles }

  /// By another process, which gets all of it or an error.
  func content(_ file: String) throws -> String {
    try wanted(file)
    return try output("cat '\(file)'")
  }

  // MARK: What must hold

  func must(_ holds: Bool, _ what: @autoclosure () -> String) throws {
    if !holds { throw Broken(description: what()) }
  }

  /// Not here, then.
  func needs(_ has: Bool) throws { if !has { throw NotHere() } }

  func needs(program: String) throws { try needs(Machine.has(program)) }

  /// From now on, and at the scenario's end.
  func note(_ file: String, _ text: String?) { noted[file] = text }

  func mustRead(_ file: String, _ text: String) throws {
    let found = try content(file)
    try must(found == text, "\(file) reads \(found.count) bytes \(shown(found)), not \(text.count)")
  }

  private func shown(_ text: String) -> String {
    text.utf8.contains(0) ? "with zeros" : text.utf8.isEmpty ? "" : "of another content"
  }

  func mustBeStub(_ file: String, _ why: String = "") throws {
    let row = try row(file)
    try must(row.state == .released, "\(file) is released, not \(row.state): \(row.heldReason ?? "") \(why)")
    if stub == .link { return try must(bench.isSymlink(name(file)), "\(file) is a link \(why)") }
    let found = status(file)
    try must(found.st_mode & S_IFMT == S_IFREG, "\(file) is a regular file \(why)")
    try must(try identity(file) == .released, "\(file) says that it is released \(why)")
    try must(found.st_blocks <= 16, "\(file) holds nothing, not \(found.st_blocks) blocks \(why)")
  }

  /// Nothing was asked of the target for it.
  func mustStayStub(_ file: String, through body: () throws -> Void) throws {
    let before = transfers
    try body()
    try must(transfers == before, "nothing is transferred")
    try mustBeStub(file)
  }

  func mustBe(_ state: FileState, _ file: String) throws {
    let row = try row(file)
    try must(row.state == state, "\(file) is \(state), not \(row.state): \(row.heldReason ?? "")")
  }

  func mustBeOnNAS(_ file: String, _ text: String) throws {
    try must(bench.onNAS(name(file)) == text, "\(file)'s copy is what was written")
  }

  /// Times and owner of a file as it was, to the nanosecond.
  func mustLook(_ file: String, like before: stat) throws {
    let now = status(file)
    try must(now.st_size == before.st_size, "\(file)'s size stays")
    try must(
      now.st_mtim.tv_sec == before.st_mtim.tv_sec && now.st_mtim.tv_nsec == before.st_mtim.tv_nsec,
      "\(file)'s time stays")
    try must(now.st_mode == before.st_mode && now.st_uid == before.st_uid, "\(file)'s mode and owner stay")
  }

  // MARK: The end

  func finish() throws {
    try settle()
    for (file, text) in noted.sorted(by: { $0.key < $1.key }) { try mustRead(file, text) }
    try settle()
    try must(bench.leftovers() == [], "nothing is left in .tierd/tmp: \(bench.leftovers())")
    let intents = try bench.catalog.openIntents(limit: 10)
    try must(intents.isEmpty, "nothing is under way: \(intents.map { "\($0.kind) of \($0.path)" })")
    try must(bench.volume.unfinished.isEmpty, "nothing is unfinished")
    for plan in [faults, targetFaults] {
      if let error = plan.closureError { throw Broken(description: "the scenario itself: \(error)") }
    }
    for file in try rows() where noted[file] != nil {
      guard let copy = try row(file).copy, try row(file).state != .resident else { continue }
      try must(bench.read("\(copy.path)", in: bench.nas) == noted[file], "\(file)'s copy is its content")
    }
    try clear()
  }

  /// The next one finds nothing of it.
  func clear() throws {
    try GuardBench.run("rm", ["-rf", path("")])
    try settle()
    try must(
      try bench.catalog.directory(at: RelativePath(folder)!, in: bench.volume.id) == nil, "all is forgotten")
  }

  private func rows() throws -> [String] {
    guard let folder = try bench.catalog.directory(at: RelativePath(folder)!, in: bench.volume.id) else {
      return []
    }
    return try bench.catalog.children(of: folder).files.map { "\($0.name)" }
  }
}
