import Glibc
import Synchronization
import Testing
import TierCore
import TierLinux
import TierTestSupport

@testable import TierTargets

/// What only the rsync target can get wrong, against a real daemon and a real sshd on loopback.
@Suite(.enabled(if: Machine.has("rsync"), "needs the rsync program")) struct RsyncTargetTests {
  /// Slow enough for a test to act in the middle of a transfer.
  static let slow = ["--bwlimit=3000"]

  // MARK: Torn transfers

  @Test func aSourceThatIsOpenForWritingIsNotSent() throws {
    let bench = try RsyncServer.daemon().bench()
    let upload = try bench.upload("a", noise(5000))
    let writer = try bench.volume.open("a", .readWrite, at: "test")
    try bench.withSession { session in
      guard case .sourceChanged = try bench.archive([.init(upload: upload)], session)[0] else {
        throw Unexpected("sent")
      }
    }
    writer.close()
    #expect(try bench.nasTree() == [])
  }

  /// The lease tells of the writer; the run ends before the file has its name; the others go on; and the writer
  /// has hardly waited.
  @Test func aWriterInTheMiddleOfATransferEndsItAndGoesOn() throws {
    let bench = try RsyncServer.daemon().bench(Self.slow)
    let torn = try bench.upload("torn", noise(12 << 20))
    let others = try (0..<5).map { try bench.upload(RelativePath("other/\($0)")!, noise(1000 * $0)) }
    let waited = Measured()
    let writer = OwnedThread(name: "test-writer") {
      try? eventually("the transfer") { try !bench.nas.list(TargetLayout.temporary, at: "test").isEmpty }
      let start = SystemClock().monotonic
      try? bench.volume.overwrite("torn", with: 7, count: 12 << 20)
      waited.value = SystemClock().monotonic - start
    }
    let outcomes = try bench.withSession { session in
      try bench.archive((others + [torn]).map { .init(upload: $0) }, session)
    }
    writer.join()
    guard case .sourceChanged = outcomes[5] else { throw Unexpected("\(outcomes[5])") }
    #expect(Array(outcomes[..<5]).arePublished)
    #expect(try bench.nas.status(of: torn.path, at: "test") == nil)
    for (index, other) in others.enumerated() {
      #expect(try bench.nas.read(other.path) == noise(1000 * index))
    }
    #expect(waited.value < .seconds(15))
    // The server notices that its client is gone.
    try eventually("a clean server") { try bench.nas.list(TargetLayout.temporary, at: "test").isEmpty }
  }

  /// Whatever is published is what was hashed, however often an app rewrites the file.
  @Test func nothingTornIsEverPublished() throws {
    let bench = try RsyncServer.daemon().bench(["--bwlimit=20000"])
    let size = 1 << 20
    try bench.volume.write([UInt8](repeating: 0, count: size), to: "a")
    let isOver = Measured()
    let writer = OwnedThread(name: "test-writer") {
      var generation: UInt8 = 1
      while isOver.value == .zero {
        try? bench.volume.overwrite("a", with: generation, count: size)
        generation &+= 1
        pause(atMost: 400_000)
      }
    }
    defer {
      isOver.value = .seconds(1)
      writer.join()
    }
    var replaces: TargetStatus?
    var published = 0
    // On a slow machine more of them meet a rewrite.
    for round in 0..<200 where round < 12 || published == 0 {
      try bench.withSession { session in
        let upload = try bench.upload("a")
        let trash = RelativePath(".tierd/trash/\(round)/volume/a")!
        guard let hash = try bench.stage([upload], session)[0].hash else { return }
        let order = TargetBench.Order(upload: upload, replaces: replaces, trash: trash)
        let outcome = try bench.publish([(order, hash)], session)[0]
        let copy = try? bench.nas.read(upload.path)
        if let copy { #expect(Set(copy).count == 1 && copy.count == size, "torn") }
        guard case .published(let conflict) = outcome else { return }
        #expect(conflict == nil)
        #expect(copy.map(sha256) == hash)
        replaces = try session.status(of: [upload.path])[0]
        published += 1
      }
    }
    #expect(published > 0)
  }

  /// On file systems without leases only the source's times tell, afterwards: what was sent is taken back.
  @Test func withoutLeasesATornCopyIsTakenBack() throws {
    let bench = try RsyncServer.daemon().bench(Self.slow)
    let faults = FaultPlan()
    faults.at("rsync.publish.lease", .fail(errno: EINVAL))
    var upload = try bench.upload("torn", noise(6 << 20))
    upload.source = try FaultInjectingFileSystem(bench.volume, faults).open("torn", .read, at: "test.open")
    let writer = OwnedThread(name: "test-writer") {
      try? eventually("the transfer") { try !bench.nas.list(TargetLayout.temporary, at: "test").isEmpty }
      try? bench.volume.overwrite("torn", with: 7, count: 6 << 20)
    }
    let outcome = try bench.withSession { try bench.archive([.init(upload: upload)], $0)[0] }
    writer.join()
    switch outcome {
    case .sourceChanged, .failed: break
    case .published: throw Unexpected("published")
    }
    if case .sourceChanged = outcome { #expect(try bench.nas.status(of: upload.path, at: "test") == nil) }
  }

  /// The same size and mtime, another content: as `cp --preserve` and some databases do.
  @Test func aRewriteBetweenStagingAndPublishingIsNoticed() throws {
    let bench = try RsyncServer.daemon().bench()
    let upload = try bench.upload("a", noise(5000))
    try bench.withSession { session in
      let hash = try #require(try bench.stage([upload], session)[0].hash)
      try bench.volume.overwrite("a", with: 1, count: 5000)
      let modified = upload.metadata.modified
      try bench.volume.setTimes(of: "a", modified: modified, accessed: modified, at: "test")
      guard case .sourceChanged = try bench.publish([(.init(upload: upload), hash)], session)[0] else {
        throw Unexpected("published")
      }
      #expect(try bench.nas.status(of: upload.path, at: "test") == nil)
    }
  }

  /// It is sent by its descriptor.
  @Test func aSourceThatIsRenamedOrDeletedMeanwhileIsSentAllTheSame() throws {
    let bench = try RsyncServer.daemon().bench()
    let uploads = try ["a", "b"].map { try bench.upload(RelativePath($0)!, noise(5000)) }
    try bench.volume.rename("a", to: "elsewhere", .keepExisting, at: "test")
    try bench.volume.unlink("b", at: "test")
    try bench.volume.makeSymlink("b", to: Array("/etc/passwd".utf8), at: "test")
    try bench.withSession { session in
      let hashes = try bench.stage(uploads, session).compactMap(\.hash)
      let orders = uploads.map { TargetBench.Order(upload: $0) }
      for outcome in try bench.publish(Array(zip(orders, hashes)), session) {
        // Unlinking moves the ctime: what was hashed is looked at again, and is the same.
        #expect(outcome.isPublished, "\(outcome)")
      }
    }
    for upload in uploads { #expect(try bench.nas.read(upload.path) == noise(5000)) }
  }

  // MARK: Servers

  @Test(.enabled(if: Machine.isRoot, "needs root"))
  func aServerThatMayNotGiveFilesAwayStillTakesThem() throws {
    let server = try RsyncServer.daemon(["uid = nobody", "gid = nogroup"])
    let nobody = try #require(getpwnam("nobody")).pointee
    #expect(chown(server.folder, nobody.pw_uid, nobody.pw_gid) == 0)
    let bench = try server.bench()
    let uploads = try [0o000, 0o200, 0o4711, 0o640].map { mode in
      let upload = try bench.upload(RelativePath("m/\(mode)")!, noise(mode), mode: UInt16(mode))
      return TargetBench.Order(upload: upload)
    }
    try bench.withSession { session throws in #expect(try bench.archive(uploads, session).arePublished) }
    for order in uploads {
      #expect(try bench.nas.status(of: order.upload.path, at: "test")?.owner == nobody.pw_uid)
    }
  }

  @Test func aServerKilledInTheMiddleEndsTheWindowAndTheNextOneCompletes() throws {
    let server = try RsyncServer.daemon()
    let bench = try server.bench(Self.slow)
    let order = TargetBench.Order(upload: try bench.upload("a", noise(6 << 20)))
    let killer = OwnedThread(name: "test-killer") {
      try? eventually("the transfer") { try !bench.nas.list(TargetLayout.temporary, at: "test").isEmpty }
      server.signal(SIGKILL)
    }
    let error = #expect(throws: TierError.self) {
      try bench.withSession { session throws in _ = try bench.archive([order], session) }
    }
    killer.join()
    #expect(error?.code == .targetUnreachable, "\(error as Any)")
    #expect(error?.disposition == .retry)
    #expect(try bench.nas.status(of: order.upload.path, at: "test") == nil)
    try server.restart()
    try bench.withSession { session throws in #expect(try bench.archive([order], session)[0].isPublished) }
    #expect(try bench.nas.read(order.upload.path) == noise(6 << 20))
  }

  @Test func aHangingServerIsGivenUpInTime() throws {
    let server = try RsyncServer.daemon()
    let bench = try server.bench(timeout: .seconds(2))
    try bench.withSession { _ in }
    server.signal(SIGSTOP)
    let start = SystemClock().monotonic
    let error = #expect(throws: TierError.self) { try bench.target.connect() }
    #expect(error?.code == .targetTimeout, "\(error as Any)")
    #expect(SystemClock().monotonic - start < .seconds(20))
    server.signal(SIGCONT)
    try bench.withSession { _ in }
  }

  @Test(.enabled(if: Machine.hasLoopDevices, "needs root and loop devices"))
  func aFullTargetEndsTheWindowAndLosesNothing() throws {
    let disk = try LoopFileSystem(.ext4, mebibytes: 24)
    let server = try RsyncServer.daemon(module: disk.path)
    let bench = try server.bench()
    let old = try bench.upload("a", noise(1 << 20))
    try bench.withSession { _ = try bench.archive([.init(upload: old)], $0) }
    let new = try bench.upload("a", noise(40 << 20, seed: 2))
    let order = TargetBench.Order(
      upload: new, replaces: TargetStatus(size: old.size, modified: old.metadata.modified),
      trash: ".tierd/trash/x/volume/a")
    let error = #expect(throws: TierError.self) {
      try bench.withSession { session throws in _ = try bench.archive([order], session) }
    }
    #expect(error?.code == .targetFull, "\(error as Any)")
    #expect(try bench.nas.read(old.path) == noise(1 << 20))
  }

  // MARK: What a person must mend

  @Test func theDaemonsRefusalsSayWhatToDo() throws {
    let server = try RsyncServer.daemon()
    let scratch = try TemporaryDirectory()
    func failure(_ change: (inout Configuration.Rsync) -> Void) -> TierError? {
      var settings = server.settings
      change(&settings)
      let target = server.target(scratch: scratch, timeout: .seconds(5), settings: settings)
      do {
        try target.connect().close()
        return nil
      } catch { return error }
    }
    func secrets(_ name: String, _ mode: UInt16) throws -> Configuration.Rsync.Transport {
      try scratch.fileSystem().write(Array("wrong\n".utf8), to: RelativePath(name)!, mode: mode)
      return .daemon(port: server.port, module: "nas", secretsFile: scratch.path(name))
    }
    let wrong = try secrets("wrong", 0o600)
    let open = try secrets("open", 0o644)
    let denied = failure { $0.transport = wrong }
    #expect(denied?.code == .targetDenied && denied?.message.contains("secretsFile") == true)
    let readable = failure { $0.transport = open }
    #expect(readable?.code == .badConfiguration && readable?.message.contains("0600") == true)
    let missing = failure { $0.transport = .daemon(port: server.port, module: "nas", secretsFile: "/none") }
    #expect(missing?.code == .badConfiguration, "\(missing as Any)")
    let module = failure { $0.transport = .daemon(port: server.port, module: "x", secretsFile: nil) }
    #expect(module?.code == .targetDenied && module?.message.contains("no such module") == true)
    let closed = failure { $0.transport = .daemon(port: 1, module: "nas", secretsFile: nil) }
    #expect(closed?.code == .targetUnreachable && closed?.message.contains("port 1") == true)
    let nowhere = failure { $0.host = "nas.invalid" }
    #expect(nowhere?.code == .targetUnreachable && nowhere?.message.contains("resolved") == true)
    let magic = failure { $0.transport = .daemon(port: server.port, module: "n*s", secretsFile: nil) }
    #expect(magic?.code == .badConfiguration)
  }

  @Test func aReadOnlyModuleIsNamed() throws {
    let server = try RsyncServer.daemon(["read only = yes"])
    let bench = try server.bench()
    let error = #expect(throws: TierError.self) { try bench.target.connect() }
    #expect(
      error?.code == .targetDenied && error?.message.contains("read only = no") == true, "\(error as Any)")
  }

  @Test(.enabled(if: RsyncServer.sshObstacle == nil, "needs root and openssh-server"))
  func theSSHServersRefusalsSayWhatToDo() throws {
    let server = try RsyncServer.ssh()
    let scratch = try TemporaryDirectory()
    try scratch.fileSystem().write([], to: "nobody")
    func failure(identity: String, hosts: String) -> TierError? {
      guard case .ssh(let port, let path, _, _) = server.settings.transport else { return nil }
      var settings = server.settings
      settings.transport = .ssh(port: port, path: path, identityFile: identity, knownHostsFile: hosts)
      let target = server.target(scratch: scratch, timeout: .seconds(10), settings: settings)
      do {
        try target.connect().close()
        return nil
      } catch { return error }
    }
    let (identity, hosts) = (server.root.path("identity"), server.root.path("known hosts"))
    #expect(failure(identity: identity, hosts: hosts) == nil)
    let unknown = failure(identity: identity, hosts: scratch.path("nobody"))
    #expect(unknown?.message.contains("ssh-keyscan") == true, "\(unknown as Any)")
    let refused = failure(identity: server.root.path("host key"), hosts: hosts)
    #expect(refused?.message.contains("authorized_keys") == true, "\(refused as Any)")
  }

  // MARK: This machine

  @Test func nothingIsLeftInTheScratchFolder() throws {
    let server = try RsyncServer.daemon()
    let scratch = try TemporaryDirectory()
    let files = try scratch.fileSystem()
    try files.write(noise(10), to: "scratch/of a crash/deep/file")
    let session = try server.target(scratch: scratch).connect()
    #expect(try files.list("scratch", at: "test").count == 1)
    _ = try session.list("volume")
    session.close()
    #expect(try files.list("scratch", at: "test").isEmpty)
  }

  /// `--delete` must reach exactly one name, whatever its bytes: all its neighbours stay.
  @Test func aMoveToTheTrashTouchesNothingElse() throws {
    let bench = try RsyncServer.daemon().bench()
    let names = ArchivingContractTests.hostileNames
    let folder: RelativePath = "volume/*"
    for name in names { try bench.nas.write(noise(3), to: folder.appending(FileName(trusted: name))) }
    try bench.withSession { session throws in
      for (index, name) in names.enumerated() {
        let path = folder.appending(FileName(trusted: name))
        let trash = RelativePath(".tierd/trash/\(index)")!.appending(path)
        let expected = try #require(try session.status(of: [path])[0])
        #expect(try session.move(path, to: trash, expected: expected) == .done, "\(path)")
        #expect(try bench.nas.list(folder, at: "test").count == names.count - index - 1)
        #expect(try bench.nas.read(trash) == noise(3))
      }
    }
  }
}

/// Set on one thread, seen on another.
final class Measured: Sendable {
  private let duration = Mutex(Duration.zero)
  var value: Duration {
    get { duration.withLock { $0 } }
    set { duration.withLock { $0 = newValue } }
  }
}

extension LinuxFileSystem {
  /// As an app does: the same inode, from the start; a lease makes it wait.
  func overwrite(_ path: RelativePath, with byte: UInt8, count: Int) throws {
    let name = String(decoding: rootPath + [.slash] + path.bytes, as: UTF8.self)
    let number = Glibc.open(name, O_WRONLY)
    guard number >= 0 else { throw SyscallError(call: "open", path: name, errno: errno) }
    defer { Glibc.close(number) }
    let content = [UInt8](repeating: byte, count: count)
    guard pwrite(number, content, count, 0) == count else {
      throw SyscallError(call: "pwrite", path: name, errno: errno)
    }
  }
}

extension RsyncServer {
  func bench(_ options: [String] = [], timeout: Duration = .seconds(20)) throws -> TargetBench {
    try TargetBench(folder: folder, keeping: [self]) { memory, volume in
      target(memory: memory, scratch: volume, timeout: timeout, options: options)
    }
  }
}
