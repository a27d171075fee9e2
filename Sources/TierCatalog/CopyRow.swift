import TierCore

/// A copy as columns, in files and in removals. The order of the columns is the order in which they are written
/// and read.
enum CopyRow {
  /// Follows `archive_id`.
  static let columns = """
    copy_target, copy_path, copy_size, copy_mtime_s, copy_mtime_ns, hash, archived_at, proof, proof_instance, \
    copy_mode, copy_owner, copy_group, copy_atime_s, copy_atime_ns, copy_attributes
    """
  private static let count = 16

  static func values(_ copy: ArchivedCopy?) -> [SQLValue] {
    guard let copy else { return Array(repeating: .null, count: count) }
    let metadata = copy.metadata
    let (isAwaiting, instance): (Bool, UInt64?) =
      switch copy.proof {
      case .proven: (false, nil)
      case .awaiting(let instance): (true, instance)
      }
    return [
      .blob(copy.archiveID.bytes), .text(copy.target), .blob(copy.path.bytes), SQLValue(copy.size),
      SQLValue(copy.modified.seconds), SQLValue(copy.modified.nanoseconds), .blob(copy.hash.bytes),
      SQLValue(copy.archivedAt.nanoseconds), SQLValue(isAwaiting), SQLValue(instance),
      SQLValue(metadata.mode),
      SQLValue(metadata.owner), SQLValue(metadata.group), SQLValue(metadata.accessed.seconds),
      SQLValue(metadata.accessed.nanoseconds),
      metadata.attributes.isEmpty ? .null : .blob(AttributeBytes.encode(metadata.attributes)),
    ]
  }

  static func decode(_ row: inout RowReader) throws -> ArchivedCopy? {
    guard let id = try row.optional({ try $0.archiveID() }) else {
      row.skip(Int32(count - 1))
      return nil
    }
    let target = row.text()
    let path = try row.path()
    let size = row.int64()
    let modified = try row.fileTime()
    let hash = try row.contentHash()
    let archivedAt = row.timestamp()
    let isAwaiting = row.bool()
    let instance = row.optional { $0.uint64() }
    let metadata = try FileMetadata(
      mode: row.integer(), owner: row.integer(), group: row.integer(), modified: modified,
      accessed: row.fileTime(), attributes: row.optional { try AttributeBytes.decode($0.blob()) } ?? [])
    return ArchivedCopy(
      archiveID: id, target: target, path: path, size: size, modified: modified, hash: hash,
      archivedAt: archivedAt, proof: isAwaiting ? .awaiting(instance: instance) : .proven, metadata: metadata)
  }
}

/// Extended attributes in one value: for each the name's length (16 bits), the value's (32 bits), big-endian,
/// then the name and the value.
enum AttributeBytes {
  static func encode(_ attributes: [ExtendedAttribute]) -> [UInt8] {
    attributes.flatMap { attribute in
      let name = Array(attribute.name.utf8)
      return number(name.count, bytes: 2) + number(attribute.value.count, bytes: 4) + name + attribute.value
    }
  }

  static func decode(_ bytes: [UInt8]) throws -> [ExtendedAttribute] {
    var rest = bytes[...]
    func take(_ count: Int) throws -> ArraySlice<UInt8> {
      guard rest.count >= count else { throw ImpossibleValue("attributes that end early") }
      defer { rest = rest.dropFirst(count) }
      return rest.prefix(count)
    }
    var attributes: [ExtendedAttribute] = []
    while !rest.isEmpty {
      let nameLength = try take(2).reduce(0) { $0 << 8 | Int($1) }
      let valueLength = try take(4).reduce(0) { $0 << 8 | Int($1) }
      let name = try take(nameLength)
      attributes.append(
        ExtendedAttribute(name: String(decoding: name, as: UTF8.self), value: Array(try take(valueLength))))
    }
    return attributes
  }

  private static func number(_ value: Int, bytes: Int) -> [UInt8] {
    (0..<bytes).map { UInt8(truncatingIfNeeded: value >> (8 * (bytes - 1 - $0))) }
  }
}
