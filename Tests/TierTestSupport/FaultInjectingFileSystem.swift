import TierCore

/// A real file system of which chosen calls fail, crash or come at a bad moment. Everything else is the real
/// one's doing.
package struct FaultInjectingFileSystem: FileSystem {
  package let real: any FileSystem
  package let faults: FaultPlan

  package init(_ real: any FileSystem, _ faults: FaultPlan) {
    self.real = real
    self.faults = faults
  }

  package var rootPath: [UInt8] { real.rootPath }

  package func rootIsInPlace(at site: CallSite) throws(SyscallError) -> Bool {
    try at(site, "open", .root) { () throws(SyscallError) in try real.rootIsInPlace(at: site) }
  }

  package func status(of path: RelativePath, at site: CallSite) throws(SyscallError) -> FileStatus? {
    try at(site, "statx", path) { () throws(SyscallError) in try real.status(of: path, at: site) }
  }

  package func list(_ directory: RelativePath, at site: CallSite) throws(SyscallError) -> [DirectoryEntry] {
    try at(site, "getdents64", directory) { () throws(SyscallError) in try real.list(directory, at: site) }
  }

  package func open(_ path: RelativePath, _ access: OpenAccess, at site: CallSite) throws(SyscallError)
    -> any OpenFile
  {
    let file = try at(site, "open", path) { () throws(SyscallError) in try real.open(path, access, at: site) }
    return FaultInjectingOpenFile(file, path.escaped, faults)
  }

  package func readLink(_ path: RelativePath, at site: CallSite) throws(SyscallError) -> [UInt8] {
    try at(site, "readlinkat", path) { () throws(SyscallError) in try real.readLink(path, at: site) }
  }

  package func makeSymlink(_ path: RelativePath, to text: [UInt8], at site: CallSite) throws(SyscallError) {
    try at(site, "symlinkat", path) { () throws(SyscallError) in
      try real.makeSymlink(path, to: text, at: site)
    }
  }

  package func makeDirectory(_ path: RelativePath, mode: UInt16, at site: CallSite) throws(SyscallError) {
    try at(site, "mkdirat", path) { () throws(SyscallError) in
      try real.makeDirectory(path, mode: mode, at: site)
    }
  }

  package func removeDirectory(_ path: RelativePath, at site: CallSite) throws(SyscallError) {
    try at(site, "unlinkat", path) { () throws(SyscallError) in try real.removeDirectory(path, at: site) }
  }

  package func unlink(_ path: RelativePath, at site: CallSite) throws(SyscallError) {
    try at(site, "unlinkat", path) { () throws(SyscallError) in try real.unlink(path, at: site) }
  }

  package func rename(_ from: RelativePath, to: RelativePath, _ mode: RenameMode, at site: CallSite)
    throws(SyscallError)
  {
    try at(site, "renameat2", to) { () throws(SyscallError) in
      try real.rename(from, to: to, mode, at: site)
    }
  }

  package func syncDirectory(_ path: RelativePath, at site: CallSite) throws(SyscallError) {
    try at(site, "fsync", path) { () throws(SyscallError) in try real.syncDirectory(path, at: site) }
  }

  package func attribute(_ name: String, of path: RelativePath, at site: CallSite) throws(SyscallError)
    -> [UInt8]?
  {
    try at(site, "lgetxattr", path) { () throws(SyscallError) in
      try real.attribute(name, of: path, at: site)
    }
  }

  package func setAttribute(_ name: String, to value: [UInt8], of path: RelativePath, at site: CallSite)
    throws(SyscallError)
  {
    try at(site, "lsetxattr", path) { () throws(SyscallError) in
      try real.setAttribute(name, to: value, of: path, at: site)
    }
  }

  package func setTimes(of path: RelativePath, modified: FileTime, accessed: FileTime, at site: CallSite)
    throws(SyscallError)
  {
    try at(site, "utimensat", path) { () throws(SyscallError) in
      try real.setTimes(of: path, modified: modified, accessed: accessed, at: site)
    }
  }

  package func setOwner(of path: RelativePath, owner: UInt32, group: UInt32, at site: CallSite)
    throws(SyscallError)
  {
    try at(site, "fchownat", path) { () throws(SyscallError) in
      try real.setOwner(of: path, owner: owner, group: group, at: site)
    }
  }

  package func space(at site: CallSite) throws(SyscallError) -> FileSystemSpace {
    try at(site, "fstatfs", .root) { () throws(SyscallError) in try real.space(at: site) }
  }

  package var isShared: Bool { real.isShared }

  package func sight(at site: CallSite) throws(SyscallError) -> Sight {
    try at(site, "read", .root) { () throws(SyscallError) in try real.sight(at: site) }
  }

  package func isHeldOpen(_ path: RelativePath, at site: CallSite) throws(SyscallError) -> Bool {
    try at(site, "lgetxattr", path) { () throws(SyscallError) in try real.isHeldOpen(path, at: site) }
  }

  private func at<Value>(
    _ site: CallSite, _ call: String, _ path: RelativePath, _ body: () throws(SyscallError) -> Value
  ) throws(SyscallError) -> Value {
    try faults.perform(site, call, path.escaped, body)
  }
}

final class FaultInjectingOpenFile: OpenFile {
  private let real: any OpenFile
  private let path: String
  private let faults: FaultPlan

  init(_ real: any OpenFile, _ path: String, _ faults: FaultPlan) {
    self.real = real
    self.path = path
    self.faults = faults
  }

  var rawDescriptor: Int32 { real.rawDescriptor }

  func status(at site: CallSite) throws(SyscallError) -> FileStatus {
    try at(site, "statx") { () throws(SyscallError) in try real.status(at: site) }
  }

  func read(into buffer: UnsafeMutableRawBufferPointer, offset: Int64, at site: CallSite)
    throws(SyscallError) -> Int
  {
    try at(site, "pread") { () throws(SyscallError) in
      try real.read(into: buffer, offset: offset, at: site)
    }
  }

  func write(_ buffer: UnsafeRawBufferPointer, offset: Int64, at site: CallSite) throws(SyscallError) {
    try at(site, "pwrite") { () throws(SyscallError) in try real.write(buffer, offset: offset, at: site) }
  }

  func dataRange(from offset: Int64, at site: CallSite) throws(SyscallError) -> Range<Int64>? {
    try at(site, "lseek") { () throws(SyscallError) in try real.dataRange(from: offset, at: site) }
  }

  func truncate(to size: Int64, at site: CallSite) throws(SyscallError) {
    try at(site, "ftruncate") { () throws(SyscallError) in try real.truncate(to: size, at: site) }
  }

  func freeContent(at site: CallSite) throws(SyscallError) {
    try at(site, "fallocate") { () throws(SyscallError) in try real.freeContent(at: site) }
  }

  func sync(at site: CallSite) throws(SyscallError) {
    try at(site, "fsync") { () throws(SyscallError) in try real.sync(at: site) }
  }

  func attributes(at site: CallSite) throws(SyscallError) -> [ExtendedAttribute] {
    try at(site, "flistxattr") { () throws(SyscallError) in try real.attributes(at: site) }
  }

  func attribute(_ name: String, at site: CallSite) throws(SyscallError) -> [UInt8]? {
    try at(site, "fgetxattr") { () throws(SyscallError) in try real.attribute(name, at: site) }
  }

  func setAttribute(_ name: String, to value: [UInt8], at site: CallSite) throws(SyscallError) {
    try at(site, "fsetxattr") { () throws(SyscallError) in
      try real.setAttribute(name, to: value, at: site)
    }
  }

  func removeAttribute(_ name: String, at site: CallSite) throws(SyscallError) {
    try at(site, "fremovexattr") { () throws(SyscallError) in try real.removeAttribute(name, at: site) }
  }

  func setMode(_ mode: UInt16, at site: CallSite) throws(SyscallError) {
    try at(site, "fchmod") { () throws(SyscallError) in try real.setMode(mode, at: site) }
  }

  func setOwner(_ owner: UInt32, group: UInt32, at site: CallSite) throws(SyscallError) {
    try at(site, "fchown") { () throws(SyscallError) in try real.setOwner(owner, group: group, at: site) }
  }

  func setTimes(modified: FileTime, accessed: FileTime, at site: CallSite) throws(SyscallError) {
    try at(site, "futimens") { () throws(SyscallError) in
      try real.setTimes(modified: modified, accessed: accessed, at: site)
    }
  }

  func takeLease(_ lease: Lease, at site: CallSite) throws(SyscallError) {
    try at(site, "fcntl") { () throws(SyscallError) in try real.takeLease(lease, at: site) }
  }

  func leaseIsUndisturbed(at site: CallSite) throws(SyscallError) -> Bool {
    try at(site, "fcntl") { () throws(SyscallError) in try real.leaseIsUndisturbed(at: site) }
  }

  func dropLease(at site: CallSite) throws(SyscallError) {
    try at(site, "fcntl") { () throws(SyscallError) in try real.dropLease(at: site) }
  }

  func close() { real.close() }

  private func at<Value>(_ site: CallSite, _ call: String, _ body: () throws(SyscallError) -> Value)
    throws(SyscallError) -> Value
  {
    try faults.perform(site, call, path, body)
  }
}
