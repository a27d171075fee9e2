import Foundation
import Glibc
import Synchronization
import Testing
import TierCore
import TierTestSupport

@testable import TierLinux

/// A directory and a watcher on it: the real kernel, unless a test puts something between.
final class WatchFixture {
  let directory: TemporaryDirectory?
  let path: String
  let files: LinuxFileSystem
  let watcher: InotifyWatcher
  private(set) var hints: [Hint] = []

  /// One at a time: a test that lowers the kernel's queue must not have others make their instance meanwhile.
  static let instanceLock = Mutex(())

  /// `inMemory`: for tests that make many directories, where the disk would take the time.
  init(
    at path: String? = nil, inMemory: Bool = false, pace: WatchPace = WatchPace(),
    clock: any TierClock = SystemClock(), source: SourceTap? = nil
  ) throws {
    let hasMemory = inMemory && access("/dev/shm", W_OK) == 0
    directory = path == nil ? try TemporaryDirectory(in: hasMemory ? "/dev/shm" : nil) : nil
    self.path = path ?? directory!.path
    files = try LinuxFileSystem(root: self.path)
    watcher = try InotifyWatcher(path: self.path, pace: pace, clock: clock) { (wakeup) throws(SyscallError) in
      let real = try InotifySource(wakeup: wakeup)
      guard let source else { return real }
      source.real = real
      return source
    }
  }

  deinit { watcher.stop() }

  @discardableResult func start() throws -> [Int] {
    var progress: [Int] = []
    try Self.instanceLock.withLock { _ in try watcher.start { progress.append($0) } }
    return progress
  }

  private static let queueSetting = "/proc/sys/fs/inotify/max_queued_events"
  static let mayShortenQueue = access(queueSetting, W_OK) == 0

  /// With a queue of 16 events. The setting is the machine's: changed only while no other test makes its
  /// instance, which keeps the value.
  func startWithShortQueue() throws {
    try Self.instanceLock.withLock { _ in
      let before = try String(contentsOfFile: Self.queueSetting, encoding: .utf8)
      try "16".write(toFile: Self.queueSetting, atomically: false, encoding: .utf8)
      defer { try? before.write(toFile: Self.queueSetting, atomically: false, encoding: .utf8) }
      try watcher.start { _ in }
    }
  }

  /// Collects until all that happened so far has been told: the hint about a new file comes after it.
  @discardableResult func settle() throws -> [Hint] {
    var fresh: [Hint] = []
    // Twice: a directory that is found late is watched from then on.
    for round in 0..<2 {
      let probe = FileName(".probe-\(round)-\(hints.count)-\(fresh.count)")!
      try make(RelativePath(probe))
      try eventually("the probe's hint") {
        fresh += try watcher.wait(atMost: .milliseconds(20))
        return fresh.contains { $0.covers(RelativePath(probe)) }
      }
      try files.unlink(RelativePath(probe), at: "test.unlink")
      // Chores that wait for the hold time.
      let clock = SystemClock()
      let end = clock.monotonic + WatchSession.holdTime * 2
      try eventually {
        fresh += try watcher.wait(atMost: .milliseconds(20))
        return clock.monotonic > end
      }
    }
    hints += fresh
    return fresh.filter { !($0.place?.1.escaped.hasPrefix(".probe-") ?? false) }
  }

  func make(_ file: RelativePath) throws {
    try files.open(file, .create(mode: 0o644), at: "test.create").close()
  }

  func makeDirectories(_ path: String) throws { try makeDirectories(at(path)) }

  func makeDirectories(_ path: RelativePath) throws {
    try files.makeParents(of: path.appending(FileName("x")!))
  }

  func directories() throws -> [RelativePath] {
    var found: [RelativePath] = [.root]
    var rest: [RelativePath] = [.root]
    while let next = rest.popLast() {
      // Listing makes events too, and a short queue would overflow.
      hints += try watcher.wait(atMost: .zero)
      for entry in try files.list(next, at: "test.list") where entry.status.kind == .directory {
        let path = next.appending(entry.name)
        if path == TargetLayout.folder { continue }
        found.append(path)
        rest.append(path)
      }
    }
    return found
  }

  /// After the last overflow, however many the walks themselves had.
  func waitUntilInStep() throws {
    let clock = SystemClock()
    var quietSince = clock.monotonic
    try eventually("no more lost events") {
      let hints = try watcher.wait(atMost: .milliseconds(20))
      if !hints.isEmpty { quietSince = clock.monotonic }
      return clock.monotonic - quietSince > .seconds(1)
    }
  }

  /// The strongest test of all watches: a file made in each directory is told of, under its right path, by one
  /// hint of its own; and no watch is left for anything else.
  func expectEveryDirectoryIsHeard(sourceLocation: SourceLocation = #_sourceLocation) throws {
    let all = try directories()
    #expect(watcher.coverage.watchedDirectories == all.count, sourceLocation: sourceLocation)
    let expected = Set(all.map { $0.appending(FileName("heard?")!) })
    var heard: Set<RelativePath> = []
    func listen(_ time: Duration) throws {
      for hint in try watcher.wait(atMost: time) {
        if case .changed(let path) = hint { heard.insert(path) }
      }
    }
    for file in expected {
      try make(file)
      try listen(.zero)
    }
    try? eventually(within: .seconds(10)) {
      try listen(.milliseconds(50))
      return heard.isSuperset(of: expected)
    }
    let deaf = expected.subtracting(heard)
    #expect(
      deaf.isEmpty, "\(deaf.count) of \(all.count), e.g. \(Array(deaf.prefix(5)))",
      sourceLocation: sourceLocation)
    for file in expected {
      try files.unlink(file, at: "test.unlink")
      _ = try watcher.wait(atMost: .zero)
    }
    while try !watcher.wait(atMost: .zero).isEmpty {}
  }

  func shell(_ script: String) throws {
    let command = ChildCommand("/bin/sh", ["-c", "cd \"$0\" && \(script)", path])
    let result = try ChildProcess.run(command, deadline: .seconds(120))
    guard result.succeeded else {
      throw TierError(.internalFault, "\(script): \(result.ending)", cause: result.errorText)
    }
  }
}

/// Stands between a watcher and the kernel, and changes what a test wants changed.
final class SourceTap: WatchSource, @unchecked Sendable {
  var real: InotifySource!
  var onAdd: (Int32) throws(SyscallError) -> Int32? = { (_: Int32) throws(SyscallError) -> Int32? in nil }
  var onTurn: (WatchTurn) -> WatchTurn = { $0 }
  var adds: Int { numbers.count }
  /// What was answered, in order.
  var numbers: [Int32] = []

  func add(_ directory: Int32, mask: UInt32) throws(SyscallError) -> Int32 {
    if let answer = try onAdd(directory) {
      numbers.append(answer)
      return answer
    }
    let number = try real.add(directory, mask: mask)
    numbers.append(number)
    return number
  }
  func remove(_ watch: Int32) { real.remove(watch) }
  func next(atMost timeout: Duration) throws(SyscallError) -> WatchTurn {
    onTurn(try real.next(atMost: timeout))
  }
  func close() { real.close() }
}

extension Hint {
  func covers(_ path: RelativePath) -> Bool {
    switch self {
    case .changed(let place): place == path
    case .subtree(let place): path.isWithin(place)
    case .everything, .volumeGone: true
    case .written, .used: false
    }
  }

  var place: (String, RelativePath)? {
    switch self {
    case .used(let path): ("used", path)
    case .written(let path): ("written", path)
    case .changed(let path): ("changed", path)
    case .subtree(let path): ("subtree", path)
    case .everything, .volumeGone: nil
    }
  }
}

/// For tests to read well.
extension Hint {
  static func changed(_ text: String) -> Hint { .changed(at(text)) }
  static func written(_ text: String) -> Hint { .written(at(text)) }
  static func used(_ text: String) -> Hint { .used(at(text)) }
  static func subtree(_ text: String) -> Hint { .subtree(at(text)) }
}

/// Told by one thread, seen by another.
final class Flag: Sendable {
  private let raised = Atomic(false)
  var isRaised: Bool { raised.load(ordering: .acquiring) }
  func raise() { raised.store(true, ordering: .releasing) }
}
