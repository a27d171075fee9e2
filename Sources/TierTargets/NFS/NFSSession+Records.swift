import TierCore

extension NFSSession {
  func writeRecord(_ bytes: [UInt8], to path: RelativePath) throws(TierError) {
    let parent = try directory(path.parent)
    let temporary = try directory(TargetLayout.temporary)
    guard let name = path.name else {
      throw TierError(.badRequest, "the target's root is no file", path: address)
    }
    let id = ArchiveID.random().fileName
    func check<Value>(_ answer: NFSConnection.Answer<Value>) throws(TierError) -> Value {
      switch answer {
      case .success(let value): return value
      case .failure(let refusal): throw TierError(refusal, path, at: address)
      }
    }
    let file = try check(
      try connection.wait { connection.create(id, in: temporary.handle, mode: 0o600, then: $0) })
    for _ in 0..<3 {
      var verifiers = try write(bytes, to: file, path)
      verifiers.insert(try check(try connection.wait { connection.commit(file, then: $0) }))
      guard verifiers.count == 1 else { continue }
      try check(
        try connection.wait {
          connection.rename(id, in: temporary.handle, to: name, in: parent.handle, then: $0)
        })
      parent.noteAdded(name)
      return
    }
    throw TierError(
      .targetRestarted, "the server restarted again and again while a record was written", path: address,
      disposition: .retry)
  }

  /// All of `bytes`; returns the write verifiers that the server answered with.
  private func write(_ bytes: [UInt8], to file: NFSHandle, _ path: RelativePath) throws(TierError) -> Set<
    UInt64
  > {
    var verifiers: Set<UInt64> = []
    var offset = 0
    while offset < bytes.count {
      let answer = try connection.wait { done in
        bytes.withUnsafeBytes { all in
          let piece = all[offset..<min(offset + limits.writeSize, all.count)]
          connection.write(
            UnsafeRawBufferPointer(rebasing: piece), to: file, offset: Int64(offset), durably: false,
            then: done)
        }
      }
      switch answer {
      case .success(let written) where written.count > 0:
        verifiers.insert(written.verifier)
        offset += written.count
      case .success:
        throw TierError(NFSRefusal(procedure: "WRITE", status: .serverFault), path, at: address)
      case .failure(let refusal): throw TierError(refusal, path, at: address)
      }
    }
    return verifiers
  }

  func pruneEmptyDirectories(from directory: RelativePath) throws(TierError) {
    let kept: Set<RelativePath> = [
      .root, TargetLayout.folder, TargetLayout.temporary, TargetLayout.trash, TargetLayout.manifest,
    ]
    var path = directory
    while !kept.contains(path), let name = path.name {
      guard case .success(let parent?)? = try tree.open([path.parent], making: false)[path.parent] else {
        return
      }
      switch try connection.wait({ connection.removeDirectory(name, in: parent.handle, then: $0) }) {
      case .success: parent.noteRemoved(name)
      case .failure(let refusal) where refusal.status == .noEntry: break
      case .failure:
        guard try removeThumbnails(in: path) else { return }
        guard
          case .success = try connection.wait({
            connection.removeDirectory(name, in: parent.handle, then: $0)
          })
        else { return }
        parent.noteRemoved(name)
      }
      tree.forget(path)
      path = path.parent
    }
  }

  /// Where nothing but previews of files that are gone is left in a folder; true where it is empty now.
  private func removeThumbnails(in path: RelativePath) throws(TierError) -> Bool {
    guard case .success(let directory?)? = try tree.open([path], making: false)[path] else { return false }
    let entries = try entries(of: directory.handle, path)
    guard entries.allSatisfy({ $0.name == TargetLayout.thumbnailFolder && $0.isDirectory }) else {
      return false
    }
    for entry in entries { try removeTree(path.appending(entry.name), depthLeft: 8) }
    return true
  }

  private func removeTree(_ path: RelativePath, depthLeft: Int) throws(TierError) {
    guard depthLeft > 0, let name = path.name,
      case .success(let directory?)? = try tree.open([path], making: false)[path],
      case .success(let parent?)? = try tree.open([path.parent], making: false)[path.parent]
    else { return }
    for entry in try entries(of: directory.handle, path) {
      if entry.isDirectory {
        try removeTree(path.appending(entry.name), depthLeft: depthLeft - 1)
      } else {
        _ = try connection.wait { connection.remove(entry.name, in: directory.handle, then: $0) }
      }
    }
    _ = try connection.wait { connection.removeDirectory(name, in: parent.handle, then: $0) }
    tree.forget(path)
  }
}
