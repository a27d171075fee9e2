import TierCore

/// A placeholder made where no file stands: for what was deleted and is taken back.
struct PlaceholderStub: StubKind {
  func make(
    _ copy: ArchivedCopy, of file: CatalogFile, at hidden: RelativePath, in volume: Volume
  ) throws(TierError) -> FileStatus {
    let metadata = copy.metadata
    try volume.notePlaceholders()
    return try wrapping("while making its stub") { () throws(SyscallError) in
      if try volume.files.status(of: hidden, at: "stub.leftover") != nil {
        try volume.files.unlink(hidden, at: "stub.unlinkLeftover")
      }
      let made = try volume.files.open(hidden, .create(mode: 0o600), at: "stub.create")
      defer { made.close() }
      let placeholder = Placeholder(volume: volume, copy: copy, file: made)
      // Before it has a size: nobody may ever read its holes.
      try placeholder.mark(.released, at: "stub.mark")
      try made.truncate(to: copy.size, at: "stub.size")
      try made.setOwner(metadata.owner, group: metadata.group, at: "stub.owner")
      try made.setMode(metadata.mode, at: "stub.mode")
      for attribute in metadata.attributes {
        try made.setAttribute(attribute.name, to: attribute.value, at: "stub.attribute")
      }
      try made.setTimes(modified: metadata.modified, accessed: metadata.accessed, at: "stub.times")
      try made.sync(at: "stub.sync")
      return try made.status(at: "stub.status")
    }
  }
}
