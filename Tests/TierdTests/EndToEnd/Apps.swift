import Glibc
import Testing
import TierCore
import TierLinux
import TierTestSupport

/// Apps that write a tree in all the ways in which apps write.
struct Apps {
  private enum Way: Int, CaseIterable {
    /// Before tierd runs: only a scan can find it.
    case before
    case plainly
    /// Written under another name, then renamed, as editors and downloads do.
    case renamed
    /// Replaces an older file of the name.
    case replaced
    /// Written twice.
    case rewritten
    /// Renamed when tierd knows it already.
    case renamedLater
    /// Written again when tierd knows it already.
    case rewrittenLater
  }

  private let tree: MixedTree
  private let files: LinuxFileSystem
  private let root: String

  init(_ tree: MixedTree, in root: String) throws {
    self.tree = tree
    self.root = root
    files = try LinuxFileSystem(root: root)
  }

  /// Most of them plainly.
  private func way(_ index: Int) -> Way { Way(rawValue: index % 20) ?? .plainly }

  private func each(_ ways: Way..., body: (MixedTree.File) throws -> Void) throws {
    for (index, file) in tree.files.enumerated() where ways.contains(way(index)) { try body(file) }
  }

  func writeWhileNobodyWatches() throws {
    try each(.before) { try tree.write($0, at: early($0.path), in: files) }
    // For sockets and what else is made by absolute paths.
    for folder in ["kept", "young", "nobodys"] { mkdir("\(root)/\(folder)", 0o755) }
  }

  func write() throws {
    try each(.plainly) { try tree.write($0, at: early($0.path), in: files) }
    try each(.renamed) { file in
      let draft = sibling(of: early(file.path), "download.part")
      try tree.write(file, at: draft, in: files)
      try files.rename(draft, to: early(file.path), .replace, at: "test.rename")
    }
    try each(.replaced) { file in
      try tree.write(file, at: early(file.path), as: 5000, in: files)
      let draft = sibling(of: early(file.path), ".new")
      try tree.write(file, at: draft, in: files)
      try files.rename(draft, to: early(file.path), .replace, at: "test.rename")
    }
    try each(.rewritten) { file in
      try tree.write(file, at: early(file.path), as: 300_000, in: files)
      try tree.rewrite(file, at: early(file.path), in: files)
    }
    try each(.renamedLater) { try tree.write($0, at: sibling(of: early($0.path), "draft"), in: files) }
    try each(.rewrittenLater) { try tree.write($0, at: early($0.path), as: 100_000, in: files) }
    for path in doomed { try files.put(early(path), "soon deleted") }
  }

  /// When tierd knows all that.
  func changeTheirMinds() throws {
    try files.rename(Self.draftFolder, to: Self.folder, .replace, at: "test.rename")
    try each(.renamedLater) {
      try files.rename(sibling(of: $0.path, "draft"), to: $0.path, .keepExisting, at: "test.rename")
    }
    try each(.rewrittenLater) { try tree.rewrite($0, at: $0.path, in: files) }
    for path in doomed { try files.unlink(path, at: "test.unlink") }
  }

  private var doomed: [RelativePath] { (0..<20).map { at("tree/group\($0)/doomed") } }

  /// One folder, with all in it, gets its name only when tierd knows it.
  private static let folder = at("tree/group7")
  private static let draftFolder = at("tree/draft of group7")

  private func early(_ path: RelativePath) -> RelativePath {
    path.relative(to: Self.folder).map { Self.draftFolder.appending($0) } ?? path
  }

  private func sibling(of path: RelativePath, _ name: String) -> RelativePath {
    let digest = (path.name?.bytes ?? []).reduce(UInt64(0)) { $0 &* 31 &+ UInt64($1) }
    return path.parent.appending(FileName("\(digest) \(name)")!)
  }
}
