import CLibNFS
import TierCore
import TierLinux

/// A NAS share spoken to by NFSv3 from user space: nothing is mounted, so nothing but tierd can reach the NAS,
/// nothing hangs in the kernel, and between windows there is no connection.
///
/// A MOUNT call makes a NAS write its system disk, and a Synology's system disk is all its disks. Hence the
/// export's root handle is remembered, and windows go straight to the NFS port; only where the handle is missing
/// or stale, one MOUNT call asks for a new one.
package struct NFSTarget: Target {
  package let name: String
  package let properties: TargetProperties
  private let share: Configuration.NFS
  private let timeout: Duration
  private let memory: TargetMemory
  private let notice: @Sendable (String) -> Void

  /// `notice` gets what a person should know once a window and that is no error.
  package init(
    name: String, share: Configuration.NFS, timeout: Duration, memory: TargetMemory,
    notice: @escaping @Sendable (String) -> Void = { _ in }
  ) {
    self.name = name
    self.share = share
    self.timeout = timeout
    self.memory = memory
    self.notice = notice
    let folder = share.folder.isRoot ? "" : "/" + share.folder.escaped
    // A server's answer to COMMIT isn't trusted: with an "asynchronous" export the disks follow much later.
    properties = TargetProperties(
      kind: "nfs", address: "nfs://\(share.host)\(share.export)\(folder)", renames: true,
      publishesDurably: false, holdsConnection: true)
  }

  package func connect() throws(TierError) -> any TargetSession {
    let server = try NFSServer.resolve(share.host)
    let connection = try NFSConnection(
      to: server, .nfs, port: share.port, owner: share.owner, group: share.group, timeout: timeout)
    do {
      let (root, limits) = try openExport(connection)
      let base = try openFolder(connection, root)
      let tree = NFSTree(connection, root: base)
      let instance = try prepare(connection, tree, limits)
      return try NFSSession(
        connection, tree: tree, limits: limits, instance: instance, address: properties.address,
        notice: notice)
    } catch {
      connection.close()
      throw error
    }
  }

  // MARK: The export's root

  private var handleKey: String { "nfs.root:\(share.host):\(share.export)" }

  private func openExport(_ connection: NFSConnection) throws(TierError) -> (NFSHandle, NFSLimits) {
    if let known = memory.load(handleKey).flatMap(NFSHandle.init) {
      switch try connection.wait({ connection.fileSystemLimits(known, then: $0) }) {
      case .success(let limits): return (known, limits)
      case .failure(let refusal) where !refusal.status.isStaleHandle:
        throw denied(refusal, connection) ?? TierError(refusal, .root, at: properties.address)
      case .failure: memory.store(handleKey, nil)
      }
    }
    let handle = try mount(connection.server)
    switch try connection.wait({ connection.fileSystemLimits(handle, then: $0) }) {
    case .success(let limits):
      memory.store(handleKey, handle.bytes)
      return (handle, limits)
    case .failure(let refusal):
      throw denied(refusal, connection) ?? TierError(refusal, .root, at: properties.address)
    }
  }

  /// The folder below the export that is the target's root, made where it is missing.
  private func openFolder(_ connection: NFSConnection, _ root: NFSHandle) throws(TierError) -> NFSHandle {
    guard !share.folder.isRoot else { return root }
    let tree = NFSTree(connection, root: root)
    switch try tree.open([share.folder], making: true)[share.folder] {
    case .success(let directory?)?: return directory.handle
    case .failure(let refusal)?:
      throw denied(refusal, connection) ?? TierError(refusal, .root, at: properties.address)
    case .success(nil)?, nil: throw TierError(.internalFault, "no folder", path: properties.address)
    }
  }

  /// One connection of its own, for one call. UMNT would only make the server write again.
  private func mount(_ server: NFSServer) throws(TierError) -> NFSHandle {
    let connection = try NFSConnection(
      to: server, .mount, port: 0, owner: share.owner, group: share.group, timeout: timeout)
    defer { connection.close() }
    let answer = try connection.wait { connection.mount(share.export, then: $0) }
    switch answer {
    case .success(let handle): return handle
    case .failure(let refusal):
      let exports =
        refusal == .noSuchExport || refusal == .denied
        ? (try? connection.wait { connection.exports(then: $0) }) ?? [] : []
      throw refusal.error(
        share.export, exports: exports, hasPrivilegedPort: connection.hasPrivilegedPort,
        at: properties.address)
    }
  }

  private func denied(_ refusal: NFSRefusal, _ connection: NFSConnection) -> TierError? {
    guard refusal.status.isDenial, !connection.hasPrivilegedPort else { return nil }
    return TierError(
      .targetDenied, "the server denies it: " + NFSServer.privilegedPort, path: properties.address,
      cause: "\(refusal.procedure): \(refusal.status)")
  }

  // MARK: What tierd keeps there

  private var preparedKey: String { "nfs.prepared:\(properties.address)" }

  /// Checks or makes `.tierd/`, and returns the server's write verifier.
  ///
  /// It is asked for by a COMMIT of the format file: that file is long on disk, so nothing is written.
  private func prepare(_ connection: NFSConnection, _ tree: NFSTree, _ limits: NFSLimits) throws(TierError)
    -> UInt64
  {
    let session = try NFSSession(
      connection, tree: tree, limits: limits, instance: 0, address: properties.address, notice: notice)
    if let text = try session.readRecord(TargetLayout.format, limit: TargetLayout.formatLimit) {
      try TargetLayout.checkFormat(text, at: properties.address)
    } else {
      try makeFormat(session)
    }
    memory.store(preparedKey, [1])
    _ = try session.directory(TargetLayout.temporary)
    let format = try session.find(TargetLayout.format)
    switch try connection.wait({ connection.commit(format, then: $0) }) {
    case .success(let verifier): return verifier
    case .failure(let refusal): throw TierError(refusal, TargetLayout.format, at: properties.address)
    }
  }

  /// A target that was prepared before and now isn't is most likely a NAS whose disk isn't there: an empty folder
  /// that must not be filled.
  private func makeFormat(_ session: NFSSession) throws(TierError) {
    guard memory.load(preparedKey) == nil else {
      throw TierError(
        .targetUnreachable,
        "this share was target \(name), but its \(TargetLayout.format) is gone: most likely the NAS's disk is not in "
          + "place. If it was emptied on purpose, write \"tierd target format \(TargetLayout.formatVersion)\" into "
          + "\(TargetLayout.format)",
        path: properties.address, disposition: .retry)
    }
    try session.writeRecord(TargetLayout.formatText, to: TargetLayout.format)
  }
}
