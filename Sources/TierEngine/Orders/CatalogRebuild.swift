import TierCore

/// Gives stubs their rows back from the target's manifests, after the catalog was lost. Where the stubs carry a
/// privileged identity, the scan has already done it; the manifests add what identities lack, and are all there
/// is where tierd isn't privileged.
struct CatalogRebuild {
  let context: EngineContext
  let session: any TargetSession
  let target: String
  let volume: Volume
  let progress: RequestHandle
  /// A segment holds one batch; a larger file is none of ours.
  static let segmentLimit = 64 << 20

  func run() throws(TierError) {
    var latest: [ArchiveID: ManifestRecord] = [:]
    let folder = TargetLayout.manifest.appending(FileName(volume.name)!)
    for entry in try session.list(folder) where !entry.isDirectory {
      try read(folder.appending(entry.name), into: &latest)
    }
    var adopted = 0
    try walk(.root) { (path, status) throws(TierError) in
      if try adopt(path, status, latest) { adopted += 1 }
    }
    if adopted > 0 { progress.note("\(adopted) stubs of \(volume.name) have their rows back") }
  }

  private func read(_ path: RelativePath, into latest: inout [ArchiveID: ManifestRecord]) throws(TierError) {
    guard let bytes = try session.readRecord(path, limit: Self.segmentLimit) else { return }
    for line in bytes.split(separator: UInt8(ascii: "\n")) {
      do throws(TierError) {
        let record = try ManifestRecord.parse(Array(line), target: target)
        if let known = latest[record.copy.archiveID], known.at > record.at { continue }
        latest[record.copy.archiveID] = record
      } catch {
        progress.fail("\(path): \(error.message)")
      }
    }
  }

  private func walk(
    _ directory: RelativePath, _ body: (RelativePath, FileStatus) throws(TierError) -> Void
  ) throws(TierError) {
    var waiting = [directory]
    while let next = waiting.popLast() {
      let entries = try wrapping("while looking for stubs") { () throws(SyscallError) in
        try volume.files.list(next, at: "rebuild.list")
      }
      for entry in entries {
        let path = next.appending(entry.name)
        switch entry.status.kind {
        case .directory where volume.holds(entry.status) && path != Volume.ownFolder:
          waiting.append(path)
        case .symlink: try body(path, entry.status)
        default: break
        }
      }
    }
  }

  /// True where a stub had no row and has one now.
  private func adopt(_ path: RelativePath, _ status: FileStatus, _ latest: [ArchiveID: ManifestRecord])
    throws(TierError) -> Bool
  {
    let text = try wrapping("while reading a link") { () throws(SyscallError) in
      try volume.files.readLink(path, at: "rebuild.readlink")
    }
    guard let link = StubLink.parse(text), let name = path.name, link.target == target,
      let record = latest[link.archiveID], record.operation != .remove,
      record.copy.path.isWithin(volume.targetPath(of: .root))
    else { return false }
    return try volume.committing { () throws(TierError) in
      guard try context.catalog.files(withArchiveID: link.archiveID).isEmpty else { return false }
      // One that appeared after the scan: the next scan brings its row, and another rebuild the stub's.
      guard let parent = try context.catalog.directory(at: path.parent, in: volume.id) else { return false }
      var copy = record.copy
      copy.proof = .proven
      var file = CatalogFile(
        volume: volume.id, directory: parent, name: name, state: .released, version: status.version, links: 1,
        owner: copy.metadata.owner, mode: copy.metadata.mode, allocated: 0, firstSeen: context.clock.now,
        lastUsed: context.clock.now, copy: copy)
      file.observeStub(status)
      volume.judge(&file, at: path)
      try context.catalog.apply([.put(file)])
      return true
    }
  }
}
