/// Processes whose opens of released files fail instead of fetching the content: those that by their trade open
/// whatever they come across. The built-in names come first; of all that match, the last one decides.
package struct RefusedProcesses: Hashable, Sendable {
  /// Names only. Left out are programs that open no files (`updatedb`, `locate`), that people use to fetch what
  /// they want (`rsync`, `tar`, `cp`, `rclone`), and that let others read (`rsnapshot`).
  package static let builtIn = [
    // Search. Cut to what the kernel keeps of a name: `tracker-extract`, `baloo_file_extr`.
    "tracker-*", "localsearch*", "baloo_*", "recollindex",
    // Previews.
    "tumblerd", "ffmpegthumb*", "totem-video-th*", "gdk-pixbuf-thum", "evince-thumb*",
    // Virus scanners.
    "clamscan", "clamd", "clamdscan", "clamonacc",
    // Backups.
    "restic", "borg", "kopia", "duplicity", "duplicati*", "bacula-fd", "bareos-fd", "proxmox-backup*",
  ]

  /// The policy's own lines.
  package var rules: [ProcessRule]

  package init(_ rules: [ProcessRule] = []) { self.rules = rules }

  /// The pattern that refuses the process, nil where none does. `name` is what the kernel calls it (`comm`);
  /// `cgroup` its path there, with or without the slash in front, empty where it isn't known.
  package func refuses(name: [UInt8], cgroup: [UInt8]) -> String? {
    let path = SplitPath(bytes: cgroup.first == .slash ? Array(cgroup.dropFirst()) : cgroup)
    if let rule = rules.last(where: { $0.pattern.matches(name: name, cgroup: path) }) {
      return rule.effect == .refuse ? rule.pattern.text : nil
    }
    return Self.builtInPatterns.last { $0.matches(name: name, cgroup: path) }?.text
  }

  private static let builtInPatterns = builtIn.map {
    do { return try ProcessPattern($0) } catch { preconditionFailure("built-in pattern \($0): \(error)") }
  }
}

/// One line of `restore.refuse`.
package struct ProcessRule: Hashable, Sendable {
  package enum Effect: Hashable, Sendable {
    case refuse
    /// `!pattern`: takes an earlier one back, a built-in one too.
    case allow
  }
  package var effect: Effect
  package var pattern: ProcessPattern

  package init(_ effect: Effect, _ pattern: ProcessPattern) {
    self.effect = effect
    self.pattern = pattern
  }

  /// As it is written.
  package var text: String { effect == .refuse ? pattern.text : "!\(pattern.text)" }
}

/// A pattern of a process's name, or with `cgroup:` in front of its cgroup's path, which also takes the cgroups
/// below. Characters mean what they mean in a `Glob`.
package struct ProcessPattern: Hashable, Sendable {
  /// What the kernel keeps of a name.
  package static let nameLimit = 15

  /// As written.
  package let text: String
  private let subject: Subject

  private enum Subject: Sendable {
    case name(NamePattern)
    case cgroup(Glob)
  }

  private static let cgroupPrefix = "cgroup:"

  package init(_ text: String) throws(GlobError) {
    self.text = text
    if text.hasPrefix("!") {
      throw GlobError(
        position: 0, description: "one \"!\" is enough; a name that starts so is written \"\\!\"")
    }
    guard text.hasPrefix(Self.cgroupPrefix) else {
      subject = .name(try Self.name(text))
      return
    }
    let path = text.dropFirst(Self.cgroupPrefix.count)
    if path.hasPrefix("!") {
      throw GlobError(position: Self.cgroupPrefix.count, description: "\"!\" belongs before \"cgroup:\"")
    }
    do throws(GlobError) {
      subject = .cgroup(try Glob(String(path)))
    } catch {
      throw GlobError(
        position: error.position + Self.cgroupPrefix.count, description: error.description)
    }
  }

  func matches(name: [UInt8], cgroup: SplitPath) -> Bool {
    switch subject {
    case .name(let pattern): pattern.matches(name, name.indices)
    case .cgroup(let glob): glob.matches(cgroup, below: 0)
    }
  }

  private static func name(_ text: String) throws(GlobError) -> NamePattern {
    if let slash = text.unicodeScalars.lastIndex(of: "/") {
      let last = String(text.unicodeScalars[slash...].dropFirst())
      let name = last.isEmpty ? "" : "write \"\(shortened(last) ?? last)\", or "
      throw GlobError(
        position: text.unicodeScalars.distance(from: text.unicodeScalars.startIndex, to: slash),
        description: "a process's name has no slash; \(name)\"cgroup:/...\" for the path of its cgroup")
    }
    var parser = GlobParser(text)
    let pattern = try parser.parseName()
    if pattern.minimumLength > nameLimit {
      let wayOut = shortened(text).map { "; write \"\($0)\"" } ?? ""
      throw GlobError(
        position: 0,
        description: "the kernel keeps \(nameLimit) bytes of a process's name, so this matches none\(wayOut)")
    }
    return pattern
  }

  /// What the kernel leaves of a name that is longer; nil where that isn't simply its start.
  private static func shortened(_ text: String) -> String? {
    let isPlain = text.utf8.allSatisfy {
      $0 > 0x20 && $0 < 0x7F && !"*?[\\".utf8.contains($0)
    }
    return isPlain && text.utf8.count > nameLimit ? String(text.prefix(nameLimit)) : nil
  }

  package static func == (left: ProcessPattern, right: ProcessPattern) -> Bool { left.text == right.text }
  package func hash(into hasher: inout Hasher) { hasher.combine(text) }
}
