import TierCore

extension PolicySet {
  /// How long the trash keeps a deleted or replaced copy; nil: not at all. What no policy governs any more is
  /// kept as long as the default policy would.
  func keepDeleted(volume: String, path: RelativePath, size: Int64) -> Duration? {
    guard case .governed(let policy) = decide(volume: volume, path: path, size: size) else {
      return Self.defaultRetention
    }
    return policy.keepDeleted
  }

  static let defaultRetention = Duration.seconds(30 * 24 * 3600)
}
