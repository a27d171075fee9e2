import Synchronization
import TierCore
import TierLinux

/// A target behind the real rsync program: a daemon's module, or a folder by way of ssh.
///
/// The protocol copies, compares, lists and deletes; it neither renames nor hashes nor stages. So a publication
/// copies straight to the final name (by a temporary in `.tierd/tmp`), and is compared afterwards by a second pass;
/// what stood there moves by `--backup`; a copy goes to the trash by a deletion with `--backup-dir`. Only what
/// rsync 3.0 servers understand is needed; `--fsync` is used where the server knows it.
package final class RsyncTarget: Target {
  package let name: String
  private let program: RsyncProgram
  private let scratchDirectory: String
  private let memory: TargetMemory
  private let isScratchPrepared = Mutex(false)

  private static let preparedKey = "rsync.prepared"

  /// `scratchDirectory` is this target's alone, on this machine, with room for the largest single file that is
  /// fetched; its last component is made. `extraOptions` are for tests of old protocols.
  package init(
    name: String, settings: Configuration.Rsync, timeout: Duration, scratchDirectory: String,
    memory: TargetMemory, extraOptions: [String] = []
  ) {
    self.name = name
    self.scratchDirectory = scratchDirectory
    self.memory = memory
    program = RsyncProgram(settings, timeout: timeout, extraOptions: extraOptions)
  }

  package var properties: TargetProperties {
    TargetProperties(kind: "rsync", address: program.address, renames: false, publishesDurably: false)
  }

  package func connect() throws(TierError) -> any TargetSession {
    try checkFolder()
    try prepareScratch()
    let session = RsyncSession(
      program: program, scratch: try RsyncScratch(in: scratchDirectory), address: program.address)
    do throws(TierError) {
      try open(session)
    } catch {
      session.close()
      throw error
    }
    return session
  }

  /// What a crash of an earlier run left goes once, before the first window.
  private func prepareScratch() throws(TierError) {
    do {
      try isScratchPrepared.withLock { isPrepared in
        guard !isPrepared else { return }
        try RsyncScratch.prepare(scratchDirectory)
        isPrepared = true
      }
    } catch let error as TierError { throw error } catch {
      throw TierError(.internalFault, "\(error)")
    }
  }

  private func checkFolder() throws(TierError) {
    let magic = Set("*?[\\".utf8)
    let path: String
    switch program.settings.transport {
    case .daemon(_, let module, _): path = module
    case .ssh(_, let folder, _, _): path = folder
    }
    guard !path.utf8.contains(where: magic.contains) else {
      throw TierError(
        .badConfiguration,
        "rsync servers take * ? [ and \\ in a module's name or path for patterns: use one without them",
        path: program.address)
    }
  }

  /// One connection where all is in place.
  private func open(_ session: RsyncSession) throws(TierError) {
    let isPrepared = memory.load(Self.preparedKey) != nil
    let found = try session.readFormat()
    if let format = found.format {
      try TargetLayout.checkFormat(format, at: program.address)
      if !found.hasTemporary { try session.writeSkeleton(withFormat: false) }
    } else {
      guard !isPrepared else {
        throw TierError(
          .targetUnreachable,
          "this folder was target \(name), but its .tierd/format is gone: most likely the server's disk is not "
            + "mounted. Mount it; if it was emptied on purpose, write \"tierd target format "
            + "\(TargetLayout.formatVersion)\" into .tierd/format",
          path: program.address, disposition: .retry)
      }
      try session.writeSkeleton(withFormat: true)
    }
    memory.store(Self.preparedKey, [1])
  }
}
