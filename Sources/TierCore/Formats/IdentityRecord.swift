/// What a file or stub says of itself: the value of the extended attribute `trusted.tierd` (`user.tierd` where
/// tierd isn't privileged). It moves with the inode, so a renamed file is known again whatever its name.
///
/// One line of text: `tierd1 archived epoch=3 target=nas size=… mtime=…  mode=… owner=… group=… sha256=… id=…
/// path=…`, in this order, the path last and as escaped text (docs/formats.md).
package struct IdentityRecord: Hashable, Sendable {
  package var state: IdentityState
  package var epoch: Epoch
  package var target: String
  /// Below the target's root.
  package var path: RelativePath
  package var size: Int64
  package var modified: FileTime
  package var hash: ContentHash
  package var archiveID: ArchiveID
  package var mode: UInt16
  package var owner: UInt32
  package var group: UInt32

  package init(state: IdentityState, epoch: Epoch, copy: ArchivedCopy) {
    self.state = state
    self.epoch = epoch
    target = copy.target
    path = copy.path
    size = copy.size
    modified = copy.modified
    hash = copy.hash
    archiveID = copy.archiveID
    mode = copy.metadata.mode
    owner = copy.metadata.owner
    group = copy.metadata.group
  }

  static let version = "tierd1"
  private static let keys = [
    "epoch", "target", "size", "mtime", "mode", "owner", "group", "sha256", "id", "path",
  ]

  package var encoded: [UInt8] {
    let values = [
      "\(epoch.value)", EscapedText.encode(Array(target.utf8)), "\(size)", modified.decimalText,
      String(mode, radix: 8), "\(owner)", "\(group)", "\(hash)", "\(archiveID)", path.escaped,
    ]
    let fields = zip(Self.keys, values).map { "\($0)=\($1)" }
    return Array(([Self.version, state.rawValue] + fields).joined(separator: " ").utf8)
  }

  /// Throws `corruptRecord` for anything that `encoded` doesn't write, `unsupported` for a later version. What
  /// can't be read is left as it is.
  package static func parse(_ bytes: [UInt8]) throws(TierError) -> IdentityRecord {
    // By bytes, not characters: a path may begin with a combining accent, which would swallow the "=".
    let words = bytes.split(
      separator: UInt8(ascii: " "), maxSplits: keys.count + 1, omittingEmptySubsequences: false)
    guard let first = words.first, first.starts(with: "tierd".utf8) else {
      throw corrupt("it doesn't start with \(version)")
    }
    guard first.elementsEqual(version.utf8) else {
      throw TierError(
        .unsupported,
        "written by another version of tierd (\(EscapedText.encode(Array(first)))): upgrade tierd")
    }
    guard words.count == keys.count + 2 else { throw corrupt("it has \(words.count) fields") }
    var values: [String] = []
    for (key, word) in zip(keys, words.dropFirst(2)) {
      guard word.starts(with: "\(key)=".utf8) else { throw corrupt("\(key) is missing") }
      values.append(String(decoding: word.dropFirst(key.utf8.count + 1), as: UTF8.self))
    }
    // Numbers and escapes can be written in other ways than ours; what tierd wrote reads back to the same bytes.
    guard let record = IdentityRecord(state: String(decoding: words[1], as: UTF8.self), values),
      record.encoded == bytes
    else {
      throw corrupt("a value is wrong")
    }
    return record
  }

  private init?(state: String, _ values: [String]) {
    guard let state = IdentityState(rawValue: state), let epoch = Int64(values[0]),
      let target = EscapedText.decode(values[1]).flatMap({ String(validating: $0, as: UTF8.self) }),
      let size = Int64(values[2]), size >= 0, let modified = FileTime(decimalText: values[3]),
      let mode = UInt16(values[4], radix: 8), let owner = UInt32(values[5]), let group = UInt32(values[6]),
      let hash = ContentHash(values[7]), let id = ArchiveID(values[8]),
      let path = RelativePath(escaped: values[9])
    else { return nil }
    self.state = state
    self.epoch = Epoch(epoch)
    self.target = target
    self.path = path
    self.size = size
    self.modified = modified
    self.hash = hash
    archiveID = id
    self.mode = mode
    self.owner = owner
    self.group = group
  }

  private static func corrupt(_ why: String) -> TierError {
    TierError(.corruptRecord, "the identity attribute can't be read: \(why)")
  }
}

extension FileTime {
  /// Seconds since 1970 with nine decimals, exact: `-1.999999999` is one nanosecond before -1 + 1, as the kernel
  /// counts (the nanoseconds always add).
  package var decimalText: String {
    let digits = String(nanoseconds)
    return "\(seconds)." + String(repeating: "0", count: max(0, 9 - digits.count)) + digits
  }

  package init?(decimalText text: some StringProtocol) {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 2, parts[1].utf8.count == 9, let seconds = Int64(parts[0]),
      parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }), let nanoseconds = UInt32(parts[1])
    else { return nil }
    self.init(seconds: seconds, nanoseconds: nanoseconds)
  }
}
