/// A path pattern in the manner of gitignore, matched against a path's bytes relative to the policy's folder.
///
/// - `*` any run within one name, `?` one character, `[a-z]` `[!a-z]` one character of a set; none meets a `/`.
/// - `**` between slashes: any number of folders, none included.
/// - Without a slash (a trailing one aside) the pattern holds at any depth, else from the policy's folder on;
///   a leading slash only says so.
/// - A pattern that names a folder takes everything below it; with a trailing slash it names folders only.
/// - `\` takes the next character as it is, `\xNN` is one byte: names as tierd prints them are patterns.
///
/// A character is a Unicode scalar; bytes that aren't UTF-8 count one each. Matching takes time in proportion to
/// pattern times path at worst, and no memory.
package struct Glob: Hashable, Sendable {
  /// As written.
  package let text: String
  /// The first component that a match may start at is also the last one.
  private let isAnchored: Bool
  private let namesFoldersOnly: Bool
  private let segments: [Segment]

  enum Segment: Sendable {
    case anyFolders
    case name(NamePattern)
  }

  package init(_ text: String) throws(GlobError) {
    var parser = GlobParser(text)
    let parsed = try parser.parse()
    self.text = text
    isAnchored = parsed.isAnchored
    namesFoldersOnly = parsed.namesFoldersOnly
    segments = parsed.segments
  }

  /// True where the pattern matches the file or a folder above it. `path` is that of a file; the root never
  /// matches.
  package func matches(_ path: RelativePath) -> Bool {
    matches(SplitPath(path), below: 0)
  }

  /// As `matches(_:)`, with the path's first `depth` components taken off.
  func matches(_ path: SplitPath, below depth: Int) -> Bool {
    let limit = namesFoldersOnly ? path.count - 1 : path.count
    guard depth < path.count, depth <= limit else { return false }
    if isAnchored { return matchesPrefix(of: path, from: depth, limit: limit) }
    guard case .name(let pattern)? = segments.first else { return false }
    for index in depth..<limit where pattern.matches(path.bytes, path.range(index)) { return true }
    return false
  }

  /// True where the segments match the components from `start` up to some component before `limit`. Goes back to
  /// the last `**` only, which is enough: an earlier one could only yield what a later one can swallow as well.
  private func matchesPrefix(of path: SplitPath, from start: Int, limit: Int) -> Bool {
    var segment = 0
    var component = start
    var resume: (segment: Int, component: Int)?
    while segment < segments.count {
      switch segments[segment] {
      case .anyFolders:
        segment += 1
        resume = (segment, component)
        continue
      case .name(let pattern):
        if component < limit, pattern.matches(path.bytes, path.range(component)) {
          segment += 1
          component += 1
          continue
        }
      }
      guard let last = resume, last.component < limit else { return false }
      resume = (last.segment, last.component + 1)
      segment = last.segment
      component = last.component + 1
    }
    return true
  }

  package static func == (left: Glob, right: Glob) -> Bool { left.text == right.text }
  package func hash(into hasher: inout Hasher) { hasher.combine(text) }
}

/// Why a text isn't a pattern.
package struct GlobError: Error, Hashable, Sendable, CustomStringConvertible {
  /// Unicode scalars before the place in the text.
  package var position: Int
  /// What is wrong there, with the way out.
  package var description: String
}

/// A path cut at its slashes once, for many patterns.
struct SplitPath {
  let bytes: [UInt8]
  private let ends: [Int]

  init(_ path: RelativePath) { self.init(bytes: path.bytes) }

  /// `bytes` has no slash in front.
  init(bytes: [UInt8]) {
    self.bytes = bytes
    var ends: [Int] = []
    ends.reserveCapacity(12)
    for index in bytes.indices where bytes[index] == .slash { ends.append(index) }
    if !bytes.isEmpty { ends.append(bytes.count) }
    self.ends = ends
  }

  var count: Int { ends.count }

  func range(_ index: Int) -> Range<Int> {
    (index == 0 ? 0 : ends[index - 1] + 1)..<ends[index]
  }
}
