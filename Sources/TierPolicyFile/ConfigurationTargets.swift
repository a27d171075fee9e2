import Glibc
import TierCore

/// A target with the places that other entries can contradict.
struct ParsedTarget {
  let target: Configuration.Target
  let fields: Fields

  /// Nil where it isn't complete.
  init?(_ node: YAMLNode, named name: String, directory: String, _ findings: Findings) {
    guard let fields = Fields(node, named: name, keys: ConfigurationKeys.target, findings) else { return nil }
    fields.missing("name")
    let targetName = fields.field("name")?.checkedName()
    let kind = Self.kind(fields, directory)
    let limits = Duration.seconds(1)...Duration.seconds(3600)
    let mountPath = fields.field("mountPath")?.absolutePath()
    let timeout = fields.field("timeout")?.duration(limits)
    let retryAfter = fields.field("retryAfter")?.duration(limits)
    guard let targetName, let kind else { return nil }
    var target = Configuration.Target(name: targetName, kind: kind, mountPath: mountPath)
    target.timeout = timeout ?? target.timeout
    target.retryAfter = retryAfter ?? target.retryAfter
    self.target = target
    self.fields = fields
  }

  private static func kind(_ fields: Fields, _ directory: String) -> Configuration.Kind? {
    let given = ConfigurationKeys.kinds.filter(fields.has)
    guard given.count == 1 else {
      let problem = given.isEmpty ? "doesn't say what it is" : "is several things at once"
      fields.findings.report(
        "\"\(fields.name)\" \(problem); give it one of directory, nfs, rsync", at: fields.mark)
      return nil
    }
    if let group = fields.group("directory", keys: ConfigurationKeys.directory) {
      group.missing("path")
      return group.field("path")?.absolutePath().map { .directory(path: $0) }
    }
    if let group = fields.group("nfs", keys: ConfigurationKeys.nfs) { return nfs(group).map { .nfs($0) } }
    return fields.group("rsync", keys: ConfigurationKeys.rsync).flatMap { rsync($0, directory) }.map {
      .rsync($0)
    }
  }

  private static func nfs(_ fields: Fields) -> Configuration.NFS? {
    fields.missing("host", "export")
    let identifiers = 0...Int(UInt32.max) - 1
    let host = fields.field("host", isShown: false)?.host()
    let export = fields.field("export")?.absolutePath()
    var nfs = Configuration.NFS(host: host ?? "", export: export ?? "")
    nfs.folder = fields.field("folder")?.relativePath(below: "the export") ?? nfs.folder
    nfs.owner = fields.field("owner")?.integer(identifiers).map(UInt32.init) ?? nfs.owner
    nfs.group = fields.field("group")?.integer(identifiers).map(UInt32.init) ?? nfs.group
    nfs.port = fields.field("port")?.integer(0...65535).map(UInt16.init) ?? nfs.port
    return host == nil || export == nil ? nil : nfs
  }

  private static func rsync(_ fields: Fields, _ directory: String) -> Configuration.Rsync? {
    fields.missing("host")
    let host = fields.field("host", isShown: false)?.host()
    let user = fields.field("user", isShown: false).flatMap(rsyncUser)
    let folder = fields.field("folder")?.relativePath(below: "the module or path")
    guard let transport = transport(fields, directory), let host else { return nil }
    if case .daemon(_, _, _?) = transport, !fields.has("user") {
      fields.findings.report("\"\(fields.name).secretsFile\" needs \"user\" beside it", at: fields.mark)
    }
    return Configuration.Rsync(host: host, user: user, transport: transport, folder: folder ?? .root)
  }

  private static func rsyncUser(_ field: Field) -> String? {
    let isGood =
      !field.text.hasPrefix("-")
      && field.text.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F && !":@/'\"\\".utf8.contains($0) }
    if isGood { return field.text }
    field.report("not a user's name; a password goes into the file that secretsFile names")
    return nil
  }

  private static func transport(_ fields: Fields, _ directory: String) -> Configuration.Rsync.Transport? {
    let port = fields.field("port")?.port()
    switch (fields.has("module"), fields.has("path")) {
    case (true, false):
      for key in ["identityFile", "knownHostsFile"] where fields.has(key) {
        fields.findings.report(
          "\"\(fields.name).\(key)\" is for ssh (\"path\"), not for a daemon's module",
          at: fields.keyMark(of: key))
      }
      let secrets = secretFile("secretsFile", fields, directory)
      guard let field = fields.field("module") else { return nil }
      guard !field.text.contains("/"), !field.text.hasPrefix("-"), !field.text.contains(" ") else {
        field.report("not a module's name; a folder in it goes under \"folder\"")
        return nil
      }
      return .daemon(port: port ?? 873, module: field.text, secretsFile: secrets)
    case (false, true):
      if fields.has("secretsFile") {
        fields.findings.report(
          "\"\(fields.name).secretsFile\" is for a daemon's module, not for ssh (\"path\"); "
            + "give ssh an identityFile", at: fields.keyMark(of: "secretsFile"))
      }
      let identity = secretFile("identityFile", fields, directory)
      let hosts = fields.field("knownHostsFile", isShown: false)?.absolutePath(relativeTo: directory)
      guard let path = fields.field("path")?.absolutePath() else { return nil }
      return .ssh(port: port ?? 22, path: path, identityFile: identity, knownHostsFile: hosts)
    case (false, false):
      fields.findings.report(
        "\"\(fields.name)\" needs \"module\" (a daemon's) or \"path\" (over ssh)", at: fields.mark)
    case (true, true):
      fields.findings.report(
        "\"\(fields.name)\" has \"module\" (a daemon's) and \"path\" (over ssh); keep one", at: fields.mark)
    }
    return nil
  }

  /// The file must be ours alone where it exists. Where it doesn't, only a warning: configurations are checked
  /// on other machines, too.
  private static func secretFile(_ key: String, _ fields: Fields, _ directory: String) -> String? {
    guard let field = fields.field(key, isShown: false) else { return nil }
    guard let path = field.absolutePath(relativeTo: directory) else { return nil }
    var status = stat()
    if stat(path, &status) != 0 {
      let reason = errno == ENOENT ? "there is no such file (yet)" : SourceText.systemText(errno)
      field.report("\(reason); it must hold the secret alone, with mode 0600", .warning)
    } else if status.st_mode & S_IFMT != S_IFREG {
      field.report("not a regular file")
    } else if status.st_mode & 0o077 != 0 {
      let mode = String(status.st_mode & 0o777, radix: 8)
      field.report("the file's mode is 0\(mode): others can read it; chmod 600")
    }
    return path
  }
}
