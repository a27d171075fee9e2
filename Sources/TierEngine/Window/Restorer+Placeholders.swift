import TierCore
import TierLinux

// MARK: Placeholders, which are filled themselves

extension Restorer {
  static func changed(_ how: String, _ path: RelativePath, _ volume: Volume) -> TierError {
    TierError(.fileChanged, how, path: volume.absolute(path), disposition: .retry)
  }

  /// Nothing is written to it yet: what isn't the row's placeholder any more, or holds what only it has, is left alone.
  /// For a caller that is committing, so that no look at it is under way.
  func openPlaceholder(of item: Wanted) throws(TierError) -> Prepared {
    let volume = item.volume
    let file = try wrapping("while opening its stub") { () throws(SyscallError) in
      try volume.files.open(item.path, .readWrite, at: "recall.open")
    }
    do throws(TierError) {
      let placeholder = Placeholder(volume: volume, copy: item.copy, file: file)
      let isOurs = try volume.isPlaceholder(item.path, of: item.copy.archiveID, at: "recall.isPlaceholder")
      let (status, named, content) = try wrapping("while looking at its stub") { () throws(SyscallError) in
        (
          try file.status(at: "recall.status"), try volume.files.status(of: item.path, at: "recall.named"),
          try placeholder.content()
        )
      }
      let inode = item.row.version.inode
      guard isOurs, status.inode == inode, named?.inode == inode else {
        throw Self.changed("it was moved or replaced meanwhile: try again", item.path, volume)
      }
      if content == .whole {
        try wrapping("while looking at its stub") { () throws(SyscallError) in _ = try placeholder.fill() }
        throw Self.changed("all of its content was there: try again", item.path, volume)
      }
      let isOldContent = status.size == item.copy.size && status.modified == item.copy.modified
      guard content == .none || isOldContent else {
        throw TierError(.fileSystem, PlaceholderSettling.unknown, path: volume.absolute(item.path))
      }
      try wrapping("while marking its stub") { () throws(SyscallError) in
        try placeholder.mark(.restoring, at: "recall.markRestoring")
        // Nothing of what fills its holes may be taken for what comes now.
        if try file.dataRange(from: 0, at: "recall.data") != nil { try file.freeContent(at: "recall.free") }
      }
      return Prepared(wanted: item, file: file, before: status)
    } catch {
      file.close()
      throw error
    }
  }

  /// A placeholder kept its owner, mode and attributes; what apps changed meanwhile stays: its times, and the length
  /// that one may have cut it to by name where the guard isn't asked about that.
  static func finish(_ item: Prepared, _ before: FileStatus) throws(TierError) {
    try wrapping("while restoring its attributes") { () throws(SyscallError) in
      if before.size != item.copy.size { try item.file.truncate(to: before.size, at: "recall.cut") }
      // The kernel takes these away at every write.
      for attribute in item.copy.metadata.attributes where attribute.name == "security.capability" {
        try item.file.setAttribute(attribute.name, to: attribute.value, at: "recall.attribute")
      }
      try item.file.setTimes(modified: before.modified, accessed: before.accessed, at: "recall.times")
      try item.file.sync(at: "recall.sync")
    }
  }

  /// From the mark on anybody may open it. Untouched is what has its times after that, and needs no new metadata on
  /// the target.
  func release(_ item: Swapped) throws(SyscallError) -> (FileStatus, Bool) {
    let copy = item.wanted.copy
    try Placeholder(volume: item.wanted.volume, copy: item.row.copy ?? copy, file: item.file).mark(
      .archived, at: "recall.markArchived")
    // Before the catalog says so.
    try item.file.sync(at: "recall.syncArchived")
    let status = try item.file.status(at: "recall.statusMarked")
    let isEqual =
      status.size == copy.size && status.modified == copy.modified && status.mode == copy.metadata.mode
      && status.owner == copy.metadata.owner && status.group == copy.metadata.group
    return (status, isEqual)
  }
}
