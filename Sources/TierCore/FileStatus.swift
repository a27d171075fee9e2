package enum FileKind: UInt8, Sendable {
  case regular, directory, symlink, fifo, socket, device
}

/// What `statx` says of one name, links not followed.
package struct FileStatus: Hashable, Sendable {
  package var kind: FileKind
  package var device: UInt64
  /// Tells a bind mount from what it covers; 0 where the kernel doesn't say (before Linux 5.8).
  package var mount: UInt64
  package var inode: UInt64
  package var links: UInt32
  /// Permission bits with setuid, setgid and sticky; no file type.
  package var mode: UInt16
  package var owner: UInt32
  package var group: UInt32
  /// Bytes.
  package var size: Int64
  package var modified: FileTime
  package var changed: FileTime
  package var accessed: FileTime
  /// Bytes really occupied on the disk.
  package var allocated: Int64

  package init(
    kind: FileKind, device: UInt64, mount: UInt64 = 0, inode: UInt64, links: UInt32, mode: UInt16,
    owner: UInt32, group: UInt32, size: Int64, modified: FileTime, changed: FileTime, accessed: FileTime,
    allocated: Int64
  ) {
    self.kind = kind
    self.device = device
    self.mount = mount
    self.inode = inode
    self.links = links
    self.mode = mode
    self.owner = owner
    self.group = group
    self.size = size
    self.modified = modified
    self.changed = changed
    self.accessed = accessed
    self.allocated = allocated
  }

  package var version: FileVersion {
    FileVersion(inode: inode, size: size, modified: modified, changed: changed)
  }
}

/// Which content a path held: equal versions mean that nobody wrote in between (ctime can't be set by hand).
package struct FileVersion: Hashable, Sendable {
  package var inode: UInt64
  package var size: Int64
  package var modified: FileTime
  package var changed: FileTime

  package init(inode: UInt64, size: Int64, modified: FileTime, changed: FileTime) {
    self.inode = inode
    self.size = size
    self.modified = modified
    self.changed = changed
  }

  /// Equal but for ctime, which metadata changes (our own xattr among them) move.
  package func hasSameContent(as other: FileVersion) -> Bool {
    inode == other.inode && size == other.size && modified == other.modified
  }
}

/// Everything of a file but its content: what a restore must bring back and the manifest keeps.
package struct FileMetadata: Hashable, Sendable {
  package var mode: UInt16
  package var owner: UInt32
  package var group: UInt32
  package var modified: FileTime
  package var accessed: FileTime
  /// Names and values as the kernel gives them, POSIX ACLs (`system.posix_acl_access`) among them; tierd's own
  /// identity attribute is left out. Sorted by name.
  package var attributes: [ExtendedAttribute]

  package init(
    mode: UInt16, owner: UInt32, group: UInt32, modified: FileTime, accessed: FileTime,
    attributes: [ExtendedAttribute] = []
  ) {
    self.mode = mode
    self.owner = owner
    self.group = group
    self.modified = modified
    self.accessed = accessed
    self.attributes = attributes
  }
}

package struct ExtendedAttribute: Hashable, Sendable {
  package var name: String
  package var value: [UInt8]

  package init(name: String, value: [UInt8]) {
    self.name = name
    self.value = value
  }
}
