import Testing
import TierAPI
import TierClient
import TierControlSupport
import TierCore
import TierTestSupport

/// Server and client over a real socket: every operation arrives as it was meant, and its answer comes back
/// whole.
@Suite struct ControlAPITests {
  typealias Call = @Sendable (ControlClient) throws -> any Sendable

  static let photo = Samples.photo
  static let hostile = Samples.hostile
  static let operations: [(name: String, call: Call, recorded: String, answer: any Sendable)] = [
    ("status", { try $0.status() }, "status", Samples.status),
    (
      "files", { try $0.files(in: hostile, recursive: false, after: "a/b c+&%", limit: 7) },
      "files \(hostile) recursive=false after=a/b c+&% limit=7", Samples.files
    ),
    ("why", { try $0.why(hostile) }, "why \(hostile)", Samples.why),
    ("usage", { try $0.usage(of: photo) }, "usage \(photo)", Samples.usage),
    ("windows", { try $0.windows(target: "nas", limit: 3) }, "windows nas limit=3", Samples.windows),
    ("all windows", { try $0.windows(target: nil, limit: 3) }, "windows - limit=3", Samples.windows),
    ("policies", { try $0.policies() }, "policies", Samples.policies),
    ("explain", { try $0.explain(photo) }, "explain \(photo)", Samples.explain),
    (
      "check", { try $0.checkPolicy(.init(name: "a.yaml", text: "after: 5x\nö")) },
      "check a.yaml after: 5x\nö",
      Samples.check
    ),
    ("doctor", { try $0.doctor() }, "doctor", Samples.doctor),
    ("flush all", { try $0.flush(FlushBody()) }, "flush everything", Samples.done(.flush)),
    ("flush app", { try $0.flush(.init(policy: "p")) }, "flush policy(\"p\")", Samples.done(.flush)),
    ("flush volume", { try $0.flush(.init(volume: "v")) }, "flush volume(\"v\")", Samples.done(.flush)),
    (
      "flush paths", { try $0.flush(.init(paths: [hostile])) }, "flush paths([\(hostile)])",
      Samples.done(.flush)
    ),
    (
      "restore", { try $0.restore(.init(paths: [photo, hostile], pinSeconds: 172_800)) },
      "restore paths([\(photo), \(hostile)]) planOnly=false pin=2d",
      ActionReport(request: Samples.done(.restore))
    ),
    (
      "restore plan", { try $0.restore(.init(policy: "photos", planOnly: true)) },
      "restore policy(\"photos\") planOnly=true pin=-", ActionReport(plan: Samples.plan)
    ),
    (
      "release", { try $0.release(.init(paths: [photo])) }, "release paths([\(photo)]) planOnly=false",
      ActionReport(request: Samples.done(.release))
    ),
    ("pin", { try $0.pin(.init(paths: [photo], untilSeconds: 60)) }, "pin [\(photo)] 1m", Samples.pin),
    ("pin for ever", { try $0.pin(.init(paths: [photo])) }, "pin [\(photo)] -", Samples.pin),
    ("unpin", { try $0.unpin(.init(paths: [photo])) }, "unpin [\(photo)]", PinReport(files: 3)),
    ("verify", { try $0.verify(.init(paths: [hostile])) }, "verify [\(hostile)]", Samples.done(.verify)),
    ("fsck", { try $0.fsck(.init(rebuild: true)) }, "fsck rebuild=true", Samples.done(.fsck)),
    (
      "undelete", { try $0.undelete(.init(path: photo)) }, "undelete \(photo) listOnly=false",
      Samples.undelete
    ),
    (
      "undelete list", { try $0.undelete(.init(path: photo, listOnly: true)) },
      "undelete \(photo) listOnly=true",
      UndeleteReport(removed: Samples.undelete.removed)
    ),
    (
      "request", { try $0.request("a b%", waitSeconds: 5) }, "request a b% wait=5s",
      Samples.done(.restore, id: "a b%")
    ),
  ]

  @Test(arguments: operations.indices) func operation(index: Int) async throws {
    let operation = Self.operations[index]
    let control = RecordingControl()
    let directory = try TemporaryDirectory()
    let client = ControlClient(socket: directory.path("s"))
    try await withControlServer(control, socket: directory.path("s")) {
      let answer = try await blocking { String(reflecting: try operation.call(client)) }
      #expect(answer == String(reflecting: operation.answer), "\(operation.name)")
      #expect(control.calls == [operation.recorded], "\(operation.name)")
    }
  }

  @Test func refusalArrivesWhole() async throws {
    let control = RecordingControl()
    control.fail(
      TierError(.fileBusy, "it is in use", path: "a\\x0ab", cause: "EBUSY", disposition: .retry))
    let directory = try TemporaryDirectory()
    let client = ControlClient(socket: directory.path("s"))
    try await withControlServer(control, socket: directory.path("s")) {
      let expected = ErrorReport(
        code: "fileBusy", message: "it is in use", path: "a\\x0ab", cause: "EBUSY", mayRetry: true)
      await #expect(throws: ClientError.refused(expected)) { try await blocking { try client.status() } }
    }
  }

  /// An answer of megabytes passes whole, and so does a body of a hundred long paths.
  @Test func largeBodies() async throws {
    let control = RecordingControl()
    let directory = try TemporaryDirectory()
    let client = ControlClient(socket: directory.path("s"))
    var status = Samples.status
    status.volumes[0].problems = Array(repeating: String(repeating: "x", count: 1000), count: 3000)
    control.answer(status: status)
    let long = AbsolutePath([.slash] + [UInt8](repeating: 0xFF, count: 4000))!
    try await withControlServer(control, socket: directory.path("s")) { [status] in
      #expect(try await blocking { try client.status() } == status)
      _ = try await blocking { try client.verify(.init(paths: Array(repeating: long, count: 100))) }
      #expect(control.calls.last?.utf8.count ?? 0 > 1_600_000)
    }
  }

  @Test func manyClientsAtOnce() async throws {
    let control = RecordingControl()
    let directory = try TemporaryDirectory()
    let client = ControlClient(socket: directory.path("s"))
    try await withControlServer(control, socket: directory.path("s")) {
      try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in 0..<50 { group.addTask { _ = try await blocking { try client.why(Samples.photo) } } }
        try await group.waitForAll()
      }
      #expect(control.calls.count == 50)
    }
  }
}
