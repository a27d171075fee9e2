import Testing
import TierCore

@testable import TierPolicyFile

/// The schemas that editors use say what the parser does.
@Suite struct SchemaTests {
  private let policy: SchemaValidator
  private let configuration: SchemaValidator

  init() throws {
    policy = SchemaValidator(root: try .load(SourceTree.root + "/schemas/policy.schema.json"))
    configuration = SchemaValidator(root: try .load(SourceTree.root + "/schemas/tierd.schema.json"))
  }

  @Test func allExamplesAreValid() throws {
    for name in SourceTree.names(in: SourceTree.root + "/policies") {
      let value = try JSONValue.load(SourceTree.root + "/policies/\(name)/policy.yaml")
      #expect(policy.problems(value) == [], "\(name)")
    }
    let value = try JSONValue.load(SourceTree.root + "/docs/examples/tierd.yaml")
    #expect(configuration.problems(value) == [])
  }

  /// Bad inputs whose fault a schema can see.
  @Test(arguments: [
    "policy/unknown-key", "policy/unknown-nested-key", "policy/missing-volume",
    "policy/duration-unknown-unit",
    "policy/duration-without-unit", "policy/duration-wrong-order", "policy/size-unknown-unit",
    "policy/boolean-quoted", "policy/priority-quoted", "policy/list-is-empty", "policy/list-is-text",
    "policy/name-upper-case", "policy/path-absolute", "policy/restore-values", "configuration/empty-lists",
    "configuration/missing-lists",
    "configuration/target-with-two-kinds", "configuration/target-without-kind",
    "configuration/rsync-with-two-places", "configuration/rsync-without-place", "configuration/log-unknown",
    "configuration/watermark-without-percent", "configuration/nfs-incomplete",
    "configuration/volume-relative-path", "configuration/rsync-user-with-password",
    "configuration/guard-unknown", "configuration/stubs-unknown",
  ])
  func theSchemaSeesIt(_ name: String) throws {
    let value = try JSONValue.load("\(SourceTree.bad)/\(name).yaml")
    let validator = name.hasPrefix("policy/") ? policy : configuration
    #expect(!validator.problems(value).isEmpty)
  }

  @Test func theKeysAreTheParsers() throws {
    func expect(_ schema: JSONValue?, _ keys: [String], required: [String] = []) {
      #expect(schema?["properties"]?.keys == keys.sorted())
      #expect((schema?["required"]?.items.compactMap(\.string) ?? []).sorted() == required.sorted())
      #expect(schema?["additionalProperties"] == .boolean(false))
    }
    expect(policy.root, PolicyKeys.policy, required: PolicyKeys.required)
    expect(policy.root["properties"]?["size"], PolicyKeys.size)
    expect(policy.root["properties"]?["archive"], PolicyKeys.archive)
    expect(policy.root["properties"]?["release"], PolicyKeys.release)
    expect(policy.root["properties"]?["restore"], PolicyKeys.restore)
    expect(configuration.root, ConfigurationKeys.configuration, required: ConfigurationKeys.required)
    let properties = configuration.root["properties"]
    expect(properties?["log"], ConfigurationKeys.log)
    expect(properties?["http"], ConfigurationKeys.http)
    expect(properties?["guard"], ConfigurationKeys.guard)
    expect(properties?["volumes"]?["items"], ConfigurationKeys.volume, required: ["name", "path"])
    let target = properties?["targets"]?["items"]
    expect(target, ConfigurationKeys.target, required: ["name"])
    expect(target?["properties"]?["directory"], ConfigurationKeys.directory, required: ["path"])
    expect(target?["properties"]?["nfs"], ConfigurationKeys.nfs, required: ["host", "export"])
    expect(target?["properties"]?["rsync"], ConfigurationKeys.rsync, required: ["host"])
  }

  /// A file that writes out every default of the schema is the file that leaves them all out.
  @Test func theDefaultsAreTheParsers() throws {
    let three = "name: a\nvolume: b\npath: c\n"
    let written = three + defaults(policy.root)
    #expect(written.contains("keepBelow: 64KiB"))
    let full = PolicyFile.parse(Array(written.utf8), file: "F")
    #expect(full.diagnostics == [])
    #expect(full.policy == PolicyFile.parse(Array(three.utf8), file: "F").policy)

    let properties = configuration.root["properties"]
    func load(_ top: String, _ volume: String, _ target: String, _ nfs: String) throws -> Configuration {
      let text = """
        \(top)
        volumes: [{name: data, path: /srv/data\(volume)}]
        targets: [{name: nas, nfs: {host: nas, export: /x\(nfs)}\(target)}]
        """
      let (configuration, diagnostics) = ConfigurationFile.parse(Array(text.utf8), file: "F", directory: "/x")
      #expect(diagnostics == [])
      return try #require(configuration)
    }
    let target = properties?["targets"]?["items"]
    let shown = try load(
      defaults(configuration.root), inline(properties?["volumes"]?["items"]), inline(target),
      inline(target?["properties"]?["nfs"]))
    var expected = try load("", "", "", "")
    // Off by default; a group without keys turns it on.
    expected.http = Configuration.HTTP()
    #expect(shown == expected)
  }

  /// `key: default` lines, groups in one line.
  private func defaults(_ schema: JSONValue) -> String {
    let properties = schema["properties"]
    return (properties?.keys ?? []).compactMap { key in
      if let value = properties?[key]?["default"] { return "\(key): \(value.plain)" }
      let inner = inline(properties?[key])
      return inner.isEmpty ? nil : "\(key): {\(inner.dropFirst(2))}"
    }.joined(separator: "\n")
  }

  private func inline(_ schema: JSONValue?) -> String {
    let properties = schema?["properties"]
    return (properties?.keys ?? []).compactMap { key in
      properties?[key]?["default"].map { ", \(key): \($0.plain)" }
    }.joined()
  }
}

extension JSONValue {
  fileprivate var plain: String {
    switch self {
    case .boolean(let value): "\(value)"
    case .integer(let value): "\(value)"
    case .string(let text): text
    default: "?"
    }
  }
}
