import FoundationEssentials
import TierAPI
import TierCore

/// Why there is no report. `tierctl`'s exit code follows from it.
package enum ClientError: Error, Hashable, Sendable {
  /// Nobody answers at the socket. Says what to do.
  case unreachable(String)
  /// The daemon refused, and says why.
  case refused(ErrorReport)
  /// It took longer than `seconds`; what was asked for may go on.
  case timedOut(seconds: Int64)
  /// Not an answer of this API: another program, or another version of tierd.
  case unexpected(String)
}

/// The daemon's API as blocking calls, one connection a call.
package struct ControlClient: Sendable {
  package let socket: String
  private let timeout: Duration

  package init(socket: String, timeout: Duration = .seconds(60)) {
    self.socket = socket
    self.timeout = timeout
  }

  package func status() throws(ClientError) -> StatusReport { try get("/v1/status") }

  package func files(in path: AbsolutePath, recursive: Bool, after: String?, limit: Int)
    throws(ClientError) -> FilesReport
  {
    try get(
      "/v1/files",
      [("path", "\(path)"), ("recursive", "\(recursive)"), ("after", after), ("limit", "\(limit)")])
  }

  package func why(_ path: AbsolutePath) throws(ClientError) -> WhyReport {
    try get("/v1/why", [("path", "\(path)")])
  }

  package func usage(of path: AbsolutePath) throws(ClientError) -> UsageReport {
    try get("/v1/usage", [("path", "\(path)")])
  }

  package func windows(target: String?, limit: Int) throws(ClientError) -> WindowsReport {
    try get("/v1/windows", [("target", target), ("limit", "\(limit)")])
  }

  package func policies() throws(ClientError) -> PoliciesReport { try get("/v1/policies") }

  package func explain(_ path: AbsolutePath) throws(ClientError) -> ExplainReport {
    try get("/v1/policies/explain", [("path", "\(path)")])
  }

  package func checkPolicy(_ body: PolicyTextBody) throws(ClientError) -> PolicyCheckReport {
    try post("/v1/policies/check", body)
  }

  package func doctor() throws(ClientError) -> DoctorReport { try get("/v1/doctor") }

  package func flush(_ body: FlushBody) throws(ClientError) -> RequestReport { try post("/v1/flush", body) }

  package func restore(_ body: RestoreBody) throws(ClientError) -> ActionReport {
    try post("/v1/restore", body)
  }

  package func release(_ body: ReleaseBody) throws(ClientError) -> ActionReport {
    try post("/v1/release", body)
  }

  package func pin(_ body: PinBody) throws(ClientError) -> PinReport { try post("/v1/pin", body) }

  package func unpin(_ body: PathsBody) throws(ClientError) -> PinReport { try post("/v1/unpin", body) }

  package func verify(_ body: PathsBody) throws(ClientError) -> RequestReport { try post("/v1/verify", body) }

  package func fsck(_ body: FsckBody) throws(ClientError) -> RequestReport { try post("/v1/fsck", body) }

  package func undelete(_ body: UndeleteBody) throws(ClientError) -> UndeleteReport {
    try post("/v1/undelete", body)
  }

  /// Returns when the request has ended, at the latest after `waitSeconds` (0 to 30).
  package func request(_ id: String, waitSeconds: Int) throws(ClientError) -> RequestReport {
    try get("/v1/requests/\(PercentText.encode(id))", [("wait", "\(waitSeconds)")])
  }

  private func get<Report: Decodable>(_ path: String, _ query: [(String, String?)] = [])
    throws(ClientError) -> Report
  {
    let pairs = query.compactMap { name, value in value.map { "\(name)=\(PercentText.encode($0))" } }
    let target = pairs.isEmpty ? path : path + "?" + pairs.joined(separator: "&")
    return try report(from: HTTPExchange.get(target))
  }

  private func post<Report: Decodable>(_ path: String, _ body: some Encodable) throws(ClientError) -> Report {
    let data: Data
    do {
      data = try JSONEncoder().encode(body)
    } catch {
      throw .unexpected("the request can't be written as JSON: \(error)")
    }
    return try report(from: HTTPExchange.post(path, json: Array(data)))
  }

  private func report<Report: Decodable>(from exchange: HTTPExchange) throws(ClientError) -> Report {
    let response = try exchange.perform(socket: socket, timeout: timeout)
    let body = Data(response.body)
    guard (200..<300).contains(response.status) else {
      if let report = try? JSONDecoder().decode(ErrorReport.self, from: body) { throw .refused(report) }
      throw .unexpected("\(who(response)) answered with HTTP status \(response.status) and no explanation")
    }
    do {
      return try JSONDecoder().decode(Report.self, from: body)
    } catch {
      throw .unexpected(
        "\(who(response)) answered what this version doesn't understand: use the same version of both")
    }
  }

  private func who(_ response: HTTPResponse) -> String {
    response.server.map { EscapedText.encode(Array($0.utf8)) } ?? "the program at \(socket)"
  }
}
