import Glibc
import Synchronization
import Testing
import TierCore
import TierLinux
import TierTestSupport

@Suite struct MachineryTests {
  @Test(arguments: [
    ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
  ])
  func hashesAreSHA256(_ text: String, _ expected: String) {
    #expect(Array(text.utf8).withUnsafeBytes(SHA256Hasher.hash).description == expected)
  }

  @Test func hashersAreValues() {
    func update(_ hasher: inout SHA256Hasher, _ text: String) {
      Array(text.utf8).withUnsafeBytes { hasher.update($0) }
    }
    var one = SHA256Hasher()
    update(&one, "a")
    var two = one
    update(&one, "bc")
    update(&two, "xx")
    #expect(one.finish() == Array("abc".utf8).withUnsafeBytes(SHA256Hasher.hash))
    #expect(two.finish() == Array("axx".utf8).withUnsafeBytes(SHA256Hasher.hash))
    update(&one, "abc")
    #expect(one.finish() == Array("abc".utf8).withUnsafeBytes(SHA256Hasher.hash))
  }

  @Test func threadsAreNamedAndJoined() {
    let name = Mutex("")
    let thread = OwnedThread(name: "a-name-that-is-long") {
      let text = (try? SmallFile.read("/proc/thread-self/comm", limit: 64)) ?? []
      name.withLock { $0 = String(decoding: text, as: UTF8.self) }
    }
    thread.join()
    thread.join()
    #expect(name.withLock { $0 } == "a-name-that-is-\n")
  }

  @Test(.timeLimit(.minutes(1))) func aWakeupEndsTheCurrentOrTheNextWait() throws {
    let wakeup = try Wakeup()
    #expect(!wakeup.wait(atMost: .zero))
    wakeup.signal()
    wakeup.signal()
    #expect(wakeup.wait(atMost: nil))
    #expect(!wakeup.wait(atMost: .milliseconds(1)))
    let thread = OwnedThread(name: "signaller") { wakeup.signal() }
    #expect(wakeup.wait(atMost: nil))
    thread.join()
  }

  @Test func clocksRun() {
    let clock = SystemClock()
    let (wall, start) = (clock.now, clock.monotonic)
    #expect(wall.seconds > 1_700_000_000)
    #expect(clock.monotonic >= start)
  }

  @Test func mountTablesAreRead() throws {
    let text = #"""
      22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
      36 22 98:0 /sub\040dir /mnt/a\134b\012c ro,noatime master:1 shared:2 - fuse.glusterfs nas:/vol rw
      not a line
      """#
    let mounts = MountTable(parsing: Array(text.utf8)).mounts
    #expect(mounts.map(\.id) == [22, 36])
    #expect(mounts[0].isReadOnly == false && mounts[0].isRemote == false)
    #expect(mounts[1].root == Array("/sub dir".utf8))
    #expect(mounts[1].mountPoint == Array("/mnt/a\\b\nc".utf8))
    #expect(mounts[1].fileSystem == "fuse.glusterfs" && mounts[1].source == Array("nas:/vol".utf8))
    #expect(mounts[1].isReadOnly && mounts[1].isRemote)
    let proc = try #require(try MountTable.mount(holding: "/proc/self"))
    #expect(proc.fileSystem == "proc" && proc.mountPoint == Array("/proc".utf8))
    #expect(errno { _ = try MountTable.mount(holding: "/no/such") } == ENOENT)
  }

  @Test(.enabled(if: LoopFileSystem.Kind.tmpfs.isAvailable, "mounting needs root"))
  func theInnermostMountHoldsAPath() throws {
    let outer = try LoopFileSystem(.tmpfs)
    let file = try outer.fileSystem().put(at("file"), "x")
    let mount = try #require(try MountTable.mount(holding: outer.path + "/file"))
    #expect(mount.fileSystem == "tmpfs" && mount.mountPoint == Array(outer.path.utf8))
    #expect(mount.device == file.device)
  }

  @Test func systemdIsTold() throws {
    let directory = try TemporaryDirectory()
    let socket = try UnixSocket(boundTo: directory.path("notify"))
    defer { socket.close() }
    let variables = [
      "NOTIFY_SOCKET": directory.path("notify"), "WATCHDOG_USEC": "2500000", "WATCHDOG_PID": "\(getpid())",
    ]
    let service = ServiceNotification { variables[$0] }
    #expect(service.watchdogInterval == .milliseconds(2500))
    service.ready(status: "two\nlines")
    #expect(socket.receive() == "READY=1\nSTATUS=two lines")
    service.reloading()
    #expect(socket.receive().hasPrefix("RELOADING=1\nMONOTONIC_USEC="))
    service.stopping()
    #expect(socket.receive() == "STOPPING=1")
    // Nobody listens: nothing happens.
    ServiceNotification { _ in nil }.watchdog()
    ServiceNotification { ["NOTIFY_SOCKET": "/no/such/socket"][$0] }.watchdog()
    #expect(ServiceNotification { ["WATCHDOG_USEC": "1", "WATCHDOG_PID": "1"][$0] }.watchdogInterval == nil)
  }

  @Test(
    arguments: [
      (ENOSPC, .volumeFull, .retry), (EDQUOT, .volumeFull, .retry), (ESTALE, .volumeUnavailable, .retry),
      (ENOTCONN, .volumeUnavailable, .retry), (EIO, .volumeUnavailable, .retry), (EBUSY, .fileBusy, .retry),
      (EAGAIN, .fileBusy, .retry), (ETXTBSY, .fileBusy, .retry), (ENOENT, .notFound, .permanent),
      (EACCES, .fileSystem, .permanent), (EOPNOTSUPP, .unsupported, .permanent),
    ] as [(Int32, TierError.Code, Disposition)])
  func systemErrorsAreExplained(_ number: Int32, _ code: TierError.Code, _ disposition: Disposition) {
    let error = TierError(SyscallError(call: "fsync", path: "/v/a", errno: number))
    #expect(error.code == code && error.disposition == disposition && error.path == "/v/a")
    #expect(error.cause?.hasPrefix("fsync: E") == true)
    let wrapped = TierError(SyscallError(call: "fsync", path: "/v/a", errno: number), code: .targetFailed)
    #expect(wrapped.code == .targetFailed && wrapped.disposition == disposition)
  }

  @Test func errnosHaveNames() {
    #expect(errnoText(ENOSPC) == "ENOSPC: No space left on device")
    #expect(errnoText(99_999) == "error 99999")
  }
}
