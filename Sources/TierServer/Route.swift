import TierAPI
import TierCore

/// One operation of the API. The table of all of them (`Route.control`) is what the server answers by and what
/// `docs/openapi.yaml` is compared with.
struct Route: Sendable {
  enum Method: String, Sendable { case get = "GET", post = "POST" }

  var method: Method
  /// The last component may be `{id}`.
  var path: String
  /// `operationId` in the OpenAPI document.
  var operation: String
  /// The query parameters that it knows; any other is refused.
  var parameters: Set<String> = []
  var answer: @Sendable (RouteInput, any Control) async throws(TierError) -> Reply

  /// What stands for `{id}`, empty where the path has none; nil where `path` is another's.
  func match(_ path: String) -> String? {
    guard self.path.hasSuffix("/{id}") else { return path == self.path ? "" : nil }
    let prefix = self.path.dropLast("{id}".utf8.count)
    guard path.hasPrefix(prefix) else { return nil }
    let id = path.dropFirst(prefix.count)
    return id.isEmpty || id.contains("/") ? nil : PercentText.decode(id)
  }
}

extension Route {
  static let control: [Route] = reading + policies + acting

  private static let reading: [Route] = [
    Route(method: .get, path: "/v1/status", operation: "status") { _, control async throws(TierError) in
      try .json(await control.status())
    },
    Route(
      method: .get, path: "/v1/files", operation: "files",
      parameters: ["path", "recursive", "after", "limit"]
    ) { input, control async throws(TierError) in
      try .json(
        await control.files(
          in: input.path("path"), recursive: input.flag("recursive"), after: input.text("after"),
          limit: input.number("limit", in: 1...10_000) ?? 1000))
    },
    Route(method: .get, path: "/v1/why", operation: "why", parameters: ["path"]) {
      input, control async throws(TierError) in
      try .json(await control.why(input.path("path")))
    },
    Route(method: .get, path: "/v1/usage", operation: "usage", parameters: ["path"]) {
      input, control async throws(TierError) in
      try .json(await control.usage(of: input.path("path")))
    },
    Route(method: .get, path: "/v1/windows", operation: "windows", parameters: ["target", "limit"]) {
      input, control async throws(TierError) in
      let limit = try input.number("limit", in: 1...1000) ?? 20
      return try .json(await control.windows(target: input.text("target"), limit: limit))
    },
    Route(method: .get, path: "/v1/doctor", operation: "doctor") { _, control async throws(TierError) in
      try .json(await control.doctor())
    },
    Route(method: .get, path: "/v1/requests/{id}", operation: "request", parameters: ["wait"]) {
      input, control async throws(TierError) in
      let wait = try input.number("wait", in: 0...30) ?? 0
      return try .json(await control.request(input.id, wait: .seconds(wait)))
    },
  ]

  private static let policies: [Route] = [
    Route(method: .get, path: "/v1/policies", operation: "policies") { _, control async throws(TierError) in
      try .json(await control.policies())
    },
    Route(method: .get, path: "/v1/policies/explain", operation: "explainPolicy", parameters: ["path"]) {
      input, control async throws(TierError) in
      try .json(await control.explain(input.path("path")))
    },
    Route(method: .post, path: "/v1/policies/check", operation: "checkPolicy") {
      input, control async throws(TierError) in
      let body = try input.body(PolicyTextBody.self)
      return try .json(await control.checkPolicy(named: body.name, text: body.text))
    },
  ]

  private static let acting: [Route] = [
    Route(method: .post, path: "/v1/flush", operation: "flush") { input, control async throws(TierError) in
      try .json(await control.flush(input.body(FlushBody.self).scope()))
    },
    Route(method: .post, path: "/v1/restore", operation: "restore") {
      input, control async throws(TierError) in
      let body = try input.body(RestoreBody.self)
      let pin = try body.pinSeconds.map { seconds throws(TierError) in try pinDuration(seconds) }
      let selection = try Selection(paths: body.paths, policy: body.policy)
      return try .json(await control.restore(selection, planOnly: body.planOnly ?? false, pin: pin))
    },
    Route(method: .post, path: "/v1/release", operation: "release") {
      input, control async throws(TierError) in
      let body = try input.body(ReleaseBody.self)
      let selection = try Selection(paths: body.paths, policy: body.policy)
      return try .json(await control.release(selection, planOnly: body.planOnly ?? false))
    },
    Route(method: .post, path: "/v1/pin", operation: "pin") { input, control async throws(TierError) in
      let body = try input.body(PinBody.self)
      let duration = try body.untilSeconds.map { seconds throws(TierError) in try pinDuration(seconds) }
      return try .json(await control.pin(body.paths.notEmpty(), for: duration))
    },
    Route(method: .post, path: "/v1/unpin", operation: "unpin") { input, control async throws(TierError) in
      try .json(await control.unpin(input.body(PathsBody.self).paths.notEmpty()))
    },
    Route(method: .post, path: "/v1/verify", operation: "verify") { input, control async throws(TierError) in
      try .json(await control.verify(input.body(PathsBody.self).paths.notEmpty()))
    },
    Route(method: .post, path: "/v1/fsck", operation: "fsck") { input, control async throws(TierError) in
      try .json(await control.fsck(rebuild: input.body(FsckBody.self).rebuild ?? false))
    },
    Route(method: .post, path: "/v1/undelete", operation: "undelete") {
      input, control async throws(TierError) in
      let body = try input.body(UndeleteBody.self)
      return try .json(await control.undelete(body.path, listOnly: body.listOnly ?? false))
    },
  ]

  private static func pinDuration(_ seconds: Int64) throws(TierError) -> Duration {
    guard seconds > 0, seconds <= 100 * 365 * 86_400 else {
      throw TierError(
        .badRequest, "a pin lasts from 1 second to 100 years; leave it out for \"until unpinned\"")
    }
    return .seconds(seconds)
  }
}

extension FlushBody {
  fileprivate func scope() throws(TierError) -> FlushScope {
    switch (policy, volume, paths) {
    case (nil, nil, nil): return .everything
    case (let policy?, nil, nil): return .policy(policy)
    case (nil, let volume?, nil): return .volume(volume)
    case (nil, nil, let paths?): return .paths(try paths.notEmpty())
    default: throw TierError(.badRequest, "give one of \"policy\", \"volume\" and \"paths\", or none for all")
    }
  }
}

extension Selection {
  fileprivate init(paths: [AbsolutePath]?, policy: String?) throws(TierError) {
    switch (paths, policy) {
    case (let paths?, nil): self = .paths(try paths.notEmpty())
    case (nil, let policy?): self = .policy(policy)
    default: throw TierError(.badRequest, "give either \"paths\" or \"policy\"")
    }
  }
}

extension [AbsolutePath] {
  fileprivate func notEmpty() throws(TierError) -> [AbsolutePath] {
    guard !isEmpty else { throw TierError(.badRequest, "\"paths\" is empty") }
    return self
  }
}
