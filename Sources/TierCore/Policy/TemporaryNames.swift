/// Files that are about to be renamed or to vanish: never archived, whatever the policies say, unless an
/// exception (`!pattern`) takes that back.
package enum TemporaryNames {
  /// Matched against the file's own name. Reviewed for names that people keep: `*.bak` and `*.old` aren't here.
  package static let patterns = [
    // Editors and office programs: swap, backup and lock files.
    "*~", ".*.sw[a-p]", "#*#", ".#*", "~$*", ".~lock.*#", ".goutputstream-*",
    // Downloads and uploads under way.
    "*.part", "*.partial", "*.filepart", "*.crdownload", "*.opdownload", "*.!qB", "*.!ut", "*.aria2",
    // Written, then renamed.
    "*.tmp", "*.temp",
  ]

  /// Matched as paths in the volume; no exception takes them back. They are tierd's own, or the kernel's names
  /// for open files that were deleted, or what `fsck` found.
  package static let reservedPatterns = [
    "/.tierd/", ".tierd-*", ".nfs????????????????????????", ".fuse_hidden*", ".smbdelete*", "/lost+found/",
  ]

  /// rsync's temporary `.NAME.XXXXXX`, which no pattern can tell from `.NAME.config`.
  package static let rsyncPattern = ".*.XXXXXX (rsync)"

  private static let names = compile(patterns)
  private static let reserved = compile(reservedPatterns)

  private static func compile(_ patterns: [String]) -> [Glob] {
    patterns.map {
      do { return try Glob($0) } catch { preconditionFailure("built-in pattern \($0): \(error)") }
    }
  }

  /// The pattern that makes the path one that tierd never touches.
  static func reservedPattern(of path: SplitPath) -> String? {
    // Nearly all names start otherwise: one look at each component's first byte.
    for index in 0..<path.count {
      let first = path.bytes[path.range(index).lowerBound]
      if first == .dot || first == UInt8(ascii: "l") {
        return reserved.first { $0.matches(path, below: 0) }?.text
      }
    }
    return nil
  }

  /// The pattern that makes the file a temporary one.
  static func temporaryPattern(of path: SplitPath) -> String? {
    guard path.count > 0 else { return nil }
    if let pattern = names.first(where: { $0.matches(path, below: path.count - 1) }) { return pattern.text }
    return isRsyncTemporary(path.bytes, path.range(path.count - 1)) ? rsyncPattern : nil
  }

  /// A dot, a name, a dot, and six letters or digits of which some, not all, are digits or capitals: what
  /// mkstemp makes in 99.5 of 100 cases, and people hardly ever.
  private static func isRsyncTemporary(_ bytes: [UInt8], _ name: Range<Int>) -> Bool {
    guard name.count >= 9, bytes[name.lowerBound] == .dot, bytes[name.upperBound - 7] == .dot else {
      return false
    }
    var digits = 0
    var capitals = 0
    for byte in bytes[(name.upperBound - 6)..<name.upperBound] {
      switch byte {
      case 0x30...0x39: digits += 1
      case 0x41...0x5A: capitals += 1
      case 0x61...0x7A: break
      default: return false
      }
    }
    return digits + capitals > 0 && digits < 6
  }
}
