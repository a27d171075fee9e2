import TierCore

/// A walk over the whole volume, one directory a step, depth first in byte order, so that one path says how far
/// it got: a restart goes on from there.
struct Scan {
  /// Why it runs; empty for the routine one.
  let reason: String
  let startedAt: Timestamp
  private(set) var directories = 0
  private(set) var files = 0
  private(set) var position: RelativePath?
  private var waiting: [RelativePath]
  private let resumeAfter: RelativePath?

  init(
    reason: String, startedAt: Timestamp, from root: RelativePath = .root, resumeAfter: RelativePath? = nil
  ) {
    self.reason = reason
    self.startedAt = startedAt
    self.resumeAfter = resumeAfter
    waiting = [root]
  }

  var isFinished: Bool { waiting.isEmpty }

  /// As many directories as a moment allows, written down in one transaction: a sync of the disk for each would
  /// make the first scan of a large volume take minutes. Where it fails, the scan stands where it stood.
  ///
  /// `leaveAlone` is told of a directory that can't be read, and throws where that ends the scan.
  mutating func portion(
    _ reconciler: Reconciler, leaveAlone: (RelativePath, TierError) throws(TierError) -> Void
  ) throws(TierError) {
    let (before, clock) = (self, reconciler.volume.clock)
    let end = clock.monotonic + .milliseconds(50)
    do throws(TierError) {
      try reconciler.volume.committingTogether { () throws(TierError) in
        repeat {
          try step(reconciler, leaveAlone)
        } while !isFinished && clock.monotonic < end && directories - before.directories < 1000
      }
    } catch {
      self = before
      throw error
    }
  }

  private mutating func step(
    _ reconciler: Reconciler, _ leaveAlone: (RelativePath, TierError) throws(TierError) -> Void
  ) throws(TierError) {
    guard let path = waiting.popLast() else { return }
    var outcome: Reconciler.Outcome?
    do throws(TierError) {
      outcome = try reconciler.directory(path)
    } catch {
      try leaveAlone(path, error)
    }
    directories += 1
    files += outcome?.files ?? 0
    position = path
    var next = outcome?.subdirectories ?? []
    if let resumeAfter, resumeAfter != path, let rest = resumeAfter.relative(to: path),
      let component = rest.components.first
    {
      next.removeAll { $0.bytes.lexicographicallyPrecedes(component.bytes) }
    }
    waiting += next.reversed().map { path.appending($0) }
  }
}
