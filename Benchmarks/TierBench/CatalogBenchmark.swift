import Glibc
import TierCatalog
import TierCore
import TierLinux
import TierTestSupport

/// Fills a catalog, then measures it from processes of their own, so that memory is that of a daemon that has
/// just started.
enum CatalogBenchmark: Benchmark {
  static let name = "catalog"
  static let usage =
    "[FILES=1000000] [PENDING=100000] [DIRECTORY]: open time, memory and queries of the catalog"

  static func run(_ arguments: [String]) throws {
    let files = try arguments.number(0, default: 1_000_000)
    let pending = try arguments.number(1, default: 100_000)
    let temporary = try TemporaryDirectory()
    let directory = arguments.count > 2 ? arguments[2] : temporary.path
    let catalog = try SQLiteCatalog(directory: directory)
    let loading = try ContinuousClock().measure {
      try CatalogFilling(catalog, files: files, pending: pending).run()
    }
    catalog.close()
    var status = stat()
    stat(catalog.path, &status)
    print(
      "\(files) files, \(pending) of them pending, put in \(loading.short); "
        + "\(status.st_size >> 20) MiB on disk, \(Int(status.st_size) / files) bytes a file\n")
    let probe = ChildCommand(Programs.own, [CatalogProbe.name, directory])
    let result = try ChildProcess.run(probe, deadline: .seconds(600)) { _, line in
      print(String(decoding: line, as: UTF8.self))
    }
    guard result.succeeded else { throw SyscallFailure(description: "the probe failed: \(result.ending)") }
  }
}

/// A volume of 50 files a directory, 20 directories a directory.
private struct CatalogFilling {
  let catalog: SQLiteCatalog
  let files: Int
  let pending: Int
  let volume: CatalogVolume
  var random = SystemRandomNumberGenerator()

  init(_ catalog: SQLiteCatalog, files: Int, pending: Int) throws {
    self.catalog = catalog
    self.files = files
    self.pending = pending
    volume = try catalog.openVolume(named: "photos")
  }

  func run() throws {
    var batch: [CatalogChange] = []
    var directory = volume.root
    var path = RelativePath.root
    for number in 0..<files {
      if number % 50 == 0 {
        let index = number / 50
        path = RelativePath("library/\(index / 400)/\(index / 20)/album \(index)")!
        directory = try catalog.makeDirectory(at: path, inode: UInt64(index) + 10, in: volume.id)
      }
      batch.append(.put(file(number, in: directory, path)))
      if batch.count == 2000 || number == files - 1 {
        try catalog.apply(batch)
        batch = []
      }
    }
  }

  private func file(_ number: Int, in directory: DirectoryID, _ path: RelativePath) -> CatalogFile {
    let name = FileName("IMG_\(20_260_000 + number).JPG")!
    let seen = Timestamp(seconds: 1_800_000_000 + Int64(number / 100))
    let modified = FileTime(seconds: seen.seconds - 1000, nanoseconds: 123_456_789)
    var file = CatalogFile(
      volume: volume.id, directory: directory, name: name, state: .resident,
      version: FileVersion(
        inode: UInt64(number) + 5_000_000, size: 3_000_000, modified: modified, changed: modified),
      links: 1, owner: 1000, mode: 0o644, allocated: 3_002_368, firstSeen: seen, lastUsed: seen,
      policy: "photos", target: "nas")
    // Spread over the tree, as new files are.
    if number % max(1, files / max(1, pending)) == 0 {
      file.archiveDue = seen + .seconds(3600)
      file.archiveBy = seen + .seconds(25 * 3600)
      return file
    }
    file.state = number % 20 == 1 ? .released : .archived
    file.releaseDue = seen + .seconds(30 * 86_400)
    file.copy = ArchivedCopy(
      archiveID: .random(), target: "nas", path: RelativePath("photos")!.appending(path).appending(name),
      size: 3_000_000, modified: modified,
      hash: ContentHash((0..<32).map { _ in UInt8.random(in: 0...255) })!,
      archivedAt: seen, proof: .proven,
      metadata: FileMetadata(mode: 0o644, owner: 1000, group: 1000, modified: modified, accessed: modified))
    return file
  }
}

enum CatalogProbe: Benchmark {
  static let name = "catalog-probe"
  static let usage = "DIRECTORY: the second half of `catalog`, on a catalog that is there already"

  static func run(_ arguments: [String]) throws {
    guard let directory = arguments.first else { throw UsageError(description: usage) }
    var opened: SQLiteCatalog?
    let opening = try Timing(times: 1) { opened = try SQLiteCatalog(directory: directory) }
    guard let catalog = opened else { return }
    defer { catalog.close() }
    let volume = try catalog.openVolume(named: "photos")
    var table = Table("call", "median", "worst", "runs")
    func measure(_ call: String, times: Int = 50, _ body: () throws -> Void) throws {
      let timing = try Timing(times: times, body)
      table.add(call, timing.median.short, timing.worst.short, "\(times)")
    }
    table.add("open", opening.median.short, opening.worst.short, "1")
    table.add("memory after open", try memoryText("VmRSS"), "", "")
    try measureQueries(catalog, volume, measure)
    try measureChanges(catalog, volume, measure)
    table.add("memory, highest", "", try memoryText("VmHWM"), "")
    table.add("memory at the end", try memoryText("VmRSS"), "", "")
    table.print()
    print("")
    printGoal("highest memory, MiB", reached: Double(try memoryBytes("VmHWM")) / 1_048_576, atMost: 64)
    printGoal("ready to serve, seconds", reached: opening.median.seconds, atMost: 5)
  }

  private static func measureQueries(
    _ catalog: SQLiteCatalog, _ volume: CatalogVolume,
    _ measure: (String, Int, () throws -> Void) throws -> Void
  ) throws {
    var now = Timestamp(seconds: 1_800_000_000 + 5000)
    try measure("pending, nothing new", 50) { _ = try catalog.pending(for: "nas", now: now) }
    try measure("pending, a minute later", 50) {
      now = now + .seconds(60)
      _ = try catalog.pending(for: "nas", now: now)
    }
    now = .init(seconds: 2_000_000_000)
    try measure("pending, all became due", 1) { _ = try catalog.pending(for: "nas", now: now) }
    try measure("pending after that", 50) { _ = try catalog.pending(for: "nas", now: now) }
    try measure("archiveCandidates, 256", 50) {
      _ = try catalog.archiveCandidates(for: "nas", now: now, limit: 256)
    }
    try measure("releaseCandidates, 256", 50) {
      _ = try catalog.releaseCandidates(in: volume.id, now: now, limit: 256)
    }
    try measure("coldestFiles, 256", 50) { _ = try catalog.coldestFiles(in: volume.id, now: now, limit: 256) }
    try measure("nextRelease", 50) { _ = try catalog.nextRelease(in: volume.id, after: now) }
    try measure("totals of the volume", 50) { _ = try catalog.totals(of: volume.id) }
    let album = try catalog.directory(at: RelativePath("library/3/70/album 1400")!, in: volume.id)
    let part = try catalog.directory(at: RelativePath("library/3")!, in: volume.id)
    let library = try catalog.directory(at: RelativePath("library")!, in: volume.id)
    guard let album, let part, let library else {
      throw UsageError(description: "too few files for the probe")
    }
    try measure("children, 50 files", 50) { _ = try catalog.children(of: album) }
    try measure("totals below, 20,000 files", 5) { _ = try catalog.totals(below: part) }
    try measure("files below 20,000, one page of 1000", 5) {
      _ = try catalog.files(below: part, after: nil, limit: 1000)
    }
    try measure("files below all, every page of 1000", 1) {
      var after: FileID?
      repeat {
        after = try catalog.files(below: library, after: after, limit: 1000).last?.id
      } while after != nil
    }
  }

  private static func measureChanges(
    _ catalog: SQLiteCatalog, _ volume: CatalogVolume,
    _ measure: (String, Int, () throws -> Void) throws -> Void
  ) throws {
    let now = Timestamp(seconds: 2_000_000_000)
    var heat: Int64 = 0
    try measure("read, change and apply 256 neighbours", 20) {
      let files = try catalog.coldestFiles(in: volume.id, now: now, limit: 256)
      heat += 1
      try catalog.apply(
        files.map { file in
          var file = file
          file.lastUsed = now + .seconds(heat)
          return .put(file)
        })
    }
    let library = try catalog.directory(at: RelativePath("library")!, in: volume.id) ?? volume.root
    var scattered = try (0..<20).map { part in
      try (0..<13).flatMap { piece in
        try catalog.files(
          below: library, after: FileID(Int64(part * 49_000 + piece * 3_700)), limit: 20)
      }.prefix(256)
    }
    try measure("apply 256 changes, spread over the tree", 20) {
      try catalog.apply(
        scattered.removeLast().map { file in
          var file = file
          file.lastUsed = now + .seconds(heat)
          return .put(file)
        })
    }
    try measure("archive 256 files: begin, advance, finish", 20) { try archive(256, in: catalog, volume) }
    try measure("apply one change", 50) {
      heat += 1
      try catalog.setSetting("probe", to: [UInt8(heat)])
    }
  }

  /// What the journal of one batch costs.
  private static func archive(_ count: Int, in catalog: SQLiteCatalog, _ volume: CatalogVolume) throws {
    let now = Timestamp(seconds: 2_000_000_000)
    let files = try catalog.archiveCandidates(for: "nas", now: now, limit: count)
    var intents = files.map { file in
      Intent(
        kind: .archive, epoch: volume.epoch, volume: volume.id, file: file.id, path: RelativePath(file.name),
        target: "nas", targetPath: RelativePath(file.name), archiveID: .random(), version: file.version,
        begun: now)
    }
    let ids = try catalog.begin(intents)
    for index in intents.indices {
      intents[index].id = ids[index]
      intents[index].step = 1
    }
    try catalog.advance(intents)
    let changes = zip(files, intents).map { file, intent in
      var file = file
      file.state = .archived
      file.archiveDue = nil
      file.archiveBy = nil
      file.releaseDue = now + .seconds(86_400)
      file.copy = ArchivedCopy(
        archiveID: intent.archiveID, target: "nas", path: intent.targetPath, size: file.version.size,
        modified: file.version.modified, hash: ContentHash(Array(repeating: 1, count: 32))!, archivedAt: now,
        proof: .awaiting(instance: 1),
        metadata: FileMetadata(
          mode: file.mode, owner: file.owner, group: 0, modified: file.version.modified,
          accessed: file.version.modified))
      return CatalogChange.put(file)
    }
    try catalog.finish(ids, applying: changes)
  }
}
