import Glibc
import Testing
import TierCore
import TierTestSupport

@testable import TierPolicyFile

@Suite struct PolicyReloaderTests {
  private let directory: TemporaryDirectory
  private let configuration: Configuration

  init() throws {
    directory = try TemporaryDirectory()
    configuration = Configuration(
      policyDirectory: directory.path, volumes: [.init(name: "data", path: "/srv/data")],
      targets: [.init(name: "nas", kind: .directory(path: "/mnt/nas"))])
  }

  private func write(_ name: String, _ text: String) throws {
    let file = try #require(fopen("\(directory.path)/\(name)", "w"))
    fputs(text, file)
    fclose(file)
  }

  @Test func aBadReloadKeepsTheOld() throws {
    try write("a.yaml", "name: a\nvolume: data\npath: a\n")
    var reloader = PolicyReloader(configuration: configuration)
    #expect(reloader.reload() == .replaced([]))
    #expect(reloader.reload() == .unchanged([]))
    try write("b.yaml", "name: b\nvolume: data\npath: b\npin: maybe\n")
    guard case .refused(let diagnostics) = reloader.reload() else {
      Issue.record("a bad policy was taken")
      return
    }
    #expect(
      diagnostics.map(\.description) == ["\(directory.path)/b.yaml:4:6: \"pin: maybe\": write true or false"])
    #expect(reloader.policies.policies.map(\.name) == ["a"])
    #expect(reloader.diagnostics == diagnostics)
    try write("b.yaml", "name: b\nvolume: data\npath: b\npin: true\n")
    #expect(reloader.reload() == .replaced([]))
    #expect(reloader.policies.policies.map(\.name) == ["a", "b"])
    #expect(reloader.diagnostics == [])
  }

  @Test func aDirectoryThatVanishedKeepsTheOld() throws {
    try write("a.yaml", "name: a\nvolume: data\npath: a\n")
    var reloader = PolicyReloader(configuration: configuration)
    _ = reloader.reload()
    try #require(rename(directory.path, directory.path + ".away") == 0)
    let outcome = reloader.reload()
    try #require(rename(directory.path + ".away", directory.path) == 0)
    let message =
      "the policy directory can't be read: No such file or directory: make it, or name another with `policies:` in tierd.yaml"
    #expect(outcome == .refused([Diagnostic(file: directory.path, message: message)]))
    #expect(reloader.policies.policies.count == 1)
  }

  @Test func anEmptyDirectoryIsAWarning() throws {
    try write(".hidden.yaml", "nonsense")
    try write("a.yaml~", "nonsense")
    var reloader = PolicyReloader(configuration: configuration)
    let warning = Diagnostic(
      .warning, file: directory.path, message: "holds no policies: nothing will be archived")
    #expect(reloader.reload() == .unchanged([warning]))
  }

  /// Kubernetes mounts each file as a link into a hidden directory.
  @Test func linkedFilesAreRead() throws {
    try #require(mkdir("\(directory.path)/..data", 0o700) == 0)
    try write("..data/a.yaml", "name: a\nvolume: data\npath: a\n")
    try #require(symlink("..data/a.yaml", "\(directory.path)/a.yaml") == 0)
    let (policies, diagnostics) = PolicyDirectory.load(directory.path, configuration)
    #expect(policies?.policies.map(\.name) == ["a"])
    #expect(diagnostics == [])
  }

  @Test func aFileIsCheckedBeforeItIsPutThere() throws {
    try write("a.yaml", "name: a\nvolume: data\npath: a\n")
    let text = Array("name: b\nvolume: data\npath: a\n".utf8)
    let asNew = PolicyDirectory.check(text, as: "b.yaml", in: directory.path, configuration)
    let place = directory.path
    #expect(
      asNew.map(\.description) == [
        "\(place)/b.yaml:3:7: \"path: a\": policy \"a\" (\(place)/a.yaml) has the same volume, path and priority "
          + "(0); give the one that shall be asked first a higher priority"
      ])
    #expect(PolicyDirectory.check(text, as: "a.yaml", in: directory.path, configuration) == [])
  }

  /// By its absolute path, also in a folder and through a link to the directory; a draft replaces its namesake.
  @Test func aFileIsCheckedInItsOwnPlace() throws {
    try #require(mkdir("\(directory.path)/a", 0o700) == 0)
    try write("a/policy.yaml", "name: a\nvolume: data\npath: a\n")
    try write("b.yaml", "name: b\nvolume: data\npath: b\n")
    let elsewhere = try TemporaryDirectory()
    try #require(symlink(directory.path, elsewhere.path("link")) == 0)
    for (name, text) in [
      ("\(directory.path)/a/policy.yaml", "name: a\nvolume: data\npath: a\n"),
      (elsewhere.path("link/a/policy.yaml"), "name: a\nvolume: data\npath: a\n"),
      (elsewhere.path("b.yaml"), "name: b\nvolume: data\npath: b\n"),
    ] {
      #expect(PolicyDirectory.check(Array(text.utf8), as: name, in: directory.path, configuration) == [])
    }
    let other = PolicyDirectory.check(
      Array("name: a\nvolume: data\npath: c\n".utf8), as: elsewhere.path("c.yaml"), in: directory.path,
      configuration)
    #expect(other.map(\.file) == [elsewhere.path("c.yaml")])
  }
}
