import Glibc
import Synchronization
import Testing
import TierAPI
import TierCore
import TierLinux
import TierTestSupport

/// Between windows nothing reaches the NAS, whatever people and apps do in the cache.
@Suite(.enabled(if: Site.obstacle == nil, "\(Site.obstacle ?? "")"), .serialized)
struct QuietNASTests {
  @Test("between windows there is no connection, and the disk stands still", arguments: Transport.allCases)
  func sleeps(over transport: Transport) throws {
    let site = try Site(transport, policies: EndToEndTests.policies)
    defer { site.close() }
    let tree = MixedTree(seed: 2, files: 300, largest: 16 << 20, below: "tree")
    try prepare(site, tree)
    let windows = try site.windows().count
    let rest = try NASActivity.atRest(site)

    try changeNames(in: site, tree)
    try storm(in: site) { what in
      let now = try NASActivity(site)
      #expect(now == rest, "after \(what)")
    }
    // What the server has not written yet, it writes now.
    try site.nas.sync()
    #expect(try NASActivity(site) == rest)
    #expect(try site.windows().count == windows)

    try expectThatAWindowIsSeen(site, rest)
    try expectFilesUnharmed(site, tree)
  }

  /// A good half of the files are released, the others archived.
  private func prepare(_ site: Site, _ tree: MixedTree) throws {
    let apps = try Apps(tree, in: site.cache)
    try apps.writeWhileNobodyWatches()
    try site.start()
    try apps.write()
    try site.awaitNoticed(try TreePicture(of: site.cache).of(kind: "f"))
    try apps.changeTheirMinds()
    try expectDone(site.daemon.tierctl("flush", "--wait"))
    try site.start(.seconds(150))
    try expectDone(site.daemon.tierctl("verify", site.cache))
    for group in 0..<12 { try expectDone(site.tierctl("release", on: "tree/group\(group)")) }
    let states = try site.files().values.map(\.state)
    #expect(states.count { $0 == .archived } > 50 && states.count { $0 != .archived } > 50)
  }

  private func expectDone(_ answer: (status: Int32, output: String, errors: String)) throws {
    try #require(answer.status == 0, "\(answer)")
  }

  // MARK: What people and apps do

  private static let looks = [
    "ls -lR . >/dev/null", "find . -printf '%p %s %T@ %l' >/dev/null",
    "find . -name '*.jpg' -size +1k >/dev/null",
    "find . -print0 | xargs -0 stat -- >/dev/null",
    "find . -print0 | xargs -0 getfattr -hd -m - -- >/dev/null",
    "du -s . >/dev/null", "find . -type f -print0 | xargs -0 cat -- >/dev/null",
    "! cat group0/* 2>/dev/null",
    "find -L . >/dev/null || true", "grep -rq nothing-has-this . || true",
    "cp -a group0 copied; rm -r copied",
  ]

  private static let questions = [
    ["status"], ["ls", "-R"], ["du"], ["windows"], ["doctor"], ["policy", "list"], ["restore", "--plan"],
    ["release", "--plan"], ["undelete", "--list"], ["why"], ["policy", "explain"], ["pin"], ["unpin"],
  ]

  private func storm(in site: Site, check: (String) throws -> Void) throws {
    for look in Self.looks {
      let command = ChildCommand(
        "/bin/bash", ["-c", look], environment: ["PATH": "/usr/bin:/bin"], directory: "\(site.cache)/tree")
      let result = try ChildProcess.run(command, deadline: .seconds(60))
      #expect(result.succeeded, "\(look): \(result.errorText)")
      try check(look)
    }
    for question in Self.questions {
      let takesPath = !["status", "windows", "doctor", "list"].contains(question.last)
      let answer = try site.daemon.tierctl(
        (question + (takesPath ? ["\(site.cache)/tree"] : [])).map { Array($0.utf8) })
      #expect(answer.status == 0, "\(question): \(answer.errors)")
      try check("tierctl \(question)")
    }
  }

  /// Archived and released files, and folders with both; a deletion, a new file and a rewritten one.
  private func changeNames(in site: Site, _ tree: MixedTree) throws {
    let files = try LinuxFileSystem(root: site.cache)
    for group in ["1", "2", "17", "18"] {
      try files.rename(
        "tree/group\(group)", to: "tree/renamed group\(group)", .keepExisting, at: "test.rename")
    }
    try files.rename("tree/group3", to: "tree/group4/deeper", .keepExisting, at: "test.rename")
    for (number, file) in tree.files.enumerated()
    where file.path.isWithin("tree/group5") || file.path.isWithin("tree/group16") {
      let name = FileName("renamed file \(number)")!
      try files.rename(file.path, to: file.path.parent.appending(name), .keepExisting, at: "test.rename")
    }
    for file in tree.files where file.path.isWithin("tree/group6") {
      try files.unlink(file.path, at: "test.unlink")
    }
    try files.put("tree/new", "not archived yet")
    try eventually("the renames and the new file are noticed") {
      let pending = try site.target().pending
      // The rsync protocol has no rename: there nothing waits for one.
      let areSeen = site.transport == .nfs ? pending.renames > 50 : pending.renames == 0
      return areSeen && pending.removals > 0 && pending.dueFiles + pending.laterFiles > 0
    }
  }

  // MARK: The opposite

  /// The same look sees a window: its connection while it is open, its traces on the disk, and nothing after it.
  private func expectThatAWindowIsSeen(_ site: Site, _ rest: NASActivity) throws {
    let status = Mutex<Int32?>(nil)
    let daemon = site.daemon
    let flush = OwnedThread(name: "flush") {
      let answer = try? daemon.tierctl("flush", "--wait")
      status.withLock { $0 = answer?.status ?? -1 }
    }
    var seen: Set<String> = []
    try eventually("the window has closed") {
      seen.formUnion(try NASActivity.connections(to: site.nas))
      return status.withLock { $0 != nil }
    }
    flush.join()
    #expect(status.withLock { $0 } == 0)
    let after = try NASActivity.atRest(site)
    #expect(seen.count > 0 && after.connections == [])
    #expect(after.connectionsEver > rest.connectionsEver)
    #expect(after.writtenBytes > rest.writtenBytes)
    // Nothing but the new file was copied: the renamed ones are there.
    let window = try #require(try site.windows().first)
    #expect(window.archivedFiles == 1 && window.failures == 0 && window.error == nil, "\(window)")
  }

  private func expectFilesUnharmed(_ site: Site, _ tree: MixedTree) throws {
    let archived = try site.files().mapValues(\.sha256)
    try expectDone(site.tierctl("restore", on: "tree"))
    let files = try TreePicture(of: site.cache).of(kind: "f").entries.mapValues(\.hash)
    #expect(files == archived)
  }
}

/// What the NAS is made to do.
struct NASActivity: Equatable {
  /// That are there now.
  var connections: Set<String>
  var connectionsEver: Int
  var readBytes: Int
  var writtenBytes: Int

  init(_ site: Site) throws {
    connections = try Self.connections(to: site.nas)
    connectionsEver = try site.nas.acceptedConnections()
    let counters = try site.nas.counters()
    readBytes = counters.readBytes
    writtenBytes = counters.writtenBytes
  }

  /// When the last window's writes have reached the disk.
  static func atRest(_ site: Site) throws -> NASActivity {
    var last = try NASActivity(site)
    try eventually("the NAS comes to rest") {
      try site.nas.sync()
      let now = try NASActivity(site)
      defer { last = now }
      return now == last && now.connections.isEmpty
    }
    return last
  }

  /// The kernel's own table, whatever the port. An end that only waits for its number to be free again is none.
  static func connections(to nas: NASStandIn) throws -> Set<String> {
    let bytes = nas.address.split(separator: ".").compactMap { UInt8($0) }
    let address = bytes.reversed().map { ($0 < 16 ? "0" : "") + String($0, radix: 16, uppercase: true) }
      .joined()
    var found: Set<String> = []
    for table in ["/proc/self/net/tcp", "/proc/self/net/tcp6"] {
      let text = String(decoding: try SmallFile.read(table, limit: 16 << 20), as: UTF8.self)
      for line in text.split(separator: "\n").dropFirst() {
        let fields = line.split(separator: " ")
        let isWaiting = fields[3] == "06"
        if fields[2].prefix(while: { $0 != ":" }).hasSuffix(address), !isWaiting {
          found.insert("\(fields[1]) \(fields[2])")
        }
      }
    }
    return found
  }
}
