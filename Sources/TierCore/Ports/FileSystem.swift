/// Names one place in the code that calls the kernel, so that a test can make exactly that call fail or crash
/// there. Dotted: `release.exchange`.
package struct CallSite: Hashable, Sendable, ExpressibleByStringLiteral, CustomStringConvertible {
  package let description: String
  package init(stringLiteral value: StaticString) { description = value.description }
}

/// One directory tree, a volume or the root of a `directory` target. All calls block; none follows a symbolic
/// link in any component or leaves the tree, whatever is swapped under it (`openat2`, `RESOLVE_BENEATH`).
package protocol FileSystem: Sendable {
  /// The root's absolute path, for messages and for programs that need one (rsync).
  var rootPath: [UInt8] { get }

  /// False once something else is mounted over the root, or its own file system was unmounted lazily.
  func rootIsInPlace(at site: CallSite) throws(SyscallError) -> Bool

  /// Nil where nothing has that name.
  func status(of path: RelativePath, at site: CallSite) throws(SyscallError) -> FileStatus?
  /// Every entry but `.` and `..`, in the directory's own order. An entry that vanishes meanwhile is left out.
  func list(_ directory: RelativePath, at site: CallSite) throws(SyscallError) -> [DirectoryEntry]
  func open(_ path: RelativePath, _ access: OpenAccess, at site: CallSite) throws(SyscallError)
    -> any OpenFile
  func readLink(_ path: RelativePath, at site: CallSite) throws(SyscallError) -> [UInt8]
  func makeSymlink(_ path: RelativePath, to text: [UInt8], at site: CallSite) throws(SyscallError)
  func makeDirectory(_ path: RelativePath, mode: UInt16, at site: CallSite) throws(SyscallError)
  func removeDirectory(_ path: RelativePath, at site: CallSite) throws(SyscallError)
  func unlink(_ path: RelativePath, at site: CallSite) throws(SyscallError)
  func rename(_ from: RelativePath, to: RelativePath, _ mode: RenameMode, at site: CallSite)
    throws(SyscallError)
  /// Makes the directory's entries durable.
  func syncDirectory(_ path: RelativePath, at site: CallSite) throws(SyscallError)

  /// On the name itself, symbolic links included. Nil where the file or the attribute is missing.
  func attribute(_ name: String, of path: RelativePath, at site: CallSite) throws(SyscallError) -> [UInt8]?
  func setAttribute(_ name: String, to value: [UInt8], of path: RelativePath, at site: CallSite)
    throws(SyscallError)
  /// Of the name itself, symbolic links included.
  func setTimes(of path: RelativePath, modified: FileTime, accessed: FileTime, at site: CallSite)
    throws(SyscallError)
  func setOwner(of path: RelativePath, owner: UInt32, group: UInt32, at site: CallSite) throws(SyscallError)

  func space(at site: CallSite) throws(SyscallError) -> FileSystemSpace

  /// True where others change the tree without this machine's kernel hearing of it: only a scan shows that.
  var isShared: Bool { get }
  /// How much of the tree can be seen. Where it is on several machines, some of them may be away.
  func sight(at site: CallSite) throws(SyscallError) -> Sight
  /// True where a process has the file open, on whatever machine and through whatever mount, this process's own
  /// descriptors included. False as well where the file system doesn't count: there only leases tell.
  func isHeldOpen(_ path: RelativePath, at site: CallSite) throws(SyscallError) -> Bool
}

package enum Sight: Hashable, Sendable {
  case whole
  /// Every file is in sight, but perhaps not as it was left last. What is away, for messages.
  case outdated([String])
  /// Files that are away look deleted.
  case partial([String])
}

package struct DirectoryEntry: Hashable, Sendable {
  package var name: FileName
  package var status: FileStatus

  package init(name: FileName, status: FileStatus) {
    self.name = name
    self.status = status
  }
}

package enum OpenAccess: Sendable {
  case read
  case readWrite
  /// A new file, read and write; `EEXIST` where the name is taken.
  case create(mode: UInt16)
}

package enum RenameMode: Sendable {
  /// As `rename(2)`: takes the place of what is there.
  case replace
  /// `EEXIST` where the new name is taken.
  case keepExisting
  /// Both names must exist; they swap.
  case exchange
}

package struct FileSystemSpace: Hashable, Sendable {
  /// Bytes.
  package var total: Int64
  /// Bytes that unprivileged users may still fill.
  package var available: Int64

  package init(total: Int64, available: Int64) {
    self.total = total
    self.available = available
  }
}

/// An open regular file. Closed by `close` or with its last reference.
package protocol OpenFile: AnyObject, Sendable {
  /// For calls that this port lacks, and for other programs (as `/proc/<pid>/fd/<n>`): it stays this very file
  /// whatever becomes of its name. Valid until `close`.
  var rawDescriptor: Int32 { get }
  func status(at site: CallSite) throws(SyscallError) -> FileStatus
  /// At most `buffer.count` bytes; 0 at the end of the file.
  func read(into buffer: UnsafeMutableRawBufferPointer, offset: Int64, at site: CallSite)
    throws(SyscallError) -> Int
  /// All of `buffer`.
  func write(_ buffer: UnsafeRawBufferPointer, offset: Int64, at site: CallSite) throws(SyscallError)
  /// The next range that holds data at or after `offset`, as `SEEK_DATA` tells; nil where only a hole follows.
  func dataRange(from offset: Int64, at site: CallSite) throws(SyscallError) -> Range<Int64>?
  func truncate(to size: Int64, at site: CallSite) throws(SyscallError)
  /// Gives all of the file's blocks back; its size stays, and reads as zeros. Moves mtime and ctime. Cut off, it may
  /// leave some blocks. The file must have been opened with `.readWrite`.
  func freeContent(at site: CallSite) throws(SyscallError)
  /// Content and metadata durable.
  func sync(at site: CallSite) throws(SyscallError)

  /// Names and values, POSIX ACLs included, sorted by name.
  func attributes(at site: CallSite) throws(SyscallError) -> [ExtendedAttribute]
  /// Nil where it is missing.
  func attribute(_ name: String, at site: CallSite) throws(SyscallError) -> [UInt8]?
  func setAttribute(_ name: String, to value: [UInt8], at site: CallSite) throws(SyscallError)
  func removeAttribute(_ name: String, at site: CallSite) throws(SyscallError)
  func setMode(_ mode: UInt16, at site: CallSite) throws(SyscallError)
  func setOwner(_ owner: UInt32, group: UInt32, at site: CallSite) throws(SyscallError)
  func setTimes(modified: FileTime, accessed: FileTime, at site: CallSite) throws(SyscallError)

  /// Asks the kernel to hold back openers. `EAGAIN` where the file is open in a conflicting way. The file must
  /// have been opened with `.read`.
  func takeLease(_ lease: Lease, at site: CallSite) throws(SyscallError)
  /// False once somebody waits for the lease to go: the holder must let go soon.
  func leaseIsUndisturbed(at site: CallSite) throws(SyscallError) -> Bool
  func dropLease(at site: CallSite) throws(SyscallError)
  /// A second call does nothing.
  func close()
}

package enum Lease: Sendable {
  /// Granted only while nobody else has the file open for writing; holds back writers.
  case againstWriters
  /// Granted only while nobody else has the file open at all; holds back everyone.
  case againstAll
}
