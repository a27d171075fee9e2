import Synchronization
import TierCore
import TierGuard

/// Whether a volume can hold placeholders, and whether it may hold some already.
extension Volume {
  /// Where it may: a lost catalog doesn't lose that, and the guard finds it before tierd has started.
  private static let note = PlaceholderNote.path

  /// Then its guard is needed, whatever the policies say now.
  static func hasPlaceholders(_ files: any FileSystem) throws(TierError) -> Bool {
    try wrapping("while looking for its note of placeholders") { () throws(SyscallError) in
      try files.status(of: note, at: "placeholders.note") != nil
    }
  }

  package func hasPlaceholders() throws(TierError) -> Bool { try Self.hasPlaceholders(files) }

  /// Durably, before the first one is made.
  func notePlaceholders() throws(TierError) {
    if placeholdersAreNoted.load(ordering: .relaxed) { return }
    try wrapping("while noting that it will hold placeholders") { () throws(SyscallError) in
      if try files.status(of: Self.note, at: "placeholders.note") == nil {
        try files.open(Self.note, .create(mode: 0o600), at: "placeholders.create").close()
      }
      try files.syncDirectory(Self.ownFolder, at: "placeholders.sync")
    }
    placeholdersAreNoted.store(true, ordering: .relaxed)
  }

  /// Why its file system can't free a file's blocks and keep its size; nil where it can.
  static func obstacleToPlaceholders(_ files: any FileSystem) throws(TierError) -> String? {
    do throws(SyscallError) {
      try? files.unlink(probe, at: "placeholders.probe.clear")
      let file = try files.open(probe, .create(mode: 0o600), at: "placeholders.probe")
      defer {
        file.close()
        try? files.unlink(probe, at: "placeholders.probe.unlink")
      }
      try file.freeContent(at: "placeholders.probe.free")
      return nil
    } catch {
      guard error.isUnsupported else { throw TierError(error, while: "trying to free a file's blocks") }
      return "its file system can't free a file's blocks (fallocate)"
    }
  }
}
