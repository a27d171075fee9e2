import TierCore
import TierLinux

// rsync deletes what the sender's tree lacks. Here the sender's tree is the bare folders above one name, and a
// filter hides everything but that name.
extension RsyncSession {
  private static let previewsPerFolder = 10_000

  func move(_ from: RelativePath, to: RelativePath, expected: TargetStatus) throws(TierError) -> MoveOutcome {
    guard to.isWithin(TargetLayout.trash), !from.isWithin(TargetLayout.folder) else { return .unsupported }
    let standing = try statuses(of: [from, to])
    guard let source = standing[from], source.matches(expected) else {
      if let goal = standing[to], goal.matches(expected) { return .done }
      return standing[from] == nil ? .missing : .conflict
    }
    guard standing[to] == nil else { return .conflict }
    if let backup = RsyncPlan.Backup(of: from, to: to) {
      try delete(from, backup: backup)
    } else {
      try copy(from, to: to, size: source.size)
      try delete(from)
    }
    let after = try statuses(of: [from, to])
    guard let moved = after[to], moved.matches(expected), after[from] == nil else {
      throw TierError(
        .targetFailed,
        "the rsync server did not move it to the trash: may its user delete there? See `refuse options`",
        path: from.escaped, disposition: .retry)
    }
    return .done
  }

  func remove(_ path: RelativePath) throws(TierError) {
    guard path.isWithin(TargetLayout.folder), path != TargetLayout.folder else {
      throw TierError(.internalFault, "only what is below .tierd may be removed", path: path.escaped)
    }
    try delete(path)
  }

  func pruneEmptyDirectories(from directory: RelativePath) throws(TierError) {
    let kept: Set = [TargetLayout.folder, TargetLayout.temporary, TargetLayout.manifest, TargetLayout.trash]
    var place = directory
    while !place.isRoot, !kept.contains(place) {
      guard let entries = try? listEverything(in: place) else { return }
      guard entries.allSatisfy({ $0.isDirectory && $0.name == TargetLayout.thumbnailFolder }) else { return }
      let previews = entries.isEmpty ? nil : place.appending(TargetLayout.thumbnailFolder)
      guard (try? delete(place, withContentOf: previews)) != nil else { return }
      knownDirectories.remove(place)
      place = place.parent
    }
  }

  /// A missing one is no error.
  func delete(
    _ path: RelativePath, backup: RsyncPlan.Backup? = nil, withContentOf previews: RelativePath? = nil
  ) throws(TierError) {
    let scratch = try scratch()
    let skeleton = try scratch.makeFolder()
    try scratch.ensureDirectory(skeleton.appending(path.parent))
    var rules = (path.ancestors + [path]).map(Self.pattern)
    if let previews {
      rules += [Self.pattern(previews), Self.pattern(previews, andBelow: true)]
    }
    let list = try scratch.makeList(lines: rules)
    defer {
      scratch.remove(skeleton)
      scratch.remove(list)
    }
    var options = [
      "--recursive", "--delete", "--existing", "--ignore-existing", "--omit-dir-times", "--from0",
      "--max-delete=\(previews == nil ? 1 : Self.previewsPerFolder)",
    ].asArguments
    if let backup {
      options += [
        Array("--backup".utf8), Self.option("--backup-dir=", backup.directory.bytes),
        Self.option("--suffix=", backup.suffix),
      ]
    }
    options += [Self.option("--include-from=", scratch.absolute(list)), Array("--exclude=*".utf8)]
    _ = try program.run(options, from: scratch.absolute(skeleton) + [.slash])
  }

  /// Anchored at the root. A backslash is one only in patterns that have a wildcard besides.
  private static func pattern(_ path: RelativePath) -> [UInt8] { pattern(path, andBelow: false) }

  private static func pattern(_ path: RelativePath, andBelow: Bool) -> [UInt8] {
    let wild = Set("*?[".utf8)
    guard andBelow || path.bytes.contains(where: wild.contains) else { return [.slash] + path.bytes }
    let literal = path.bytes.flatMap { wild.contains($0) || $0 == .backslash ? [.backslash, $0] : [$0] }
    return [.slash] + literal + (andBelow ? Array("/**".utf8) : [])
  }

  /// Through this machine, for what `--backup` can't express. Never onto something.
  func copy(_ from: RelativePath, to: RelativePath, size: Int64) throws(TierError) {
    let scratch = try scratch()
    try fetchToScratch([from], bytes: size) { _, fetched throws(TierError) in
      switch fetched {
      case .missing: return
      case .failed(let error): throw error
      case .here(let file, let size):
        let folder = try scratch.makeFolder()
        defer { scratch.remove(folder) }
        try scratch.ensureDirectory(folder.appending(to).parent)
        try scratch.link(folder.appending(to), to: file)
        let options = [
          "--perms", "--times", "--omit-dir-times", "--ignore-existing", "--temp-dir=.tierd/tmp",
        ]
        let outcome = try send([to], from: folder, options.asArguments, bytes: size)
        let check = try send(
          [to], from: folder, ["--dry-run", "--checksum", "--itemize-changes"].asArguments, bytes: size)
        guard check.output.compactMap(RsyncText.sent).isEmpty else {
          throw RsyncTrouble.ofFile(to, outcome.complaints, otherwise: "the rsync server did not take it")
        }
      }
    }
  }
}
