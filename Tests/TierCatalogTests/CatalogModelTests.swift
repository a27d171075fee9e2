import Glibc
import Testing
import TierCore
import TierTestSupport

@testable import TierCatalog

/// 20,000 random changes, valid and invalid, against the model.
@Suite struct CatalogModelTests {
  @Test(arguments: [1, 2] as [UInt64]) func agreesWithTheModel(seed: UInt64) throws {
    var run = try ModelRun(seed: seed)
    while run.changes < 10_000 {
      try run.step()
      if run.steps % 100 == 0 { try run.compare() }
      if run.steps % 1000 == 0 { try run.fixture.reopen() }
    }
    try run.compare()
    #expect(run.refused > 50 && run.changes - run.refused > 5_000, "the run must do and refuse something")
    #expect(try run.fixture.catalog.damage() == [])
  }
}

private struct ModelRun {
  let fixture: CatalogFixture
  var model: ModelCatalog
  var random: SplitMix
  var changes = 0
  var refused = 0
  var steps = 0

  init(seed: UInt64) throws {
    // Few, so that what is counted once and then kept up by triggers plays its part.
    fixture = try CatalogFixture(recountLimit: 3)
    model = ModelCatalog(root: fixture.volume.root)
    random = SplitMix(state: seed)
  }

  mutating func step() throws {
    steps += 1
    if chance(10) { try makeDirectory() }
    let batch = (0..<Int.random(in: 1...6, using: &random)).flatMap { _ in randomChanges() }
    changes += batch.count
    var ids: [FileID] = []
    var expected = model
    // New files' ids are not known before: numbered from above, then read from the catalog by their place.
    let isValid =
      (try? expected.apply(batch) { _ in
        ids.append(FileID(.max - Int64(ids.count)))
        return ids.last!
      }) != nil
    do {
      try fixture.catalog.apply(batch)
      #expect(isValid, "applied what the model refuses: \(batch)")
    } catch {
      #expect(!isValid, "refused what the model applies: \(batch): \(error)")
      refused += batch.count
      return
    }
    for id in ids {
      guard var file = expected.files.removeValue(forKey: id) else { continue }
      file.id = try #require(try fixture.catalog.file(named: file.name, in: file.directory)?.id)
      expected.files[file.id!] = file
    }
    model = expected
  }

  private mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }

  private mutating func pick<Value>(_ values: some Collection<Value>) -> Value? {
    values.randomElement(using: &random)
  }

  private mutating func name() -> FileName {
    chance(5)
      ? FileName(trusted: [0xFF, 0x0A, UInt8.random(in: 1...9, using: &random)])
      : FileName("n\(Int.random(in: 0..<8, using: &random))")!
  }

  private mutating func directory() -> DirectoryID {
    chance(1) ? DirectoryID(99_999) : pick(model.directories.keys.sorted { $0.value < $1.value })!
  }

  private mutating func anyFile() -> CatalogFile? {
    pick(model.files.values.sorted { $0.id!.value < $1.id!.value })
  }

  private mutating func time() -> Timestamp { Timestamp(seconds: Int64.random(in: 0..<2000, using: &random)) }

  private mutating func makeDirectory() throws {
    guard model.directories.count < 30,
      let parent = pick(model.directories.keys.sorted { $0.value < $1.value })
    else { return }
    let path = try #require(model.path(of: parent)).appending(name())
    let inode = random.next()
    let made = try fixture.catalog.makeDirectory(at: path, inode: inode, in: fixture.volume.id)
    model.directories[made] = CatalogDirectory(
      id: made, parent: parent, name: try #require(path.name), inode: inode)
  }

  private mutating func randomChanges() -> [CatalogChange] {
    switch Int.random(in: 0..<100, using: &random) {
    case 0..<45: return [.put(randomFile(id: nil))]
    case 45..<60: return anyFile().map { [.put(randomFile(id: $0.id))] } ?? []
    case 60..<75: return anyFile().map { [.put(touched($0))] } ?? []
    case 75..<78: return swapped()
    case 78..<86: return anyFile().map { [.forget($0.id!)] } ?? []
    case 86..<90: return [.moveDirectory(directory(), to: directory(), name: name(), at: time())]
    case 90..<92: return forgottenDirectory()
    case 92..<93: return [.forgetDirectory(directory())]
    case 93..<98: return moved()
    default: return model.moves.keys.first.map { [.forgetMove($0)] } ?? []
    }
  }

  private mutating func swapped() -> [CatalogChange] {
    guard var one = anyFile(), var other = anyFile(), one.id != other.id else { return [] }
    swap(&one.directory, &other.directory)
    swap(&one.name, &other.name)
    return [.put(one), .put(other)]
  }

  private mutating func forgottenDirectory() -> [CatalogChange] {
    let directory = directory()
    let copies = model.files.values.filter { model.isWithin($0.directory, directory) }.compactMap(\.copy)
    return copies.sorted { $0.archiveID.high < $1.archiveID.high }.map { copy in
      .putRemoval(
        Removal(
          stage: .pending, volume: fixture.volume.id, path: copy.path, copy: copy, removedAt: time(),
          expires: time()))
    } + [.forgetDirectory(directory)]
  }

  private mutating func moved() -> [CatalogChange] {
    guard let file = anyFile(), let copy = file.copy else { return [] }
    return [.putMove(TargetMove(archiveID: copy.archiveID, target: copy.target, queued: time()))]
  }

  /// One thing changed, the rest as it was: nothing else gives a trigger or an index cause to notice.
  private mutating func touched(_ file: CatalogFile) -> CatalogFile {
    var file = file
    let other = randomFile(id: nil)
    switch Int.random(in: 0..<9, using: &random) {
    case 0: file.retryAt = other.retryAt
    case 1: file.pinnedUntil = other.pinnedUntil
    case 2: file.isLost.toggle()
    case 3: file.lastUsed = other.lastUsed
    case 4: file.version.size = other.version.size
    case 5: file.copy?.proof = other.copy?.proof ?? .proven
    case 6: file.copy?.archivedAt = other.lastUsed
    case 7: file.releaseDue = other.releaseDue
    default: if file.copy != nil, file.archiveDue == nil { file.state = .archived }
    }
    return file
  }

  private mutating func randomFile(id: FileID?) -> CatalogFile {
    var file = CatalogFile.sample("x", in: directory(), volume: fixture.volume.id)
    file.id = id
    file.name = name()
    file.version.size = Int64.random(in: 0..<1000, using: &random)
    file.version.inode = random.next()
    file.lastUsed = time()
    if chance(80) {
      let target = chance(50) ? "nas" : "attic"
      file = chance(50) ? file.governed(target: target) : file.archived(.proven, target: target)
      if file.copy != nil {
        file.copy!.archivedAt = time()
        file.copy!.archiveID = ArchiveID(high: random.next(), low: random.next())
        if chance(30) { file.copy!.proof = .awaiting(instance: chance(50) ? random.next() : nil) }
        if chance(20) { file.state = .resident }
        if chance(20) { file.state = .released }
        if chance(60) { file.releaseDue = time() }
      }
      if chance(60), file.state != .released {
        file.archiveDue = time()
        file.archiveBy = file.archiveDue! + .seconds(Int.random(in: 0..<2000, using: &random))
      }
    }
    if chance(20) { file.retryAt = chance(10) ? .distantFuture : time() }
    if chance(20) { file.pinnedUntil = chance(30) ? .distantFuture : time() }
    file.isLost = chance(10)
    if chance(20) { file.heldReason = "öpen\0" }
    return file
  }

  mutating func compare() throws {
    let catalog = fixture.catalog
    let volume = fixture.volume.id
    let now = time()
    let limit = Int.random(in: 1...40, using: &random)
    for target in ["nas", "attic", "nowhere"] {
      #expect(try catalog.pending(for: target, now: now) == model.pending(target, now: now))
      #expect(
        try catalog.archiveCandidates(for: target, now: now, limit: limit)
          == Array(model.archiveCandidates(target, now: now).prefix(limit)))
      #expect(
        try Set(catalog.unprovenFiles(on: target, before: now, limit: 10_000))
          == Set(model.unproven(target, before: now)))
      #expect(
        try Set(catalog.moves(on: target, limit: 10_000))
          == Set(model.moves.values.filter { $0.target == target }))
      let places = model.files.values.compactMap(\.copy?.path) + model.removals.map(\.copy.path)
      #expect(
        try Set(catalog.copiesAstray(at: Array(places.prefix(limit)), on: target).map(\.archiveID))
          == model.copiesAstray(Set(places.prefix(limit)), target))
    }
    #expect(
      try Set(catalog.releaseCandidates(in: volume, now: now, limit: 10_000))
        == Set(model.releaseCandidates(now: now)))
    let coldest = try catalog.coldestFiles(in: volume, now: now, limit: limit)
    #expect(coldest.map(\.lastUsed) == model.coldest(now: now).prefix(limit).map(\.lastUsed))
    #expect(try catalog.nextRelease(in: volume, after: now) == model.nextRelease(after: now))
    #expect(try catalog.totals(of: volume) == model.totals(below: fixture.volume.root))
    for id in model.directories.keys { try compare(directory: id) }
    #expect(try catalog.files(below: fixture.volume.root, after: nil, limit: .max).count == model.files.count)
  }

  private mutating func compare(directory id: DirectoryID) throws {
    let catalog = fixture.catalog
    let below = model.files.values.filter { model.isWithin($0.directory, id) }.sorted {
      $0.id!.value < $1.id!.value
    }
    let limit = Int.random(in: 1...400, using: &random)
    let after = pick(below)?.id
    #expect(try catalog.path(of: id) == model.path(of: id))
    #expect(try catalog.directory(at: model.path(of: id)!, in: fixture.volume.id) == id)
    #expect(try catalog.totals(below: id) == model.totals(below: id))
    let children = try catalog.children(of: id)
    #expect(Set(children.files) == Set(model.files.values.filter { $0.directory == id }))
    #expect(
      Set(children.directories)
        == Set(model.directories.values.filter { $0.parent == id && $0.id != model.root }))
    #expect(
      try catalog.files(below: id, after: after, limit: limit)
        == Array(below.filter { $0.id!.value > after?.value ?? 0 }.prefix(limit)))
  }
}
