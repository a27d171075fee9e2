import Glibc
import TierCore

/// Reads all policies of a directory: `*.yaml` and `*.yml` in it, and `policy.yaml` in its folders, so that a
/// policy can have a folder with its expectations. Names that start with a dot are left out.
package enum PolicyDirectory {
  /// Nil where there is any error: a policy that fell out would let a less specific one take its files.
  package static func load(_ directory: String, _ configuration: Configuration)
    -> (policies: PolicySet?, diagnostics: [Diagnostic])
  {
    switch files(in: directory) {
    case .failure(let failure): return (nil, [failure])
    case .success(let paths):
      var loading = PolicyLoading(configuration)
      for path in paths {
        let findings = Findings(file: path)
        loading.add(SourceText.load(path, findings), findings)
      }
      if paths.isEmpty {
        loading.diagnostics.append(
          Diagnostic(.warning, file: directory, message: "holds no policies: nothing will be archived"))
      }
      return loading.finished()
    }
  }

  /// What `load` would say of a file before it is put there, or with this content instead of its own. `name` is
  /// one in the directory, or an absolute path: of a file there, or of a draft that would replace its namesake.
  package static func check(
    _ bytes: [UInt8], as name: String, in directory: String, _ configuration: Configuration
  ) -> [Diagnostic] {
    let path = name.hasPrefix("/") ? name : "\(directory)/\(name)"
    let namesake = "\(directory)/\(name.split(separator: "/").last ?? "")"
    var loading = PolicyLoading(configuration)
    var others: [String] = []
    if case .success(let found) = files(in: directory) {
      others = found.filter { $0 != namesake && !isSame($0, path) }
    }
    for other in others {
      let findings = Findings(file: other)
      loading.add(SourceText.load(other, findings), findings)
    }
    // Last, so that contradictions are told of the new file; what is wrong in others only is not its matter.
    let findings = Findings(file: path)
    loading.add(SourceText(bytes, findings), findings)
    return loading.finished().diagnostics.filter { $0.file == path }
  }

  /// Sorted paths below `directory`.
  package static func files(in directory: String) -> Swift.Result<[String], Diagnostic> {
    guard let names = entries(of: directory) else {
      let reason = SourceText.systemText(errno)
      return .failure(
        Diagnostic(
          file: directory,
          message:
            "the policy directory can't be read: \(reason): make it, or name another with `policies:` in tierd.yaml"
        ))
    }
    var paths: [String] = []
    for name in names {
      let path = "\(directory)/\(name)"
      if isDirectory(path) {
        let inner = "\(path)/policy.yaml"
        if SourceText.exists(inner) { paths.append(inner) }
      } else if name.hasSuffix(".yaml") || name.hasSuffix(".yml") {
        paths.append(path)
      }
    }
    return .success(paths)
  }

  /// The directory may be reached through a link.
  private static func isSame(_ path: String, _ other: String) -> Bool {
    if path == other { return true }
    guard let real = realpath(path, nil), let otherReal = realpath(other, nil) else { return false }
    defer {
      free(real)
      free(otherReal)
    }
    return strcmp(real, otherReal) == 0
  }

  private static func entries(of directory: String) -> [String]? {
    guard let stream = opendir(directory) else { return nil }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if !name.hasPrefix(".") { names.append(name) }
    }
    return names.sorted()
  }

  private static func isDirectory(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }
}

extension Diagnostic: Error {}

/// Policies as they come in, checked against the configuration and each other.
private struct PolicyLoading {
  private let configuration: Configuration
  private var parsed: [ParsedPolicy] = []
  var diagnostics: [Diagnostic] = []

  init(_ configuration: Configuration) { self.configuration = configuration }

  mutating func add(_ source: SourceText?, _ findings: Findings) {
    guard let policy = source.flatMap({ ParsedPolicy($0, findings) }) else {
      diagnostics += findings.diagnostics
      return
    }
    checkAgainstConfiguration(policy)
    checkAgainstOthers(policy)
    parsed.append(policy)
    diagnostics += findings.diagnostics
  }

  func finished() -> (policies: PolicySet?, diagnostics: [Diagnostic]) {
    guard !diagnostics.hasErrors else { return (nil, diagnostics.inOrder) }
    do {
      let set = try PolicySet(parsed.map(\.policy), defaultTarget: configuration.defaultTarget)
      return (set, diagnostics.inOrder)
    } catch {
      preconditionFailure("the checks above let \(error) pass")
    }
  }

  private func checkAgainstConfiguration(_ parsed: ParsedPolicy) {
    let volumes = configuration.volumes.map(\.name)
    let targets = configuration.targets.map(\.name)
    let policy = parsed.policy
    if !volumes.contains(policy.volume) {
      let hint = wayOut(for: policy.volume, among: volumes, called: "configured")
      parsed.findings.report(
        "\"volume: \(policy.volume)\": no such volume\(hint)", at: parsed.mark(of: "volume"))
    }
    if let target = policy.target, !targets.contains(target) {
      let hint = wayOut(for: target, among: targets, called: "configured")
      parsed.findings.report("\"target: \(target)\": no such target\(hint)", at: parsed.mark(of: "target"))
    }
    if policy.target == nil, configuration.defaultTarget == nil {
      parsed.findings.report(
        "\"target\" is missing: there are several targets (\(targets.joined(separator: ", "))) "
          + "and no defaultTarget", at: parsed.mark(of: "target"))
    }
    checkRestoring(parsed)
  }

  private func checkRestoring(_ parsed: ParsedPolicy) {
    let policy = parsed.policy
    switch policy.restore.mode {
    case .auto, .manual: break
    case .guard where configuration.volumes.contains { $0.name == policy.volume && $0.stubs == .link }:
      parsed.findings.report(
        "\"restore.mode: guard\": volume \"\(policy.volume)\" has \"stubs: link\" in the configuration, so "
          + "nothing would be released; write auto or link", at: parsed.modeMark)
    case .guard: break
    case .link:
      let target = configuration.targets.first { $0.name == policy.target ?? configuration.defaultTarget }
      if let target, target.mountPath == nil {
        parsed.findings.report(
          "\"restore.mode: link\": target \"\(target.name)\" has no mountPath in the configuration, so the links "
            + "lead nowhere", at: parsed.modeMark, .warning)
      }
    }
  }

  private func checkAgainstOthers(_ new: ParsedPolicy) {
    for old in parsed {
      let (one, other) = (new.policy, old.policy)
      let file = old.findings.file
      if one.name == other.name {
        new.findings.report("\"name: \(one.name)\": \(file) has that name, too", at: new.mark(of: "name"))
      } else if one.volume == other.volume, one.path == other.path, one.priority == other.priority {
        let path = one.path.isRoot ? "." : "\(one.path)"
        new.findings.report(
          "\"path: \(path)\": policy \"\(other.name)\" (\(file)) has the same volume, path and priority "
            + "(\(one.priority)); give the one that shall be asked first a higher priority",
          at: new.mark(of: "path"))
      }
    }
  }
}
