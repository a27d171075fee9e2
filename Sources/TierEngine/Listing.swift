import TierCore

/// One name in a listing: as it stands in the cache, and as the catalog knows it.
package struct ListedFile: Hashable, Sendable {
  /// Absolute.
  package var path: [UInt8]
  package var status: FileStatus?
  package var row: CatalogFile?

  package init(path: [UInt8], status: FileStatus?, row: CatalogFile?) {
    self.path = path
    self.status = status
    self.row = row
  }
}

/// As `du` counts, with released files beside those that are there.
package struct Usage: Hashable, Sendable {
  package var path: [UInt8]
  package var files = 0
  package var releasedFiles = 0
  package var apparentBytes: Int64 = 0
  package var cachedBytes: Int64 = 0
  package var releasedBytes: Int64 = 0

  package init(path: [UInt8]) { self.path = path }

  mutating func add(_ totals: VolumeTotals) {
    files += totals.resident.files + totals.archived.files + totals.released.files
    releasedFiles += totals.released.files
    cachedBytes += totals.resident.bytes + totals.archived.bytes
    releasedBytes += totals.released.bytes
    apparentBytes = cachedBytes + releasedBytes
  }
}

extension Engine {
  /// What is directly in a directory, or all files below it; a file itself. A page of at most `limit` behind
  /// `after`, an earlier page's `next`.
  package func list(_ absolute: [UInt8], recursive: Bool, after: String?, limit: Int) throws(TierError)
    -> (entries: [ListedFile], next: String?)
  {
    let (service, path) = try locate(absolute)
    let volume = try present(service)
    let status = try wrapping("while listing it") { () throws(SyscallError) in
      try volume.files.status(of: path, at: "list.status")
    }
    guard let status else {
      throw TierError(.notFound, "no such file or directory", path: volume.absolute(path))
    }
    if status.kind != .directory {
      let row = try directoryID(path.parent, volume).flatMap { (id) throws(TierError) in
        try context.catalog.file(named: path.name!, in: id)
      }
      return ([ListedFile(path: absolute, status: status, row: row)], nil)
    }
    return recursive
      ? try listBelow(path, volume, after: after, limit: limit)
      : try listDirectory(path, volume, after: after, limit: limit)
  }

  private func listDirectory(_ path: RelativePath, _ volume: Volume, after: String?, limit: Int)
    throws(TierError) -> (entries: [ListedFile], next: String?)
  {
    let listed = try wrapping("while listing it") { () throws(SyscallError) in
      try volume.files.list(path, at: "list.list")
    }
    let id = try directoryID(path, volume)
    let rows = try id.map { (id) throws(TierError) in try context.catalog.children(of: id).files } ?? []
    let byName = Dictionary(rows.map { ($0.name, $0) }) { first, _ in first }
    let behind = try after.map { (text) throws(TierError) in try position(text, EscapedText.decode(text)) }
    var entries = listed.filter { path != .root || $0.name != Volume.ownFolder.name }
      .sorted { $0.name.bytes.lexicographicallyPrecedes($1.name.bytes) }
    if let behind { entries.removeAll { !behind.lexicographicallyPrecedes($0.name.bytes) } }
    let page = entries.prefix(limit)
    let files = page.map { entry in
      ListedFile(
        path: absolutePath(path.appending(entry.name), volume), status: entry.status, row: byName[entry.name])
    }
    return (files, page.count < entries.count ? page.last?.name.description : nil)
  }

  private func listBelow(_ path: RelativePath, _ volume: Volume, after: String?, limit: Int)
    throws(TierError) -> (entries: [ListedFile], next: String?)
  {
    guard let id = try directoryID(path, volume) else { return ([], nil) }
    let behind = try after.map { (text) throws(TierError) in FileID(try position(text, Int64(text))) }
    let rows = try context.catalog.files(below: id, after: behind, limit: limit)
    var entries: [ListedFile] = []
    for row in rows {
      if let place = try volume.path(of: row) {
        entries.append(ListedFile(path: absolutePath(place, volume), status: nil, row: row))
      }
    }
    return (entries, rows.count == limit ? rows.last?.id.map { "\($0.value)" } : nil)
  }

  private func position<Value>(_ text: String, _ value: Value?) throws(TierError) -> Value {
    guard let value else {
      throw TierError(.badRequest, "after: \"\(text)\" is not the \"next\" of an earlier answer")
    }
    return value
  }

  /// Of a directory and each one directly below it.
  package func usage(of absolute: [UInt8]) throws(TierError) -> (total: Usage, parts: [Usage]) {
    let (service, path) = try locate(absolute)
    let volume = try present(service)
    guard let id = try directoryID(path, volume) else {
      throw TierError(.notFound, "not a directory that tierd knows", path: volume.absolute(path))
    }
    var total = Usage(path: absolute)
    total.add(try context.catalog.totals(below: id))
    var parts: [Usage] = []
    for directory in try context.catalog.children(of: id).directories {
      var part = Usage(path: absolutePath(path.appending(directory.name), volume))
      part.add(try context.catalog.totals(below: directory.id))
      parts.append(part)
    }
    return (total, parts.sorted { $0.path.lexicographicallyPrecedes($1.path) })
  }

  /// What every policy says of a path, whether or not a file is there.
  package func explainPolicy(_ absolute: [UInt8]) throws(TierError) -> PolicyExplanation {
    let (service, path) = try locate(absolute)
    var size: Int64 = 1 << 20
    if let volume = service.volume, let name = path.name, let parent = try directoryID(path.parent, volume),
      let row = try context.catalog.file(named: name, in: parent)
    {
      size = row.version.size
    }
    return context.policies.current.explain(volume: service.configuration.name, path: path, size: size)
  }

  private func directoryID(_ path: RelativePath, _ volume: Volume) throws(TierError) -> DirectoryID? {
    path.isRoot ? volume.rootDirectory : try context.catalog.directory(at: path, in: volume.id)
  }

  private func absolutePath(_ path: RelativePath, _ volume: Volume) -> [UInt8] {
    path.isRoot ? volume.files.rootPath : volume.files.rootPath + [.slash] + path.bytes
  }
}
