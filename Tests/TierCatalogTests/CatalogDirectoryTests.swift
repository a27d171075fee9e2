import Testing
import TierCore

@testable import TierCatalog

@Suite struct CatalogDirectoryTests {
  let fixture: CatalogFixture
  var catalog: SQLiteCatalog { fixture.catalog }
  var volume: VolumeID { fixture.volume.id }
  var root: DirectoryID { fixture.volume.root }

  init() throws { fixture = try CatalogFixture() }

  @Test func volumesKeepTheirState() throws {
    #expect(fixture.volume.epoch == Epoch(0) && fixture.volume.scan.isNeeded)
    let state = ScanState(
      isNeeded: false, resumeAfter: RelativePath([0xFF, 0x2F, 0x0A]), lastCompleted: Timestamp(seconds: 9),
      reason: "overflow")
    try catalog.setScanState(state, of: volume)
    try catalog.setEpoch(Epoch(7), of: volume)
    try fixture.reopen()
    let again = try catalog.openVolume(named: "photos")
    #expect(again == CatalogVolume(id: volume, root: root, epoch: Epoch(7), scan: state))
    let other = try catalog.openVolume(named: "films")
    #expect(other.id != volume && other.root != root)
    #expect(throws: TierError.self) { try catalog.setEpoch(Epoch(1), of: VolumeID(77)) }
    #expect(throws: TierError.self) { try catalog.setScanState(state, of: VolumeID(77)) }
  }

  @Test func refusesAnOlderEpoch() throws {
    try catalog.setEpoch(Epoch(7), of: volume)
    try catalog.setEpoch(Epoch(7), of: volume)
    let error = #expect(throws: TierError.self) { try catalog.setEpoch(Epoch(6), of: volume) }
    #expect(error?.message.contains("newer owner (epoch 7, this is 6)") == true)
    #expect(throws: TierError.self) { try catalog.begin([intent(epoch: 6)]) }
    #expect(try catalog.begin([intent(epoch: 7)]).count == 1)
  }

  @Test func makesParentsAndFindsThem() throws {
    let path = RelativePath(Array("a/".utf8) + [0xFE, 0x0A] + Array("/-c".utf8))!
    let made = try catalog.makeDirectory(at: path, inode: .max, in: volume)
    #expect(try catalog.makeDirectory(at: path, inode: .max, in: volume) == made)
    #expect(try catalog.directory(at: path, in: volume) == made)
    #expect(try catalog.path(of: made) == path)
    #expect(try catalog.directories(withInode: .max, in: volume).map(\.id) == [made])
    #expect(try catalog.directory(at: .root, in: volume) == root)
    #expect(try catalog.path(of: root) == .root)
    #expect(try catalog.makeDirectory(at: .root, inode: 2, in: volume) == root)
    #expect(try catalog.directories(withInode: 2, in: volume).first?.id == root)
    #expect(try catalog.children(of: root).directories.map(\.name) == [FileName("a")!])
    #expect(try catalog.directory(at: RelativePath("a/b")!, in: volume) == nil)
    #expect(try catalog.path(of: DirectoryID(12345)) == nil)
    #expect(throws: TierError.self) { try catalog.makeDirectory(at: path, inode: 1, in: VolumeID(9)) }
  }

  @Test func aRenamedDirectoryTakesEverythingAlong() throws {
    let deep = try catalog.makeDirectory(at: RelativePath("a/b/c")!, inode: 3, in: volume)
    let file = try fixture.put(fixture.file("f", in: deep))
    let a = try #require(try catalog.directory(at: RelativePath("a")!, in: volume))
    let other = try catalog.makeDirectory(at: RelativePath("x/y")!, inode: 4, in: volume)
    try catalog.apply([.moveDirectory(a, to: other, name: FileName("z")!, at: .distantPast)])
    #expect(try catalog.path(of: deep) == RelativePath("x/y/z/b/c"))
    #expect(try catalog.file(#require(file.id)) == file)
    #expect(try catalog.files(below: other, after: nil, limit: 9) == [file])
    #expect(throws: TierError.self) {
      try catalog.apply([.moveDirectory(other, to: deep, name: FileName("n")!, at: .distantPast)])
    }
    #expect(throws: TierError.self) {
      try catalog.apply([.moveDirectory(root, to: a, name: FileName("n")!, at: .distantPast)])
    }
    let films = try catalog.openVolume(named: "films")
    #expect(throws: TierError.self) {
      try catalog.apply([.moveDirectory(a, to: films.root, name: FileName("n")!, at: .distantPast)])
    }
    #expect(try catalog.path(of: deep) == RelativePath("x/y/z/b/c"))
  }

  @Test func theCopiesOfARenamedDirectoryAreToFollow() throws {
    let deep = try catalog.makeDirectory(at: RelativePath("a/b")!, inode: 3, in: volume)
    let a = try #require(try catalog.directory(at: RelativePath("a")!, in: volume))
    let below = try [
      fixture.put(fixture.file("f", in: a).archived()), fixture.put(fixture.file("g", in: deep).archived()),
    ]
    try fixture.put(fixture.file("without a copy", in: deep))
    try fixture.put(fixture.file("beside it", in: root).archived())
    try catalog.apply([
      .putMove(TargetMove(archiveID: below[0].copy!.archiveID, target: "attic", queued: .distantPast))
    ])
    try catalog.apply([.moveDirectory(a, to: root, name: FileName("z")!, at: Timestamp(seconds: 7))])
    #expect(
      try Set(catalog.moves(on: "nas", limit: 9))
        == Set(
          below.map {
            TargetMove(archiveID: $0.copy!.archiveID, target: "nas", queued: Timestamp(seconds: 7))
          }))
    #expect(try catalog.pending(for: "nas", now: .distantPast).moves == 2)
    #expect(try catalog.pending(for: "attic", now: .distantPast).moves == 0)
  }

  @Test func directoriesSwapNames() throws {
    let one = try catalog.makeDirectory(at: RelativePath("one")!, inode: 1, in: volume)
    let two = try catalog.makeDirectory(at: RelativePath("two")!, inode: 2, in: volume)
    try fixture.put(fixture.file("f", in: one))
    try fixture.put(fixture.file("g", in: two))
    #expect(throws: TierError.self, "two isn't empty and has no new place") {
      try catalog.apply([.moveDirectory(one, to: root, name: FileName("two")!, at: .distantPast)])
    }
    try catalog.apply([
      .moveDirectory(one, to: root, name: FileName("two")!, at: .distantPast),
      .moveDirectory(two, to: root, name: FileName("one")!, at: .distantPast),
    ])
    #expect(try catalog.path(of: one) == RelativePath("two"))
    #expect(try catalog.path(of: two) == RelativePath("one"))
  }

  /// Deeper than SQLite's limits on triggers and cascades.
  @Test func goesAsDeepAsPathsDo() throws {
    let path = RelativePath(Array(repeatElement("d", count: 2000).joined(separator: "/").utf8))!
    let deepest = try catalog.makeDirectory(at: path, inode: 1, in: volume)
    try fixture.put(fixture.file("f", in: deepest))
    let top = try #require(try catalog.directory(at: RelativePath("d")!, in: volume))
    #expect(try catalog.totals(below: top).resident.files == 1)
    #expect(try catalog.path(of: deepest) == path)
    try catalog.apply([.forgetDirectory(top)])
    #expect(try catalog.path(of: deepest) == nil)
    #expect(try catalog.totals(of: volume) == VolumeTotals())
  }

  @Test func forgetsADirectoryOnlyWhenItsCopiesAreKnown() throws {
    let directory = try catalog.makeDirectory(at: RelativePath("a/b")!, inode: 3, in: volume)
    let file = try fixture.put(fixture.file("f", in: directory).archived())
    let error = #expect(throws: TierError.self) { try catalog.apply([.forgetDirectory(directory)]) }
    #expect(error?.path == "f")
    let removal = Removal(
      stage: .pending, volume: volume, path: RelativePath("a/b/f")!, copy: try #require(file.copy),
      removedAt: Timestamp(seconds: 1), expires: Timestamp(seconds: 2))
    try catalog.apply([.putRemoval(removal), .forgetDirectory(directory)])
    #expect(try catalog.file(#require(file.id)) == nil)
    try catalog.apply([.forgetDirectory(directory)])
    #expect(throws: TierError.self) { try catalog.apply([.forgetDirectory(root)]) }
  }

  private func intent(epoch: Int64) -> Intent {
    Intent(
      kind: .archive, epoch: Epoch(epoch), volume: volume, file: nil, path: RelativePath("a")!, target: "nas",
      targetPath: RelativePath("photos/a")!, archiveID: .random(), begun: Timestamp(seconds: 1))
  }
}
