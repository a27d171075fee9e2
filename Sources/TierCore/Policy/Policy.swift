/// What a policy file says: which subtree of which volume, when to archive, when to release.
package struct Policy: Hashable, Sendable {
  package var name: String
  /// The configured volume's name.
  package var volume: String
  /// The governed subtree.
  package var path: RelativePath
  /// Nil: the configuration's only or default target.
  package var target: String?
  /// Breaks the tie between policies for the very same path: the higher one wins.
  package var priority: Int
  /// What the policy is about and what it leaves alone; see `PolicySet`.
  package var rules: [PathRule]
  /// Sizes that the policy applies to, in bytes; nil: no bound.
  package var minimumSize: Int64?
  package var maximumSize: Int64?
  package var archive: Archive
  package var release: Release
  /// Archived, but never released.
  package var pin: Bool
  /// How long the target's trash keeps what apps deleted or replaced (`Duration.forever`: always); nil: it goes
  /// at once.
  package var keepDeleted: Duration?
  package var restore: Restore

  package struct Archive: Hashable, Sendable {
    /// The age (since the last change) from which on a file may be archived.
    package var after: Duration
    /// How much longer it may then wait for a window.
    package var within: Duration

    package init(after: Duration, within: Duration) {
      self.after = after
      self.within = within
    }
  }

  package struct Release: Hashable, Sendable {
    /// The time since the last use from which on an archived file leaves the cache; nil: only by the high
    /// watermark or by hand.
    package var after: Duration?
    /// Smaller files stay: a stub would save nothing. Bytes.
    package var keepBelow: Int64

    package init(after: Duration?, keepBelow: Int64) {
      self.after = after
      self.keepBelow = keepBelow
    }
  }

  package struct Restore: Hashable, Sendable {
    package var mode: RestoreMode
    /// How long a restored file stays in the cache at least, also where that is full.
    package var stay: Duration
    package var refuse: RefusedProcesses
    /// So many recalls a minute may one process cause; more are refused.
    package var perMinute: Int

    package init(
      mode: RestoreMode = .auto, stay: Duration = .seconds(24 * 3600),
      refuse: RefusedProcesses = RefusedProcesses(), perMinute: Int = 1000
    ) {
      self.mode = mode
      self.stay = stay
      self.refuse = refuse
      self.perMinute = perMinute
    }
  }

  package init(
    name: String, volume: String, path: RelativePath, target: String? = nil, priority: Int = 0,
    rules: [PathRule] = [], minimumSize: Int64? = nil, maximumSize: Int64? = nil,
    archive: Archive = Archive(after: .seconds(3600), within: .seconds(24 * 3600)),
    release: Release = Release(after: .seconds(30 * 24 * 3600), keepBelow: 64 << 10), pin: Bool = false,
    keepDeleted: Duration? = .seconds(30 * 24 * 3600), restore: Restore = Restore()
  ) {
    self.name = name
    self.volume = volume
    self.path = path
    self.target = target
    self.priority = priority
    self.rules = rules
    self.minimumSize = minimumSize
    self.maximumSize = maximumSize
    self.archive = archive
    self.release = release
    self.pin = pin
    self.keepDeleted = keepDeleted
    self.restore = restore
  }
}

/// What a release leaves, and how the content comes back.
package enum RestoreMode: String, CaseIterable, Hashable, Sendable {
  /// `guard` where one can stand, else `link`.
  case auto
  /// A placeholder: whoever opens it waits, and gets the content.
  case `guard`
  /// A link into the target's mount.
  case link
  /// A link; released and restored by hand only.
  case manual
}

/// One line of `include` or `exclude`. Matches relative to the policy's path.
package struct PathRule: Hashable, Sendable {
  package enum Effect: Hashable, Sendable {
    /// Picks files. Without any `include` the policy is about all files in its subtree.
    case include
    /// Leaves files where they are. Of the exclusions and exceptions that match, the last one decides.
    case exclude
    /// `!pattern` under `exclude`: takes an earlier exclusion back, a built-in one for temporary files too.
    case except
  }
  package var effect: Effect
  package var glob: Glob

  package init(_ effect: Effect, _ glob: Glob) {
    self.effect = effect
    self.glob = glob
  }
}
