import TierCore

/// Below the root of every volume that may hold placeholders: tells it from the folder that it is mounted on.
package enum PlaceholderNote {
  package static let path = RelativePath(".tierd/placeholders")!
}
