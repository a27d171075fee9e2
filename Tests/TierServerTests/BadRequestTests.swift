import FoundationEssentials
import Testing
import TierAPI
import TierControlSupport
import TierCore
import TierTestSupport

@testable import TierClient

/// What isn't in the API is refused with a sentence that says what is wrong; the daemon is never asked.
@Suite struct BadRequestTests {
  struct Bad: Sendable, CustomTestStringConvertible {
    var method: String
    var target: String
    var body: String?
    var status: Int
    var message: String
    var testDescription: String { "\(method) \(target) \(body ?? "")" }
  }

  static func get(_ target: String, _ status: Int, _ message: String) -> Bad {
    Bad(method: "GET", target: target, body: nil, status: status, message: message)
  }

  static func post(_ target: String, _ body: String, _ status: Int, _ message: String) -> Bad {
    Bad(method: "POST", target: target, body: body, status: status, message: message)
  }

  static let all: [Bad] = [
    get("/v1/nothing", 404, "no such route: /v1/nothing; see docs/openapi.yaml"),
    get("/v1/status/", 404, "no such route: /v1/status/; see docs/openapi.yaml"),
    get("/v2/status", 404, "no such route: /v2/status; see docs/openapi.yaml"),
    get("/v1/requests/", 404, "no such route: /v1/requests/; see docs/openapi.yaml"),
    get("/v1/requests/a/b", 404, "no such route: /v1/requests/a/b; see docs/openapi.yaml"),
    get("/v1/flush", 405, "/v1/flush takes POST"),
    Bad(method: "DELETE", target: "/v1/status", body: nil, status: 405, message: "/v1/status takes GET"),
    get("/v1/status?x=1", 400, "unknown parameter \"x\" (there is none here)"),
    get("/v1/why", 400, "parameter \"path\" is missing"),
    get("/v1/why?path=a", 400, "parameter \"path\": \(AbsolutePath.rule)"),
    get("/v1/why?path=/a/../b", 400, "parameter \"path\": \(AbsolutePath.rule)"),
    get("/v1/why?path=/a/", 400, "parameter \"path\": \(AbsolutePath.rule)"),
    get("/v1/why?path=/a%5Cn", 400, "parameter \"path\": \(AbsolutePath.rule)"),
    get("/v1/why?path=/a%5Cx00", 400, "parameter \"path\": \(AbsolutePath.rule)"),
    get("/v1/why?path=/a%", 400, "the query isn't percent-encoded UTF-8"),
    get("/v1/why?path=/%FF", 400, "the query isn't percent-encoded UTF-8"),
    get("/v1/why?path=/a&path=/b", 400, "parameter \"path\" is there twice"),
    get(
      "/v1/files?path=/a&recursiv=true", 400,
      "unknown parameter \"recursiv\" (known: \"after\", \"limit\", \"path\", \"recursive\")"),
    get("/v1/files?path=/a&recursive=yes", 400, "parameter \"recursive\" is neither \"true\" nor \"false\""),
    get("/v1/files?path=/a&limit=0", 400, "parameter \"limit\" is not a whole number from 1 to 10000"),
    get("/v1/windows?limit=1e3", 400, "parameter \"limit\" is not a whole number from 1 to 1000"),
    get("/v1/requests/r7?wait=31", 400, "parameter \"wait\" is not a whole number from 0 to 30"),
    post(
      "/v1/restore", "{\"paths\":[\"/a\"],\"planonly\":true}", 400,
      "unknown field \"planonly\" (known: \"paths\", \"pinSeconds\", \"planOnly\", \"policy\")"),
    post("/v1/restore", "{}", 400, "give either \"paths\" or \"policy\""),
    post("/v1/restore", "{\"paths\":[\"/a\"],\"policy\":\"p\"}", 400, "give either \"paths\" or \"policy\""),
    post("/v1/restore", "{\"paths\":[]}", 400, "\"paths\" is empty"),
    post("/v1/restore", "{\"paths\":[\"/a\",\"b\"]}", 400, "field \"paths[1]\": \(AbsolutePath.rule)"),
    post("/v1/restore", "{\"paths\":\"/a\"}", 400, "field \"paths\": not a list"),
    post(
      "/v1/restore", "{\"policy\":\"p\",\"planOnly\":\"no\"}", 400, "field \"planOnly\": not true or false"),
    post(
      "/v1/restore", "{\"policy\":\"p\",\"pinSeconds\":-1}", 400,
      "a pin lasts from 1 second to 100 years; leave it out for \"until unpinned\""),
    post(
      "/v1/pin", "{\"paths\":[\"/a\"],\"untilSeconds\":1.5}", 400,
      "the body isn't JSON, or a number in it isn't whole"),
    post("/v1/pin", "{\"untilSeconds\":1}", 400, "field \"paths\" is missing"),
    post(
      "/v1/flush", "{\"policy\":\"p\",\"volume\":\"v\"}", 400,
      "give one of \"policy\", \"volume\" and \"paths\", or none for all"),
    post("/v1/flush", "[]", 400, "the body is not an object"),
    post("/v1/policies/check", "{\"name\":\"a\"}", 400, "field \"text\" is missing"),
  ]

  @Test(arguments: all) func refused(bad: Bad) async throws {
    let control = RecordingControl()
    let directory = try TemporaryDirectory()
    let socket = directory.path("s")
    try await withControlServer(control, socket: socket) {
      let response = try await blocking {
        try HTTPExchange(bad.method, bad.target, bad.body.map { Array($0.utf8) })
          .perform(socket: socket, timeout: .seconds(30))
      }
      let report = try JSONDecoder().decode(ErrorReport.self, from: Data(response.body))
      #expect(response.status == bad.status)
      #expect(report.message == bad.message)
      #expect(control.calls.isEmpty)
    }
  }

  @Test(arguments: ["", "{", "nonsense", "{\"paths\":[\"/a\"]}x", String(repeating: "[", count: 5000)])
  func notJSON(body: String) async throws {
    let control = RecordingControl()
    let directory = try TemporaryDirectory()
    let socket = directory.path("s")
    try await withControlServer(control, socket: socket) {
      let response = try await blocking {
        try HTTPExchange.post("/v1/verify", json: Array(body.utf8)).perform(
          socket: socket, timeout: .seconds(30))
      }
      #expect(response.status == 400)
      #expect(control.calls.isEmpty)
    }
  }

  @Test func tooLarge() async throws {
    let control = RecordingControl()
    let directory = try TemporaryDirectory()
    let socket = directory.path("s")
    try await withControlServer(control, socket: socket) {
      let response = try await blocking {
        try HTTPExchange.post("/v1/verify", json: [UInt8](repeating: 0x20, count: (32 << 20) + 1))
          .perform(socket: socket, timeout: .seconds(60))
      }
      #expect(response.status == 413)
      #expect(String(decoding: response.body, as: UTF8.self).contains("the body is larger than 32 MiB"))
    }
  }

  @Test(arguments: [
    (TierError.Code.notFound, 404), (.badRequest, 400), (.badConfiguration, 422), (.unsupported, 501),
    (.targetUnreachable, 502), (.targetTimeout, 504), (.targetFull, 507), (.volumeFull, 507),
    (.fileBusy, 409),
    (.volumeUnavailable, 503), (.catalog, 500), (.internalFault, 500),
  ])
  func statusOfRefusals(code: TierError.Code, status: Int) async throws {
    let control = RecordingControl()
    control.fail(TierError(code, "because"))
    let directory = try TemporaryDirectory()
    let socket = directory.path("s")
    try await withControlServer(control, socket: socket) {
      let response = try await blocking {
        try HTTPExchange.get("/v1/status").perform(socket: socket, timeout: .seconds(30))
      }
      #expect(response.status == status)
    }
  }
}
