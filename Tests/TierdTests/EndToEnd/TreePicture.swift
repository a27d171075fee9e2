import TierCore
import TierLinux
import TierTestSupport

/// What stands below a folder, seen by Debian's own tools: none of tierd's code looks. tierd's `.tierd` is left out.
struct TreePicture {
  struct Entry: Hashable {
    /// As find tells it: `f`, `d`, `l`, `p`, `s`, `c`.
    var kind: String
    var mode: UInt16
    var owner: String
    var modified: String
    var accessed: String
    var size: Int64
    /// Bytes.
    var allocated: Int64
    var links: Int
    /// Of a symbolic link.
    var text: [UInt8]
    /// SHA-256 of a regular file.
    var hash: String?
    /// `name=value`, POSIX ACLs among them.
    var attributes: Set<String> = []
  }

  enum Aspect: CaseIterable {
    case kind, content, mode, owner, modified, accessed, attributes, links
  }

  var entries: [RelativePath: Entry]

  /// Why none can be taken here.
  static var obstacle: String? {
    if !LoopFileSystem.Kind.ext4.isAvailable { return "loop devices or mkfs.ext4 are missing" }
    let missing = ["getfattr", "setfacl", "sha256sum", "find"].filter { !Machine.has($0) }
    return missing.isEmpty
      ? nil : "\(missing.joined(separator: ", ")) missing: scripts/install-packages.sh test"
  }

  init(of folder: String) throws {
    entries = try Self.entries(of: folder)
    for record in try Self.run("find . \(Self.prune) -type f -print0 | xargs -0r sha256sum -z --", in: folder)
    {
      // Hash, two spaces, "./", path.
      entries[try Self.path(record.dropFirst(64 + 2 + 2))]?.hash = String(
        decoding: record.prefix(64), as: UTF8.self)
    }
    let dump = try Self.run(
      "find . \(Self.prune) -print0 | xargs -0r getfattr -hd -m - -e hex -- | sed '/^trusted.tierd=/d'",
      in: folder, separator: "\n")
    var path = RelativePath.root
    for line in dump where !line.isEmpty {
      if line.starts(with: "# file: ".utf8) {
        path = try Self.path(Self.unquoted(line.dropFirst(8)))
      } else {
        entries[path]?.attributes.insert(String(decoding: line, as: UTF8.self))
      }
    }
  }

  subscript(path: RelativePath) -> Entry? { entries[path] }

  func below(_ folder: RelativePath) -> TreePicture {
    var part = self
    part.entries = [:]
    for (path, entry) in entries {
      if let local = path.relative(to: folder), !local.isRoot { part.entries[local] = entry }
    }
    return part
  }

  func of(kind: String) -> TreePicture {
    var part = self
    part.entries = entries.filter { $0.value.kind == kind }
    return part
  }

  /// Lines for a person, empty where both are the same in these aspects. A directory's times and size are its
  /// entries' doing.
  func differences(from expected: TreePicture, in aspects: [Aspect] = Aspect.allCases) -> [String] {
    var lines: [String] = []
    for (path, entry) in entries where expected.entries[path] == nil {
      lines.append("\(path): not expected (\(entry.kind), \(entry.size) bytes)")
    }
    for (path, old) in expected.entries {
      guard let new = entries[path] else {
        lines.append("\(path): missing (\(old.kind), \(old.size) bytes)")
        continue
      }
      for aspect in aspects where !(old.kind == "d" && [.modified, .accessed, .links].contains(aspect)) {
        let (was, now) = (old.value(of: aspect), new.value(of: aspect))
        if was != now { lines.append("\(path): \(aspect) was \(was), is \(now)") }
      }
    }
    return lines.sorted()
  }

  // MARK: Tools

  private static let prune = "-path ./.tierd -prune -o"

  private static func entries(of folder: String) throws -> [RelativePath: Entry] {
    var entries: [RelativePath: Entry] = [:]
    let fields = try run(
      "find . -mindepth 1 \(prune) -printf '%P\\0%y %m %U:%G %T@ %A@ %s %b %n\\0%l\\0'", in: folder)
    for index in stride(from: 0, to: fields.count - 2, by: 3) {
      let words = String(decoding: fields[index + 1], as: UTF8.self).split(separator: " ").map(String.init)
      guard words.count == 8, let mode = UInt16(words[1], radix: 8), let size = Int64(words[5]),
        let blocks = Int64(words[6]), let links = Int(words[7])
      else { throw NeverHappened(description: "find wrote \(words)") }
      entries[try path(fields[index])] = Entry(
        kind: words[0], mode: mode, owner: words[2], modified: words[3], accessed: words[4], size: size,
        allocated: blocks * 512, links: links, text: Array(fields[index + 2]))
    }
    return entries
  }

  private static func path(_ bytes: some Sequence<UInt8>) throws -> RelativePath {
    var bytes = Array(bytes)
    if bytes.starts(with: "./".utf8) { bytes.removeFirst(2) }
    if bytes == [.dot] { bytes = [] }
    guard let path = RelativePath(bytes) else {
      throw NeverHappened(description: "a tool wrote the path \(EscapedText.encode(bytes))")
    }
    return path
  }

  /// getfattr writes `\012` for a newline.
  private static func unquoted(_ text: ArraySlice<UInt8>) -> [UInt8] {
    var bytes: [UInt8] = []
    var rest = text
    while let byte = rest.popFirst() {
      if byte == .backslash, let code = UInt8(String(decoding: rest.prefix(3), as: UTF8.self), radix: 8) {
        bytes.append(code)
        rest = rest.dropFirst(3)
      } else {
        bytes.append(byte)
      }
    }
    return bytes
  }

  private static func run(_ script: String, in folder: String, separator: Unicode.Scalar = "\0") throws
    -> [ArraySlice<UInt8>]
  {
    let command = ChildCommand(
      "/bin/bash", ["-o", "pipefail", "-c", script],
      environment: ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"], directory: folder)
    let result = try ChildProcess.run(command, deadline: .seconds(120), keptBytes: 64 << 20)
    guard result.succeeded else {
      throw NeverHappened(description: "\(script) in \(folder): \(result.ending) \(result.errorText)")
    }
    return result.output.split(separator: UInt8(ascii: separator), omittingEmptySubsequences: false)
  }
}

extension TreePicture.Entry {
  fileprivate func value(of aspect: TreePicture.Aspect) -> String {
    switch aspect {
    case .kind: kind
    case .content: kind == "d" ? "" : "\(size) bytes \(hash ?? "") \(EscapedText.encode(text))"
    case .mode: String(mode, radix: 8)
    case .owner: owner
    case .modified: modified
    case .accessed: accessed
    case .attributes: attributes.sorted().joined(separator: ", ")
    case .links: "\(links)"
    }
  }
}

extension RelativePath: ExpressibleByStringInterpolation {
  package init(stringLiteral text: String) { self = at(text) }
}
