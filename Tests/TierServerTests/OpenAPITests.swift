import FoundationEssentials
import Testing
import TierAPI
import TierControlSupport

@testable import TierServer

/// `docs/openapi.yaml` says what the server does: the same operations, and the same fields.
@Suite struct OpenAPITests {
  @Test func operations() throws {
    let documented = try OpenAPIDocument.load().operations
    let served = Set(
      (Route.control + Route.pages).map {
        OpenAPIDocument.Operation(
          path: $0.path, method: $0.method.rawValue.lowercased(), id: $0.operation, parameters: $0.parameters)
      })
    #expect(documented == served)
  }

  static let samples: [(schema: String, value: any Encodable & Sendable)] = [
    ("StatusReport", Samples.status), ("VolumeReport", Samples.status.volumes[0]),
    ("RecallsReport", Samples.status.recalls),
    ("CountReport", Samples.status.volumes[0].totals.resident),
    ("TotalsReport", Samples.status.volumes[0].totals), ("WatchReport", Samples.status.volumes[0].watch),
    ("WatchReportGap", Samples.status.volumes[0].watch.gaps[0]),
    ("ScanReport", Samples.status.volumes[0].scan), ("TargetReport", Samples.status.targets[0]),
    ("PendingReport", Samples.status.targets[0].pending),
    ("NextWindow", Samples.status.targets[0].nextWindow!),
    ("TargetCounters", Samples.status.targets[0].counters), ("PolicySummary", Samples.status.policies),
    ("DiagnosticEntry", Samples.diagnostic), ("WindowsReport", Samples.windows),
    ("WindowEntry", Samples.window),
    ("FilesReport", FilesReport(now: Samples.now, next: "more")), ("FileEntry", Samples.entry),
    ("WhyReport", Samples.why), ("UsageReport", Samples.usage), ("UsageEntry", Samples.usage.total),
    ("PinReport", Samples.pin), ("UndeleteReport", Samples.undelete),
    ("RemovedEntry", Samples.undelete.removed[0]), ("RequestReport", Samples.partly),
    ("RequestMessage", Samples.partly.messages[0]), ("PlanReport", Samples.plan),
    ("PlanTarget", Samples.plan.targets[0]), ("PoliciesReport", Samples.policies),
    ("PolicyEntry", Samples.policies.policies[0]), ("ExplainReport", Samples.explain),
    ("PolicyCheckReport", Samples.check), ("DoctorReport", Samples.doctor),
    ("DoctorCheck", Samples.doctor.checks[1]),
    ("ErrorReport", ErrorReport(code: "a", message: "b", path: "c", cause: "d", fix: "e")),
    ("FlushBody", FlushBody(policy: "a", volume: "b", paths: [])),
    ("RestoreBody", RestoreBody(paths: [], policy: "a", planOnly: true, pinSeconds: 1)),
    ("ReleaseBody", ReleaseBody(paths: [], policy: "a", planOnly: true)),
    ("PinBody", PinBody(paths: [], untilSeconds: 1)), ("PathsBody", PathsBody(paths: [])),
    ("PolicyTextBody", PolicyTextBody(name: "a", text: "b")), ("FsckBody", FsckBody(rebuild: true)),
    ("UndeleteBody", UndeleteBody(path: Samples.photo, listOnly: true)),
  ]

  @Test func fields() throws {
    let schemas = try OpenAPIDocument.load().schemas
    for (name, value) in Self.samples {
      let schema = try #require(schemas[name], "no schema \(name)")
      let keys = try Set(JSONDecoder().decode(Keys.self, from: JSONEncoder().encode(value)).names)
      #expect(schema.properties == keys, "\(name)")
      #expect(schema.required.isSubset(of: keys), "\(name)")
    }
    let known = Set(Self.samples.map(\.schema)).union(["UTCTime", "AbsolutePath", "ActionReport"])
    #expect(Set(schemas.keys) == known)
  }

  private struct Keys: Decodable {
    let names: [String]
    private struct Key: CodingKey {
      var stringValue: String
      var intValue: Int? { nil }
      init(stringValue: String) { self.stringValue = stringValue }
      init?(intValue: Int) { nil }
    }
    init(from decoder: any Decoder) throws {
      names = try decoder.container(keyedBy: Key.self).allKeys.map(\.stringValue)
    }
  }
}

/// Just enough of a reader for a document in this one layout: two blanks a level.
struct OpenAPIDocument {
  struct Operation: Hashable {
    var path: String
    var method: String
    var id: String
    var parameters: Set<String>
  }

  struct Schema {
    var properties: Set<String> = []
    var required: Set<String> = []
  }

  var operations: Set<Operation> = []
  var schemas: [String: Schema] = [:]

  static func load(source: StaticString = #filePath) throws -> OpenAPIDocument {
    OpenAPIDocument(try SourceTree.text(SourceTree.root(of: "\(source)") + "/docs/openapi.yaml"))
  }

  init(_ text: String) {
    var section = ""
    var path = ""
    var operation: Operation?
    var parameter = ""
    var schema = ""
    var isInProperties = false
    for line in text.split(separator: "\n") {
      let depth = line.prefix { $0 == " " }.count
      let content = String(line.dropFirst(depth))
      let key = content.hasSuffix(":") ? String(content.dropLast()) : nil
      if depth == 0, let key { section = key }
      if depth == 2, section == "components", let key { schema = key == "schemas" ? "" : "-" }
      if section == "paths" {
        if depth == 2, let key { path = key }
        if depth == 4, let key {
          if let operation { operations.insert(operation) }
          operation = Operation(path: path, method: key, id: "", parameters: [])
        }
        if content.hasPrefix("operationId: ") { operation?.id = String(content.dropFirst(13)) }
        if content.hasPrefix("- name: ") { parameter = String(content.dropFirst(8)) }
        if content == "in: query" { operation?.parameters.insert(parameter) }
      } else if section == "components", schema != "-" {
        if depth == 4, let key { (schema, isInProperties, schemas[key]) = (key, false, Schema()) }
        if depth == 6 { isInProperties = content == "properties:" }
        if depth == 6, content.hasPrefix("required: [") {
          schemas[schema]?.required = Set(
            content.dropFirst(11).dropLast().split(separator: ", ").map(String.init))
        }
        if depth == 8, isInProperties, let key { schemas[schema]?.properties.insert(key) }
      }
    }
    if let operation { operations.insert(operation) }
  }
}
