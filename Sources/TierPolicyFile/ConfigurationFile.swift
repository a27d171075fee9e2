import Glibc
import TierCore

/// The keys of `tierd.yaml`, for the parser, its suggestions, and the schema's test.
package enum ConfigurationKeys {
  package static let configuration = [
    "stateDirectory", "socket", "policies", "log", "http", "guard", "volumes", "targets", "defaultTarget",
  ]
  package static let required = ["volumes", "targets"]
  package static let log = ["format", "level"]
  package static let http = ["host", "port"]
  package static let `guard` = ["socket", "program", "patience", "absence"]
  package static let volume = [
    "name", "path", "highWatermark", "lowWatermark", "settle", "rescan", "releases", "stubs",
  ]
  package static let target = [
    "name", "directory", "nfs", "rsync", "mountPath", "timeout", "retryAfter",
  ]
  package static let kinds = ["directory", "nfs", "rsync"]
  package static let directory = ["path"]
  package static let nfs = ["host", "export", "folder", "owner", "group", "port"]
  package static let rsync = [
    "host", "user", "module", "path", "port", "secretsFile", "identityFile", "knownHostsFile", "folder",
  ]
}

/// Reads `tierd.yaml`. `docs/configuration.md` is the reference.
///
/// Relative paths of the configuration's own files (`policies`, `secretsFile`, `identityFile`,
/// `knownHostsFile`) start at the directory of the configuration file; all others must be absolute, so that a
/// forgotten slash can't put data into a surprising place.
package enum ConfigurationFile {
  package static func load(_ path: String) -> (configuration: Configuration?, diagnostics: [Diagnostic]) {
    let findings = Findings(file: path)
    let configuration = SourceText.load(path, findings).flatMap {
      read($0, directory: directory(of: path), findings)
    }
    return (configuration, findings.diagnostics.inOrder)
  }

  /// `file` is for messages; `directory` is where relative paths start, absolute.
  package static func parse(_ bytes: [UInt8], file: String, directory: String)
    -> (configuration: Configuration?, diagnostics: [Diagnostic])
  {
    let findings = Findings(file: file)
    let configuration = SourceText(bytes, findings).flatMap { read($0, directory: directory, findings) }
    return (configuration, findings.diagnostics.inOrder)
  }

  private static func read(_ source: SourceText, directory: String, _ findings: Findings) -> Configuration? {
    guard let node = YAMLDocument.read(source, findings),
      let fields = Fields(node, named: "", keys: ConfigurationKeys.configuration, findings)
    else { return nil }
    for key in ConfigurationKeys.required { fields.missing(key) }
    let volumes = (fields.list("volumes", ifEmpty: "name at least one volume") ?? []).compactMap {
      ParsedVolume($0.node, named: $0.name, findings)
    }
    let targets = (fields.list("targets", ifEmpty: "name at least one target") ?? []).compactMap {
      ParsedTarget($0.node, named: $0.name, directory: directory, findings)
    }
    var configuration = Configuration(volumes: volumes.map(\.volume), targets: targets.map(\.target))
    readPlaces(fields, directory, into: &configuration)
    readReporting(fields, into: &configuration)
    let guardFields = fields.group("guard", keys: ConfigurationKeys.guard)
    if let guardFields { readGuard(guardFields, into: &configuration.guard) }
    if let field = fields.field("defaultTarget"), let name = field.checkedName() {
      configuration.defaultTarget = name
      let known = configuration.targets.map(\.name)
      if !known.contains(name), !targets.isEmpty {
        field.report("no such target" + wayOut(for: name, among: known, called: "configured"))
      }
    }
    ConfigurationCrossCheck(
      volumes: volumes, targets: targets, configuration, fields, guardFields: guardFields
    ).run()
    return findings.hasErrors ? nil : configuration
  }

  private static func readPlaces(
    _ fields: Fields, _ directory: String, into configuration: inout Configuration
  ) {
    configuration.stateDirectory =
      fields.field("stateDirectory")?.absolutePath() ?? configuration.stateDirectory
    configuration.socket = fields.field("socket")?.socketPath() ?? configuration.socket
    configuration.policyDirectory =
      fields.field("policies")?.absolutePath(relativeTo: directory) ?? configuration.policyDirectory
  }

  private static func readReporting(_ fields: Fields, into configuration: inout Configuration) {
    if let log = fields.group("log", keys: ConfigurationKeys.log) {
      configuration.log.format = log.field("format")?.choice() ?? configuration.log.format
      configuration.log.level = log.field("level")?.choice() ?? configuration.log.level
    }
    if let http = fields.group("http", keys: ConfigurationKeys.http) {
      var value = Configuration.HTTP()
      value.host = http.field("host")?.host() ?? value.host
      value.port = http.field("port")?.port() ?? value.port
      configuration.http = value
    }
  }

  private static func readGuard(_ fields: Fields, into value: inout Configuration.Guard) {
    value.socket = fields.field("socket")?.socketPath() ?? value.socket
    value.program = fields.field("program")?.absolutePath()
    value.patience = fields.field("patience")?.duration(.seconds(10)...(.seconds(3600))) ?? value.patience
    value.absence = fields.field("absence")?.duration(.seconds(10)...(.seconds(600))) ?? value.absence
  }

  private static func directory(of path: String) -> String {
    var absolute = path
    if !path.hasPrefix("/"), let current = getcwd(nil, 0) {
      absolute = String(cString: current) + "/" + path
      free(current)
    }
    let parent = absolute[..<(absolute.lastIndex(of: "/") ?? absolute.startIndex)]
    return parent.isEmpty ? "/" : String(parent)
  }
}

/// A volume with the places that other entries can contradict.
struct ParsedVolume {
  let volume: Configuration.Volume
  let fields: Fields

  /// Nil without a name or path.
  init?(_ node: YAMLNode, named name: String, _ findings: Findings) {
    guard let fields = Fields(node, named: name, keys: ConfigurationKeys.volume, findings) else { return nil }
    fields.missing("name", "path")
    let volumeName = fields.field("name")?.checkedName()
    let path = fields.field("path")?.absolutePath()
    if path == "/" { fields.field("path")?.report("the root of the system can't be a volume") }
    var volume = Configuration.Volume(name: volumeName ?? "", path: path ?? "")
    volume.highWatermark = fields.field("highWatermark")?.fraction(2...99) ?? volume.highWatermark
    volume.lowWatermark = fields.field("lowWatermark")?.fraction(1...98) ?? volume.lowWatermark
    volume.settle = fields.field("settle")?.duration(.seconds(1)...(.seconds(3600))) ?? volume.settle
    volume.rescan = fields.field("rescan")?.duration(.seconds(60)...(.seconds(365 * 86_400))) ?? volume.rescan
    volume.releases = fields.field("releases")?.choice() ?? volume.releases
    volume.stubs = fields.field("stubs")?.choice() ?? volume.stubs
    if volume.lowWatermark >= volume.highWatermark {
      let key = fields.has("lowWatermark") ? "lowWatermark" : "highWatermark"
      findings.report(
        "\"\(name)\": lowWatermark (\(volume.lowWatermark.percentText)) must be below highWatermark "
          + "(\(volume.highWatermark.percentText))", at: fields.mark(of: key))
    }
    guard volumeName != nil, path != nil, path != "/" else { return nil }
    self.volume = volume
    self.fields = fields
  }
}

extension Field {
  func port() -> UInt16? { integer(1...65535).map(UInt16.init) }

  func socketPath() -> String? {
    guard let path = absolutePath() else { return nil }
    // sun_path with its NUL.
    if path.utf8.count <= 107 { return path }
    report("longer than the 107 bytes that a socket's path can have")
    return nil
  }

  /// A host's name or address, nothing else.
  func host() -> String? {
    let isGood = text.utf8.allSatisfy {
      switch $0 {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
      case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"):
        true
      case UInt8(ascii: ":"), UInt8(ascii: "%"): text.utf8.filter { $0 == UInt8(ascii: ":") }.count > 1
      default: false
      }
    }
    if isGood, text.first != "-" { return text }
    report("not a host's name or address; user, port and folder have keys of their own")
    return nil
  }
}

extension Double {
  fileprivate var percentText: String { "\(Int((self * 100).rounded()))%" }
}
