import Glibc
import Testing
import TierCore
import TierTestSupport

@testable import TierPolicyFile

@Suite struct PolicyFileTests {
  private func policy(_ text: String) throws -> Policy {
    let (policy, diagnostics) = PolicyFile.parse(Array(text.utf8), file: "F")
    #expect(diagnostics.map(\.description) == [])
    return try #require(policy)
  }

  @Test func threeLinesAreAPolicyWithDefaults() throws {
    #expect(
      try policy("name: photos\nvolume: data\npath: photos\n")
        == Policy(name: "photos", volume: "data", path: RelativePath("photos")!))
  }

  @Test func everyKeyIsRead() throws {
    let read = try policy(
      """
      name: raw
      volume: data
      path: "photos/raw/"
      target: attic
      priority: -3
      include: ["*.cr2", '*.dng']
      exclude:
        - cache/
        - "!cache/keep/"
      size: {min: 64KiB, max: 1GiB}
      archive:
        after: 1h30m
        within: 2d
      release: {after: never, keepBelow: 0}
      pin: false
      keepDeleted: forever
      restore:
        mode: guard
        stay: 2h
        refuse: [ffprobe, "!borg", "cgroup:/system.slice/scan*"]
        perMinute: 30
      """)
    let expected = Policy(
      name: "raw", volume: "data", path: RelativePath("photos/raw")!, target: "attic", priority: -3,
      rules: [
        PathRule(.include, try Glob("*.cr2")), PathRule(.include, try Glob("*.dng")),
        PathRule(.exclude, try Glob("cache/")), PathRule(.except, try Glob("cache/keep/")),
      ], minimumSize: 65_536, maximumSize: 1 << 30,
      archive: .init(after: .seconds(5400), within: .seconds(172_800)),
      release: .init(after: nil, keepBelow: 0),
      keepDeleted: .forever,
      restore: .init(
        mode: .guard, stay: .seconds(7200),
        refuse: RefusedProcesses([
          ProcessRule(.refuse, try ProcessPattern("ffprobe")),
          ProcessRule(.allow, try ProcessPattern("borg")),
          ProcessRule(.refuse, try ProcessPattern("cgroup:/system.slice/scan*")),
        ]), perMinute: 30))
    #expect(read == expected)
  }

  @Test func scalarsAreReadAsTheyAreWritten() throws {
    // As numbers, dates and booleans these would come out as something else.
    let read = try policy("name: 0644\nvolume: 2026-11-23\npath: no\npriority: 0\nkeepDeleted: never\n")
    #expect(read.name == "0644")
    #expect(read.volume == "2026-11-23")
    #expect(read.path == RelativePath("no"))
    #expect(read.keepDeleted == nil)
    #expect(try policy("name: a\nvolume: b\npath: .\n").path.isRoot)
    #expect(try policy("name: a\nvolume: b\npath: caf\\xe9\n").path.bytes == [0x63, 0x61, 0x66, 0xE9])
    #expect(try policy("name: a\nvolume: b\npath: 'Ünï côde/a b'\n").path.escaped == "Ünï côde/a b")
  }

  @Test func warningsAloneStopNothing() throws {
    let text = "name: a\nvolume: b\npath: c\npin: true\nrelease: {after: 1d}\n"
    let (policy, diagnostics) = PolicyFile.parse(Array(text.utf8), file: "F")
    #expect(policy?.pin == true)
    #expect(
      diagnostics.map(\.description)
        == ["F:5:1: warning: \"release\" has no effect beside \"pin: true\""])
    let manual = "name: a\nvolume: b\npath: c\nrelease: {after: 1d}\nrestore: {mode: manual}\n"
    #expect(
      PolicyFile.parse(Array(manual.utf8), file: "F").diagnostics.map(\.description) == [
        "F:4:11: warning: \"release.after: 1d\": has no effect beside \"restore.mode: manual\": "
          + "only tierctl release releases"
      ])
    let never = manual.replacing("1d", with: "never")
    #expect(PolicyFile.parse(Array(never.utf8), file: "F").diagnostics == [])
  }

  @Test(
    arguments: [
      ("archve", "archive"), ("Archive", "archive"), ("keep-deleted", "keepDeleted"), ("exlcude", "exclude"),
      ("volumes", "volume"), ("prio", nil), ("zzz", nil),
    ] as [(String, String?)])
  func suggestionsAreNearOrNone(_ word: String, _ expected: String?) {
    #expect(suggestion(for: word, among: PolicyKeys.policy) == expected)
  }
}

@Suite struct ConfigurationFileTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private func load(_ text: String) throws -> (configuration: Configuration?, diagnostics: [Diagnostic]) {
    let path = directory.path("tierd.yaml")
    let file = try #require(fopen(path, "w"))
    fputs(text, file)
    fclose(file)
    return ConfigurationFile.load(path)
  }

  @Test func oneVolumeAndOneTargetAreEnough() throws {
    let (configuration, diagnostics) = try load(
      """
      volumes: [{name: data, path: /srv/data/}]
      targets: [{name: nas, nfs: {host: fe80::1%eth0, export: /x}}]
      """)
    #expect(diagnostics == [])
    #expect(
      configuration
        == Configuration(
          volumes: [.init(name: "data", path: "/srv/data")],
          targets: [.init(name: "nas", kind: .nfs(.init(host: "fe80::1%eth0", export: "/x")))]))
    #expect(configuration?.defaultTarget == "nas")
  }

  @Test func theGuardsKeysAreRead() throws {
    let (configuration, diagnostics) = try load(
      """
      volumes: [{name: data, path: /srv/data, stubs: link}]
      targets: [{name: nas, directory: {path: /mnt/nas}}]
      guard: {socket: /run/g.sock, program: /opt/tierd/tier-guard, patience: 10s, absence: 10m}
      """)
    #expect(diagnostics == [])
    #expect(
      configuration?.guard
        == Configuration.Guard(
          socket: "/run/g.sock", program: "/opt/tierd/tier-guard", patience: .seconds(10),
          absence: .seconds(600)))
    #expect(configuration?.volumes.first?.stubs == .link)
  }

  @Test(arguments: [(0o600, nil), (0o400, nil), (0o640, "0640"), (0o604, "0604")] as [(mode_t, String?)])
  func secretsMustBeOursAlone(_ mode: mode_t, _ refused: String?) throws {
    let secret = directory.path("nas.secret")
    let file = try #require(fopen(secret, "w"))
    fputs("hunter2\n", file)
    fclose(file)
    try #require(chmod(secret, mode) == 0)
    let (configuration, diagnostics) = try load(
      """
      volumes: [{name: data, path: /srv/data}]
      targets: [{name: nas, rsync: {host: nas, module: tier, user: tierd, secretsFile: nas.secret}}]
      """)
    guard let refused else {
      #expect(diagnostics == [])
      let transport = Configuration.Rsync.Transport.daemon(port: 873, module: "tier", secretsFile: secret)
      #expect(
        configuration?.targets.first?.kind == .rsync(.init(host: "nas", user: "tierd", transport: transport)))
      return
    }
    #expect(configuration == nil)
    let message =
      "\"targets[0].rsync.secretsFile\": the file's mode is \(refused): others can read it; chmod 600"
    #expect(diagnostics.map(\.message) == [message])
  }
}
