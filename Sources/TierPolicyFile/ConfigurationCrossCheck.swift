import TierCore

/// What entries of one configuration can contradict in each other. Paths are compared as written: links that
/// lead one into another are found by the daemon's own start checks.
struct ConfigurationCrossCheck {
  private let volumes: [ParsedVolume]
  private let targets: [ParsedTarget]
  private let configuration: Configuration
  private let fields: Fields
  private let guardFields: Fields?

  init(
    volumes: [ParsedVolume], targets: [ParsedTarget], _ configuration: Configuration, _ fields: Fields,
    guardFields: Fields?
  ) {
    self.volumes = volumes
    self.targets = targets
    self.configuration = configuration
    self.fields = fields
    self.guardFields = guardFields
  }

  func run() {
    checkNames(volumes.map { ($0.volume.name, $0.fields) }, kind: "volume")
    checkNames(targets.map { ($0.target.name, $0.fields) }, kind: "target")
    checkVolumePaths()
    checkTargetPlaces()
    checkOwnPlaces()
  }

  private func checkNames(_ named: [(name: String, fields: Fields)], kind: String) {
    var seen: Set<String> = []
    for (name, fields) in named where !seen.insert(name).inserted {
      fields.findings.report("a second \(kind) named \"\(name)\"", at: fields.mark(of: "name"))
    }
  }

  private func checkVolumePaths() {
    for (index, one) in volumes.enumerated() {
      for other in volumes[..<index] where overlap(one.volume.path, other.volume.path) {
        one.fields.field("path")?.report(
          "lies in or around volume \"\(other.volume.name)\" (\(other.volume.path)); volumes can't be nested")
      }
    }
  }

  private func checkTargetPlaces() {
    for (index, one) in targets.enumerated() {
      for other in targets[..<index] where isSamePlace(one.target.kind, other.target.kind) {
        one.fields.findings.report(
          "\"\(one.fields.name)\" is the same place as target \"\(other.target.name)\"", at: one.fields.mark)
      }
      for volume in volumes.map(\.volume) {
        if case .directory(let path) = one.target.kind, overlap(path, volume.path) {
          one.fields.group("directory", keys: ConfigurationKeys.directory)?.field("path")?.report(
            "lies in or around volume \"\(volume.name)\" (\(volume.path)); archive to another place")
        }
        if let path = one.target.mountPath, overlap(path, volume.path) {
          one.fields.field("mountPath")?.report(
            "lies in or around volume \"\(volume.name)\" (\(volume.path)); mount the target elsewhere")
        }
      }
    }
  }

  private func checkOwnPlaces() {
    func guardMark(_ key: String) -> Mark { guardFields?.mark(of: key) ?? fields.mark }
    let own = [
      ("stateDirectory", configuration.stateDirectory, fields.mark(of: "stateDirectory")),
      ("socket", configuration.socket, fields.mark(of: "socket")),
      ("guard.socket", configuration.guard.socket, guardMark("socket")),
      // A guard that takes over couldn't be started: its start would wait for a guard.
      ("guard.program", configuration.guard.program ?? "/", guardMark("program")),
    ]
    for volume in volumes.map(\.volume) {
      for (key, path, mark) in own where isWithin(path, volume.path) {
        fields.findings.report(
          "\"\(key)\" (\(path)) lies in volume \"\(volume.name)\"; keep it outside of all volumes", at: mark)
      }
    }
    if configuration.guard.socket == configuration.socket {
      fields.findings.report(
        "\"guard.socket\" (\(configuration.socket)) is the control socket's path; each needs its own",
        at: guardMark("socket"))
    }
  }

  private func isSamePlace(_ one: Configuration.Kind, _ other: Configuration.Kind) -> Bool {
    switch (one, other) {
    case (.directory(let one), .directory(let other)): overlap(one, other)
    case (.nfs(let one), .nfs(let other)):
      one.host == other.host && overlap(one.export + "/\(one.folder)", other.export + "/\(other.folder)")
    case (.rsync(let one), .rsync(let other)):
      one.host == other.host && one.transport.place == other.transport.place
        && (one.folder.isWithin(other.folder) || other.folder.isWithin(one.folder))
    default: false
    }
  }

  private func overlap(_ one: String, _ other: String) -> Bool {
    isWithin(one, other) || isWithin(other, one)
  }

  /// True for the same path, too.
  private func isWithin(_ path: String, _ ancestor: String) -> Bool {
    let parts = path.split(separator: "/")
    return parts.starts(with: ancestor.split(separator: "/"))
  }
}

extension Configuration.Rsync.Transport {
  /// What is written to, whoever writes.
  fileprivate var place: String {
    switch self {
    case .daemon(_, let module, _): "::\(module)"
    case .ssh(_, let path, _, _): path
    }
  }
}
