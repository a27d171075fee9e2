/// What tierd keeps on a target, and where. Everything else below the root is the users' plain files.
package enum TargetLayout {
  package static let folder = RelativePath(trusted: Array(".tierd".utf8))
  package static let format = RelativePath(trusted: Array(".tierd/format".utf8))
  /// Staged files, named by archive id. Whatever stands here between windows is garbage of a crash.
  package static let temporary = RelativePath(trusted: Array(".tierd/tmp".utf8))
  package static let trash = RelativePath(trusted: Array(".tierd/trash".utf8))
  /// Copies on their way to a new name that another copy has yet to leave. Never garbage: the catalog knows each.
  package static let parked = RelativePath(trusted: Array(".tierd/trash/parked".utf8))
  package static let manifest = RelativePath(trusted: Array(".tierd/manifest".utf8))

  /// Where a Synology keeps previews, in any folder; they go with the last file.
  package static let thumbnailFolder = FileName(trusted: Array("@eaDir".utf8))
  /// Folders that a NAS puts beside files by itself: neither listed nor counted as content.
  package static let foreignFolders: Set<FileName> = [
    thumbnailFolder, FileName(trusted: Array("#recycle".utf8)), FileName(trusted: Array("#snapshot".utf8)),
  ]

  /// Where the copy of a volume's file belongs: under its own name. Only what is named as the previews' folder, which
  /// is cleared with the last file beside it, gets another name: `@eaDir_` (and that one `@eaDir__`, and so on, so
  /// that no two become one).
  package static func place(of path: RelativePath, in volume: FileName) -> RelativePath {
    let place = RelativePath(volume).appending(path)
    // Nearly all paths.
    guard path.bytes.contains(thumbnailFolder.bytes[0]) else { return place }
    let names = place.components.map { name in
      let isTaken =
        name.bytes.starts(with: thumbnailFolder.bytes)
        && name.bytes.dropFirst(thumbnailFolder.bytes.count).allSatisfy { $0 == underscore }
      return isTaken ? name.bytes + [underscore] : name.bytes
    }
    return RelativePath(trusted: Array(names.joined(separator: [.slash])))
  }

  private static let underscore = UInt8(ascii: "_")

  /// The version that this tierd reads and writes.
  package static let formatVersion = 1
  package static let formatText = Array("tierd target format \(formatVersion)\n".utf8)
  /// No format file is longer, now or later.
  package static let formatLimit = 4096

  /// Refuses a target of a later version, or one whose format file is not ours; both stay untouched.
  package static func checkFormat(_ bytes: [UInt8], at address: String) throws(TierError) {
    let words =
      bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).first?
      .split(separator: UInt8(ascii: " ")).map { String(decoding: $0, as: UTF8.self) } ?? []
    guard words.count >= 4, words[0...2] == ["tierd", "target", "format"], let version = Int(words[3]),
      version > 0
    else {
      throw TierError(
        .corruptRecord,
        "this file should say \"tierd target format \(formatVersion)\" but does not: is the address right? If "
          + "the folder really is a target of tierd, restore the file's text",
        path: "\(address)/\(format)")
    }
    guard version <= formatVersion else {
      throw TierError(
        .unsupported,
        "this target was written by a newer tierd (format \(version), this one knows \(formatVersion)): "
          + "upgrade tierd; nothing was changed",
        path: "\(address)/\(format)")
    }
  }

  package static func recordTooLong(_ path: RelativePath, limit: Int, at address: String) -> TierError {
    TierError(
      .corruptRecord,
      "it is longer than \(limit) bytes: tierd wrote no such file; look at it, and move it away",
      path: "\(address)/\(path)")
  }

  /// Where somebody else's file goes that stands at a final name: `name.conflict-<suffix>` beside it. A name
  /// that would grow over the 255 bytes of a component loses its end (whole UTF-8 characters). `attempt` 2 and
  /// up give further names for when the first is taken.
  package static func conflictPath(of path: RelativePath, suffix: String, attempt: Int = 1) -> RelativePath {
    guard let name = path.name else { return path }
    let ending = Array((attempt > 1 ? ".conflict-\(suffix)-\(attempt)" : ".conflict-\(suffix)").utf8)
    let limit = max(1, 255 - ending.count)
    var length = min(name.bytes.count, limit)
    if length == limit, length < name.bytes.count {
      while length > max(1, limit - 3), name.bytes[length] & 0xC0 == 0x80 { length -= 1 }
    }
    let kept = Array(name.bytes[..<length])
    return path.parent.appending(FileName(trusted: kept + ending))
  }
}

/// What a target remembers of itself from one window to the next, kept by the caller (in the catalog): a cached
/// NFS root handle, that the target was once prepared. Keys are the target's own.
package struct TargetMemory: Sendable {
  package var load: @Sendable (_ key: String) -> [UInt8]?
  package var store: @Sendable (_ key: String, _ value: [UInt8]?) -> Void

  package init(
    load: @escaping @Sendable (String) -> [UInt8]?, store: @escaping @Sendable (String, [UInt8]?) -> Void
  ) {
    self.load = load
    self.store = store
  }

  /// Remembers nothing.
  package static let none = TargetMemory(load: { _ in nil }, store: { _, _ in })
}
