import TierCore

/// What stands in for a file whose content is on the target only. The symbolic link works on every kernel and with
/// any cache; the placeholder needs a guard.
package protocol StubKind: Sendable {
  /// Makes a stub for `copy` at the hidden path, complete with identity, owner and times, ready to be renamed
  /// into place. A leftover there is replaced.
  func make(_ copy: ArchivedCopy, of file: CatalogFile, at hidden: RelativePath, in volume: Volume)
    throws(TierError) -> FileStatus
}

/// A symbolic link to the file's place under the target's mount path where one is configured; else a dangling
/// one that tells a person where the content is.
package struct SymlinkStub: StubKind {
  /// By target name.
  let mountPaths: [String: String]

  package init(mountPaths: [String: String]) { self.mountPaths = mountPaths }

  package func make(
    _ copy: ArchivedCopy, of file: CatalogFile, at hidden: RelativePath, in volume: Volume
  ) throws(TierError) -> FileStatus {
    let link = StubLink(target: copy.target, path: copy.path, archiveID: copy.archiveID)
    let text = try link.text(mountPath: mountPaths[copy.target])
    let metadata = copy.metadata
    return try wrapping("while making its stub") { () throws(SyscallError) in
      do throws(SyscallError) {
        try volume.files.makeSymlink(hidden, to: text, at: "stub.symlink")
      } catch {
        guard error.isTaken else { throw error }
        try volume.files.unlink(hidden, at: "stub.unlinkLeftover")
        try volume.files.makeSymlink(hidden, to: text, at: "stub.symlinkAgain")
      }
      if volume.isPrivileged {
        try volume.files.setOwner(
          of: hidden, owner: metadata.owner, group: metadata.group, at: "stub.owner")
        let record = IdentityRecord(state: .released, epoch: volume.epoch, copy: copy)
        try volume.files.setAttribute(
          volume.identityAttribute, to: record.encoded, of: hidden, at: "stub.identity")
      }
      try volume.files.setTimes(
        of: hidden, modified: copy.modified, accessed: metadata.accessed, at: "stub.times")
      guard let status = try volume.files.status(of: hidden, at: "stub.status") else {
        throw .vanished(hidden)
      }
      return status
    }
  }
}
