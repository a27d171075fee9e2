/// One line of a manifest on the target: what was done to one copy. From the manifests alone a volume can be
/// rebuilt, and checked without tierd (docs/formats.md).
package struct ManifestRecord: Hashable, Sendable {
  package enum Operation: String, Hashable, Sendable { case archive, remove, rename }

  package var operation: Operation
  /// Below the volume's root.
  package var path: RelativePath
  package var copy: ArchivedCopy
  package var epoch: Epoch
  package var at: Timestamp

  package init(operation: Operation, path: RelativePath, copy: ArchivedCopy, epoch: Epoch, at: Timestamp) {
    self.operation = operation
    self.path = path
    self.copy = copy
    self.epoch = epoch
    self.at = at
  }

  /// With its newline.
  package var encodedLine: [UInt8] {
    let metadata = copy.metadata
    var fields: [(String, JSONValue)] = [
      ("v", .integer(1)), ("op", .string(operation.rawValue)), ("path", .string(path.escaped)),
      ("copy", .string(copy.path.escaped)), ("size", .integer(copy.size)),
      ("mtime", .string(copy.modified.decimalText)), ("sha256", .string("\(copy.hash)")),
      ("id", .string("\(copy.archiveID)")), ("mode", .string(String(metadata.mode, radix: 8))),
      ("uid", .integer(Int64(metadata.owner))), ("gid", .integer(Int64(metadata.group))),
      ("epoch", .integer(epoch.value)), ("at", .string(at.utcText)),
    ]
    if !metadata.attributes.isEmpty {
      let values = metadata.attributes.map { ($0.name, JSONValue.string(Base64.encode($0.value))) }
      fields.append(("xattrs", .object(values)))
    }
    return Array((JSONValue.object(fields).text + "\n").utf8)
  }

  /// `target`: the name of the target that the manifest was read from. Throws `corruptRecord` for what
  /// `encodedLine` doesn't write, `unsupported` for a later version.
  package static func parse(_ line: [UInt8], target: String) throws(TierError) -> ManifestRecord {
    guard let text = String(validating: line, as: UTF8.self),
      case .object(let fields)? = JSONValue.parse(text)
    else { throw corrupt("it isn't a JSON object") }
    let values = Dictionary(fields) { first, _ in first }
    guard case .integer(let version)? = values["v"] else { throw corrupt("v is missing") }
    guard version == 1 else {
      throw TierError(.unsupported, "manifest version \(version) was written by a newer tierd: upgrade tierd")
    }
    guard let record = ManifestRecord(values, target: target) else {
      throw corrupt("a value is missing or wrong")
    }
    return record
  }

  private init?(_ values: [String: JSONValue], target: String) {
    guard let operation = values["op"]?.string.flatMap(Operation.init),
      let path = values["path"]?.string.flatMap(RelativePath.init(escaped:)),
      let place = values["copy"]?.string.flatMap(RelativePath.init(escaped:)),
      let size = values["size"]?.integer, size >= 0,
      let modified = values["mtime"]?.string.flatMap({ FileTime(decimalText: $0) }),
      let hash = values["sha256"]?.string.flatMap({ ContentHash($0) }),
      let id = values["id"]?.string.flatMap({ ArchiveID($0) }),
      let mode = values["mode"]?.string.flatMap({ UInt16($0, radix: 8) }),
      let owner = values["uid"]?.integer.flatMap({ UInt32(exactly: $0) }),
      let group = values["gid"]?.integer.flatMap({ UInt32(exactly: $0) }),
      let epoch = values["epoch"]?.integer, let at = values["at"]?.string.flatMap({ Timestamp(utcText: $0) })
    else { return nil }
    var attributes: [ExtendedAttribute] = []
    if let listed = values["xattrs"] {
      guard case .object(let pairs) = listed else { return nil }
      for (name, value) in pairs {
        guard let bytes = value.string.flatMap(Base64.decode) else { return nil }
        attributes.append(ExtendedAttribute(name: name, value: bytes))
      }
    }
    self.operation = operation
    self.path = path
    self.epoch = Epoch(epoch)
    self.at = at
    copy = ArchivedCopy(
      archiveID: id, target: target, path: place, size: size, modified: modified, hash: hash, archivedAt: at,
      proof: .awaiting(instance: nil),
      metadata: FileMetadata(
        mode: mode, owner: owner, group: group, modified: modified, accessed: modified,
        attributes: attributes.sorted { $0.name < $1.name }))
  }

  private static func corrupt(_ why: String) -> TierError {
    TierError(.corruptRecord, "the manifest line can't be read: \(why)")
  }
}
