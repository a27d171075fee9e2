import Testing
import TierCore

@testable import TierPolicyFile

/// The examples that people copy: each alone, all together, and the configuration.
@Suite struct ExampleTests {
  static let names = SourceTree.names(in: SourceTree.root + "/policies")
  private static let directory = SourceTree.root + "/policies"
  private static let configurationPath = SourceTree.root + "/docs/examples/tierd.yaml"

  private func configuration() throws -> Configuration {
    let (configuration, diagnostics) = ConfigurationFile.load(Self.configurationPath)
    return try #require(configuration, "\(diagnostics)")
  }

  @Test func thereAreAtLeastTheEightThatArePromised() {
    let promised = [
      "backups", "gitea", "home-assistant", "jellyfin", "logs", "nextcloud", "photos", "postgres-dumps",
    ]
    #expect(promised.filter { !Self.names.contains($0) } == [])
  }

  @Test(arguments: names)
  func keepsItsPromisesAlone(_ name: String) throws {
    let (policy, diagnostics) = PolicyFile.load("\(Self.directory)/\(name)/policy.yaml")
    #expect(diagnostics.map(\.description) == [])
    let set = try PolicySet([try #require(policy)], defaultTarget: "nas")
    let (count, failures) = PolicyExpectations.check(
      "\(Self.directory)/\(name)/expect.yaml", of: try #require(policy), set)
    #expect(failures.map(\.description) == [])
    #expect(count >= 8)
    #expect(policy?.name == name)
  }

  @Test func allKeepTheirPromisesTogether() throws {
    let (policies, diagnostics) = PolicyDirectory.load(Self.directory, try configuration())
    #expect(diagnostics.map(\.description) == [])
    let set = try #require(policies)
    #expect(set.policies.count == Self.names.count)
    #expect(PolicyExpectations.check(Self.directory, set).map(\.description) == [])
  }

  /// All values in the example that are called defaults are the defaults.
  @Test func theConfigurationSaysWhatItShows() throws {
    let (configuration, diagnostics) = ConfigurationFile.load(Self.configurationPath)
    #expect(diagnostics.allSatisfy { $0.severity == .warning && $0.message.contains("no such file (yet)") })
    let shown = try #require(configuration)
    let defaults = Configuration(
      volumes: [.init(name: "data", path: "/srv/data")],
      targets: [
        .init(
          name: "nas",
          kind: .nfs(
            .init(
              host: "nas.lan", export: "/volume1/tier", folder: RelativePath("cache1")!, owner: 1026,
              group: 100)),
          mountPath: "/net/nas/volume1/tier/cache1"),
        .init(
          name: "nas-rsync",
          kind: .rsync(
            .init(
              host: "nas.lan", user: "tierd",
              transport: .daemon(
                port: 873, module: "tier", secretsFile: SourceTree.root + "/docs/examples/nas.secret"),
              folder: RelativePath("cache1")!))),
        .init(
          name: "remote",
          kind: .rsync(
            .init(
              host: "backup.example.org", user: "tierd",
              transport: .ssh(
                port: 22, path: "/srv/tier", identityFile: "/etc/tierd/id_ed25519",
                knownHostsFile: "/etc/tierd/known_hosts")))),
        .init(name: "attic", kind: .directory(path: "/mnt/attic")),
      ],
      defaultTarget: "nas", http: Configuration.HTTP())
    var expected = defaults
    expected.policyDirectory = SourceTree.root + "/docs/examples/policies"
    #expect(shown == expected)
  }

  /// A wrong expectation is told with the reason; else the examples' tests could never fail.
  @Test func wrongExpectationsAreTold() throws {
    let (policy, _) = PolicyFile.load(Self.directory + "/photos/policy.yaml")
    let set = try PolicySet([try #require(policy)], defaultTarget: "nas")
    let place = SourceTree.bad + "/expectations/"
    let (count, failures) = PolicyExpectations.check(place + "expect.yaml", of: try #require(policy), set)
    #expect(count == 6)
    let said = failures.map { String($0.description.dropFirst(place.count)) }
    let expected = try SourceTree.text(place + "expected.txt").split(separator: "\n").map(String.init)
    #expect(said == expected)
  }
}
