import Glibc
import Testing
import TierAPI
import TierControlSupport
import TierCore
import TierLinux
import TierTestSupport

@testable import TierClient
@testable import TierServer

@Suite struct ControlSocketTests {
  @Test func socketAndDirectoryAreClosedToOthers() async throws {
    let directory = try TemporaryDirectory()
    let socket = directory.path("run/s")
    try await withControlServer(RecordingControl(), socket: socket) {
      let modes = (try mode(of: directory.path("run")), try mode(of: socket))
      #expect(modes == (0o40700, 0o140600))
    }
    #expect(access(socket, F_OK) != 0, "it is left behind")
  }

  @Test func staleSocketIsReplaced() async throws {
    let directory = try TemporaryDirectory()
    let socket = directory.path("s")
    try leaveStaleSocket(socket)
    try await withControlServer(RecordingControl(), socket: socket) {
      _ = try await blocking { try ControlClient(socket: socket).status() }
    }
  }

  @Test func aliveSocketIsRespected() async throws {
    let directory = try TemporaryDirectory()
    let socket = directory.path("s")
    try await withControlServer(RecordingControl(), socket: socket) {
      let error = try #require(
        await failure { try await withControlServer(RecordingControl(), socket: socket) {} })
      #expect(
        error.description
          == "\(socket): another tierd is running and answers there: stop it or set another \"socket\"")
      _ = try await blocking { try ControlClient(socket: socket).status() }
    }
  }

  @Test func anotherFileIsKept() async throws {
    let directory = try TemporaryDirectory()
    for (name, make) in [
      ("file", { fclose(fopen(directory.path("file"), "w")!) }),
      ("link", { symlink("/x", directory.path("link")) }),
      ("folder", { mkdir(directory.path("folder"), 0o700) }),
      ("pipe", { mkfifo(directory.path("pipe"), 0o600) }),
    ] as [(String, () -> Int32)] {
      #expect(make() == 0)
      let error = try #require(
        await failure { try await withControlServer(RecordingControl(), socket: directory.path(name)) {} })
      #expect(error.message.hasPrefix("is there and isn't a socket"), "\(name)")
      var status = stat()
      #expect(lstat(directory.path(name), &status) == 0, "\(name) is gone")
    }
  }

  @Test func openDirectoryIsRefused() async throws {
    let directory = try TemporaryDirectory()
    chmod(directory.path, 0o755)
    let error = try #require(
      await failure { try await withControlServer(RecordingControl(), socket: directory.path("s")) {} })
    #expect(error.message.hasPrefix("others can reach this directory (owner \(geteuid()), mode 0755)"))
    #expect(error.code == .badConfiguration)
  }

  @Test func impossiblePaths() async throws {
    for (path, message) in [
      ("s", "the control socket's path must be absolute"),
      (
        "/" + String(repeating: "x", count: 107),
        "the control socket's path is longer than the kernel's 107 bytes"
      ),
      ("/nowhere/at/all/s", "the control socket's directory can't be made"),
    ] {
      let error = try #require(
        await failure { try await withControlServer(RecordingControl(), socket: path) {} })
      #expect(error.message.hasPrefix(message))
    }
  }

  @Test func clientSaysWhatToDo() async throws {
    let directory = try TemporaryDirectory()
    #expect(throws: ClientError.self) { try ControlClient(socket: directory.path("s")).status() }
    try leaveStaleSocket(directory.path("stale"))
    let error = #expect(throws: ClientError.self) {
      try ControlClient(socket: directory.path("stale")).status()
    }
    let expected =
      "nobody answers at \(directory.path("stale")): tierd has stopped."
      + " See `systemctl status tierd` and `journalctl -u tierd`"
    #expect(error == .unreachable(expected))
  }

  /// A daemon that hangs must not hang tierctl.
  @Test func clientGivesUp() async throws {
    let directory = try TemporaryDirectory()
    let listener = try listen(directory.path("s"))
    defer { close(listener) }
    let client = ControlClient(socket: directory.path("s"), timeout: .milliseconds(50))
    await #expect(throws: ClientError.timedOut(seconds: 0)) { try await blocking { try client.status() } }
  }

  /// A long poll ends with the daemon instead of holding it up.
  @Test func shutdownEndsLongPolls() async throws {
    let directory = try TemporaryDirectory()
    let socket = directory.path("s")
    let control = RecordingControl()
    let start = ContinuousClock.now
    try await withGracefulControlServer(control, socket: socket) { stop in
      async let report = blocking { try ControlClient(socket: socket).request("endless", waitSeconds: 30) }
      try await eventually(async: { control.calls == ["request endless wait=30s"] })
      await stop()
      #expect(try await report == Samples.running)
    }
    #expect(ContinuousClock.now - start < .seconds(25))
  }

  private func mode(of path: String) throws -> UInt32 {
    var status = stat()
    guard lstat(path, &status) == 0 else { throw SyscallError(call: "lstat", path: path, errno: errno) }
    return status.st_mode
  }

  private func leaveStaleSocket(_ path: String) throws { close(try listen(path)) }

  private func listen(_ path: String) throws -> Int32 {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    let bound = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    guard bound == 0, Glibc.listen(descriptor, 5) == 0 else {
      throw SyscallError(call: "bind", path: path, errno: errno)
    }
    return descriptor
  }

  private func failure(_ body: () async throws -> Void) async throws -> TierError? {
    do {
      try await body()
      return nil
    } catch let error as TierError {
      return error
    }
  }
}

@Suite struct StatusListenerTests {
  @Test func pagesAndNothingElse() async throws {
    let control = RecordingControl()
    try await withStatusServer(control) { port in
      let health = try await fetched("/healthz", port)
      #expect(health.text == "ok\n")
      #expect(control.calls.isEmpty, "being alive doesn't depend on the engine")
      let texts = [
        try await fetched("/readyz", port).text, try await fetched("/metrics", port).text,
        String(try await fetched("/", port).text.prefix(15)),
      ]
      #expect(texts == ["ready\n", Samples.status.metrics.text, "<!DOCTYPE html>"])
      let refused = [
        try await fetched("/v1/status", port).status,
        try await fetched("/v1/flush", port, method: "POST").status,
      ]
      #expect(refused == [404, 404])
      #expect(control.calls == ["status", "status", "status"])
    }
  }

  @Test func notReady() async throws {
    let control = RecordingControl()
    var status = Samples.status
    status.isReady = false
    control.answer(status: status)
    try await withStatusServer(control) { port in
      let statuses = [
        try await fetched("/readyz", port).status, try await fetched("/healthz", port).status,
      ]
      #expect(statuses == [503, 200])
    }
  }

  @Test func takenPort() async throws {
    try await withStatusServer(RecordingControl()) { port in
      let server = StatusServer(
        control: RecordingControl(), address: .init(host: "127.0.0.1", port: UInt16(port)), version: "0",
        logger: silentLogger)
      let error = await #expect(throws: TierError.self) { try await server.run() }
      #expect(error?.code == .badConfiguration)
      #expect(error?.message == "can't listen at 127.0.0.1 port \(port), set by \"http\"")
    }
  }

  private func fetched(_ path: String, _ port: Int, method: String = "GET") async throws
    -> (status: Int, text: String)
  {
    try await blocking { try fetch(path, port, method: method) }
  }

  private func fetch(_ path: String, _ port: Int, method: String = "GET") throws -> (
    status: Int, text: String
  ) {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(port).bigEndian
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    let connected = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard connected == 0 else { throw SyscallError(call: "connect", path: path, errno: errno) }
    let request = Array("\(method) \(path) HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".utf8)
    #expect(send(descriptor, request, request.count, Int32(MSG_NOSIGNAL)) == request.count)
    var parser = HTTPResponseParser(bodyBytesMax: 1 << 20)
    var buffer = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = recv(descriptor, &buffer, buffer.count, 0)
      switch count > 0 ? parser.consume(buffer[..<count]) : parser.finish() {
      case .more: continue
      case .response(let response): return (response.status, String(decoding: response.body, as: UTF8.self))
      case .malformed(let what): throw ClientError.unexpected(what)
      }
    }
  }
}

@Suite struct MetricsTests {
  @Test func all() throws {
    let text = Samples.status.metrics.text
    #expect(text.hasPrefix("# HELP tierd_oldest_unarchived_seconds "), "the first that matters")
    try expectSnapshot(text, "Tests/TierServerTests/Snapshots/metrics.txt")
  }

  @Test func escaping() {
    var metrics = MetricsText()
    metrics.add("tierd_x", .gauge, "a\\b\nc\"", [(labels: [("l", "a\"b\\c\nd")], value: 1.5)])
    metrics.add("tierd_nothing", .gauge, "unknown everywhere", [(labels: [], value: nil)])
    metrics.add(
      "tierd_y_total", .counter, "odd", [(labels: [], value: .infinity), (labels: [], value: -.infinity)])
    #expect(
      metrics.text == """
        # HELP tierd_x a\\\\b\\nc"
        # TYPE tierd_x gauge
        tierd_x{l="a\\"b\\\\c\\nd"} 1.5
        # HELP tierd_y_total odd
        # TYPE tierd_y_total counter
        tierd_y_total +Inf
        tierd_y_total -Inf

        """)
  }
}

@Suite struct StatusPageTests {
  @Test func page() throws {
    try expectSnapshot(StatusPage(report: Samples.status).html, "Tests/TierServerTests/Snapshots/status.html")
  }

  @Test func hostileTextIsEscaped() {
    var report = Samples.status
    report.volumes[0].problems = ["<script>alert('&\"')</script>"]
    let html = StatusPage(report: report).html
    #expect(!html.contains("<script"))
    #expect(html.contains("&lt;script&gt;alert(&#39;&amp;&quot;&#39;)&lt;/script&gt;"))
  }
}
