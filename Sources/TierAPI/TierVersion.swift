/// The version of everything in this package.
package enum TierVersion {
  package static let current = "0.1.0"
}
