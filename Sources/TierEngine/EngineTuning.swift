import TierCore

/// Bounds and delays of the engine that no user needs to know. Tests and the demo shorten them.
package struct EngineTuning: Hashable, Sendable {
  /// Files and bytes of one batch: what is in flight together, journaled together and lost together.
  package var batchFiles: Int
  package var batchBytes: Int64
  /// A released file's old inode stays under a hidden name so long, for a writer that had already looked it up.
  package var linger: Duration
  /// How old a copy must be before a later window may call it proven: longer than a server keeps unwritten data.
  package var proofDelay: Duration
  /// A name that vanished is taken for deleted when it is still missing after this time: it may be on its way.
  package var missingGrace: Duration
  /// A file found busy or changing is tried again after this time.
  package var busyRetry: Duration
  /// A restore leaves at least this much of the volume free. Bytes.
  package var reserve: Int64
  /// How long the restores of one batch wait until colder files made room for them.
  package var roomPatience: Duration
  /// The part of the time that a scan without doubt may take.
  package var backgroundScanShare: Double
  /// While a window is open, files that fall due this soon ride along.
  package var settlingGrace: Duration
  /// After an app's recall the connection is kept so long for the next one: a search through a folder is one wake of
  /// the NAS, not a thousand.
  package var recallGrace: Duration
  /// The longest back-off after failed windows.
  package var longestRetry: Duration

  package init(
    batchFiles: Int = 256, batchBytes: Int64 = 256 << 20, linger: Duration = .seconds(2),
    proofDelay: Duration = .seconds(120), missingGrace: Duration = .seconds(10),
    busyRetry: Duration = .seconds(60), reserve: Int64 = 64 << 20, roomPatience: Duration = .seconds(8),
    backgroundScanShare: Double = 0.05, settlingGrace: Duration = .seconds(10),
    recallGrace: Duration = .seconds(2), longestRetry: Duration = .seconds(3600)
  ) {
    self.batchFiles = batchFiles
    self.batchBytes = batchBytes
    self.linger = linger
    self.proofDelay = proofDelay
    self.missingGrace = missingGrace
    self.busyRetry = busyRetry
    self.reserve = reserve
    self.roomPatience = roomPatience
    self.backgroundScanShare = backgroundScanShare
    self.settlingGrace = settlingGrace
    self.recallGrace = recallGrace
    self.longestRetry = longestRetry
  }
}
