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
  /// So many records are in memory at once; more stubs mean that the manifests are read again.
  var stubsAtOnce = 50_000

  func run() throws(TierError) {
    var walk = StubWalk(volume: volume)
    var adopted = 0
    while true {
      let stubs = try nextStubs(of: &walk)
      if stubs.isEmpty { break }
      let records = try latestRecords(of: Set(stubs.map(\.id)))
      for stub in stubs { if let record = records[stub.id], try adopt(stub, record) { adopted += 1 } }
    }
    if adopted > 0 { progress.note("\(adopted) stubs of \(volume.name) have their rows back") }
  }

  /// Stubs of this target that no row knows.
  private func nextStubs(of walk: inout StubWalk) throws(TierError) -> [StubWalk.Stub] {
    var stubs: [StubWalk.Stub] = []
    while stubs.count < stubsAtOnce, !walk.isFinished {
      var found: [StubWalk.Stub] = []
      do throws(TierError) { found = try walk.nextDirectory() } catch { progress.fail("\(error)") }
      for stub in found where stub.target == target {
        if try context.catalog.files(withArchiveID: stub.id).isEmpty { stubs.append(stub) }
      }
    }
    return stubs
  }

  private func latestRecords(of wanted: Set<ArchiveID>) throws(TierError) -> [ArchiveID: ManifestRecord] {
    var latest: [ArchiveID: ManifestRecord] = [:]
    let folder = TargetLayout.manifest.appending(FileName(volume.name)!)
    for entry in try session.list(folder) where !entry.isDirectory {
      try read(folder.appending(entry.name), wanted, into: &latest)
    }
    return latest
  }

  private func read(
    _ path: RelativePath, _ wanted: Set<ArchiveID>, into latest: inout [ArchiveID: ManifestRecord]
  ) throws(TierError) {
    guard let bytes = try session.readRecord(path, limit: Self.segmentLimit) else { return }
    for line in bytes.split(separator: UInt8(ascii: "\n")) {
      do throws(TierError) {
        let record = try ManifestRecord.parse(Array(line), target: target)
        let id = record.copy.archiveID
        guard wanted.contains(id) else { continue }
        if let known = latest[id], known.at > record.at { continue }
        latest[id] = record
      } catch {
        progress.fail("\(path): \(error.message)")
      }
    }
  }

  /// True where a stub had no row and has one now.
  private func adopt(_ stub: StubWalk.Stub, _ record: ManifestRecord) throws(TierError) -> Bool {
    guard let name = stub.path.name, record.operation != .remove,
      record.copy.path.isWithin(volume.targetPath(of: .root))
    else { return false }
    return try volume.committing { () throws(TierError) in
      guard try context.catalog.files(withArchiveID: stub.id).isEmpty else { return false }
      // One that appeared after the scan: the next scan brings its row, and another rebuild the stub's.
      guard let parent = try context.catalog.directory(at: stub.path.parent, in: volume.id) else {
        return false
      }
      var copy = record.copy
      copy.proof = .proven
      var file = CatalogFile(
        volume: volume.id, directory: parent, name: name, state: .released, version: stub.status.version,
        links: 1, owner: copy.metadata.owner, mode: copy.metadata.mode, allocated: 0,
        firstSeen: context.clock.now, lastUsed: context.clock.now, copy: copy)
      file.observeStub(stub.status)
      volume.judge(&file, at: stub.path)
      try context.catalog.apply([.put(file)])
      return true
    }
  }
}

/// All that look like stubs in a volume, one directory a step.
private struct StubWalk {
  struct Stub {
    var path: RelativePath
    var status: FileStatus
    var id: ArchiveID
    var target: String
  }

  let volume: Volume
  private var waiting: [RelativePath] = [.root]

  init(volume: Volume) { self.volume = volume }

  var isFinished: Bool { waiting.isEmpty }

  mutating func nextDirectory() throws(TierError) -> [Stub] {
    guard let directory = waiting.popLast() else { return [] }
    let entries = try wrapping("while looking for stubs") { () throws(SyscallError) in
      try volume.files.list(directory, at: "rebuild.list")
    }
    var stubs: [Stub] = []
    for entry in entries {
      let path = directory.appending(entry.name)
      switch entry.status.kind {
      case .directory where volume.holds(entry.status) && path != Volume.ownFolder:
        waiting.append(path)
      case .symlink:
        let text = try wrapping("while reading a link") { () throws(SyscallError) in
          try volume.files.readLink(path, at: "rebuild.readlink")
        }
        guard let link = StubLink.parse(text) else { continue }
        stubs.append(Stub(path: path, status: entry.status, id: link.archiveID, target: link.target))
      default: break
      }
    }
    return stubs
  }
}
