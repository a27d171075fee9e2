/// The text of a symbolic link that stands for a released file.
///
/// With a mount path it is the copy's place there, so that an open reads the NAS; without one it dangles and
/// tells a person where the content is: `tierd:<target>/<path on the target>#<archive id>`.
package struct StubLink: Hashable, Sendable {
  package var target: String
  /// Below the target's root.
  package var path: RelativePath
  package var archiveID: ArchiveID

  package init(target: String, path: RelativePath, archiveID: ArchiveID) {
    self.target = target
    self.path = path
    self.archiveID = archiveID
  }

  /// The kernel's limit on the text of a link.
  package static let limit = 4095
  private static let scheme = Array("tierd:".utf8)

  package func text(mountPath: String?) throws(TierError) -> [UInt8] {
    let text =
      if let mountPath {
        Array(mountPath.utf8) + [.slash] + path.bytes
      } else {
        Self.scheme + Array(target.utf8) + [.slash] + path.bytes + Array("#\(archiveID)".utf8)
      }
    guard text.count <= Self.limit else {
      throw TierError(
        .unsupported, "its path is too long for a symbolic link (\(text.count) bytes, \(Self.limit) fit)",
        path: path.escaped)
    }
    return text
  }

  /// Nil for every text that isn't a dangling stub's. One with a mount path is known by its attribute only.
  package static func parse(_ text: [UInt8]) -> StubLink? {
    guard text.starts(with: scheme), text.count <= limit, let mark = text.lastIndex(of: UInt8(ascii: "#")),
      let slash = text.firstIndex(of: .slash), slash < mark, slash > scheme.count,
      let target = String(validating: text[scheme.count..<slash], as: UTF8.self),
      let path = RelativePath(Array(text[(slash + 1)..<mark])), !path.isRoot,
      let id = ArchiveID(String(decoding: text[(mark + 1)...], as: UTF8.self)),
      text[(mark + 1)...].elementsEqual(id.description.utf8)
    else { return nil }
    return StubLink(target: target, path: path, archiveID: id)
  }
}
