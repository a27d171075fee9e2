/// A path pattern in the manner of gitignore, matched against bytes.
package struct Glob: Hashable, Sendable {
  /// As written.
  package let text: String

  package init(_ text: String) { self.text = text }
}
