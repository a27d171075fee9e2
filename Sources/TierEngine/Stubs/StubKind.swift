import TierCore

/// What stands in for a released file. The symbolic link works on every kernel and with any cache; a value of
/// this port, so that another kind can be chosen per volume.
package protocol StubKind: Sendable {
  /// `symlink`.
  var name: String { get }

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

  package var name: String { "symlink" }

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

extension Volume {
  /// Unprivileged, a symbolic link can carry no attribute and no foreign owner: its text and the catalog are
  /// its identity then.
  var isPrivileged: Bool { identityAttribute.hasPrefix("trusted.") }

  /// True where the name holds the stub of just this copy.
  func isStub(_ path: RelativePath, of id: ArchiveID, at site: CallSite) throws(TierError) -> Bool {
    try wrapping("while looking at its stub") { () throws(SyscallError) in
      guard let status = try files.status(of: path, at: site), status.kind == .symlink else { return false }
      if isPrivileged, let value = try files.attribute(identityAttribute, of: path, at: site),
        let record = try? IdentityRecord.parse(value)
      {
        return record.archiveID == id
      }
      return StubLink.parse(try files.readLink(path, at: site))?.archiveID == id
    }
  }
}
