import Glibc
import Testing
import TierCore
import TierLinux
import TierTestSupport

@testable import TierTargets

/// What `Target` promises of staging and publishing, for every kind.
@Suite struct ArchivingContractTests {
  /// Every byte but NUL and `/` may stand in a name.
  static let hostileNames: [[UInt8]] = [
    Array("plain.txt".utf8), Array(" lead and trail ".utf8), Array("-rf".utf8), Array("--delete".utf8),
    Array("a\nb".utf8), Array("tab\tand\u{1B}[31m".utf8), Array("a:b".utf8), Array("user@host:x".utf8),
    Array("*?[a]{b}".utf8), Array("back\\slash".utf8), Array(##"\#012"##.utf8), Array("back\\sl*sh".utf8),
    Array("'quoted' \"twice\" $HOME `id`".utf8), Array("#hash".utf8), Array("; rm".utf8), Array("+ x".utf8),
    Array("...".utf8), Array("~".utf8), Array("~backup~".utf8), Array(".hidden".utf8), [0xFF, 0xFE, 0x41],
    [0xC3], Array("grün 文件 🗂".utf8), Array("gru\u{308}n".utf8), Array(repeating: 0x61, count: 255), [0x01],
    Array("con -> fusing".utf8), Array(".conflict-x".utf8), Array("!".utf8), [0x7F],
  ]

  @Test(arguments: TargetKind.all)
  func namesOfAnyBytesArriveAsTheyAre(_ kind: TargetKind) throws {
    let bench = try kind.make()
    let folder: RelativePath = "tree"
    let orders = try Self.hostileNames.enumerated().map { index, name in
      let path = folder.appending(FileName(trusted: name))
      return TargetBench.Order(upload: try bench.upload(path, Array("content \(index)".utf8)))
    }
    try bench.withSession { session in
      for (order, outcome) in zip(orders, try bench.archive(orders, session)) {
        #expect(outcome.isPublished, "\(order.upload.path): \(outcome)")
      }
    }
    for (index, order) in orders.enumerated() {
      #expect(try bench.nas.read(order.upload.path) == Array("content \(index)".utf8), "\(order.upload.path)")
    }
    #expect(try bench.nas.list("volume/tree", at: "test").count == orders.count)
  }

  @Test(arguments: TargetKind.all)
  func longPathsAmongShortOnesGoAndComeBack(_ kind: TargetKind) throws {
    let bench = try kind.make()
    let lengths = Array(stride(from: 1000, through: 3900, by: 145))
    let orders = try lengths.flatMap { length in
      [Self.path(of: length), "short/\(length)"].map { ($0, Array("\(length) \($0.count)".utf8)) }
    }.map { TargetBench.Order(upload: try bench.upload(RelativePath($0)!, $1)) }
    let paths = orders.map(\.upload.path)
    try bench.withSession { session in
      #expect(try bench.archive(orders, session).arePublished)
      #expect(try session.status(of: paths).allSatisfy { $0 != nil })
      let sizes = orders.map { Int($0.upload.size) }
      let downloads = try zip(paths, sizes).map { try bench.download($0, size: $1) }
      for (order, outcome) in zip(orders, try bench.fetch(downloads, session)) {
        guard case .fetched(let hash, _) = outcome else { throw Unexpected("\(outcome)") }
        #expect(hash == sha256(try bench.nas.read(order.upload.path)))
      }
      for outcome in try bench.hash(paths, session) {
        guard case .hashed = outcome else { throw Unexpected("\(outcome)") }
      }
    }
  }

  /// Of so many bytes in names of 200.
  private static func path(of length: Int) -> String {
    let full = length / 201
    let names = (0..<full).map { _ in String(repeating: "d", count: 200) }
    return (names + [String(repeating: "f", count: max(1, length - full * 201))]).joined(separator: "/")
  }

  @Test(arguments: TargetKind.all)
  func contentOfAnySizeArrivesWhole(_ kind: TargetKind) throws {
    let bench = try kind.make()
    let sizes = [0, 1, 4095, 4096, 65_537, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, (8 << 20) + 13]
    let orders = try sizes.map { size in
      TargetBench.Order(upload: try bench.upload(RelativePath("s/\(size)")!, noise(size, seed: UInt64(size))))
    }
    try bench.withSession { session in
      let hashes = try bench.stage(orders.map(\.upload), session).map(\.hash)
      #expect(hashes == sizes.map { sha256(noise($0, seed: UInt64($0))) })
      let outcomes = try bench.publish(Array(zip(orders, hashes.compactMap(\.self))), session)
      #expect(outcomes.arePublished)
    }
    for size in sizes {
      #expect(try bench.nas.read(RelativePath("volume/s/\(size)")!) == noise(size, seed: UInt64(size)))
    }
  }

  @Test(arguments: TargetKind.all)
  func holesStayHoles(_ kind: TargetKind) throws {
    let bench = try kind.make()
    let path: RelativePath = "sparse"
    let size: Int64 = 48 << 20
    try bench.volume.write(noise(4096), to: path)
    let file = try bench.volume.open(path, .readWrite, at: "test.open")
    try noise(100_000, seed: 2).withUnsafeBytes { try file.write($0, offset: 20 << 20, at: "test.write") }
    try file.truncate(to: size, at: "test.truncate")
    file.close()
    let order = TargetBench.Order(upload: try bench.upload(path))
    let expected = sha256(try bench.volume.read(path))

    try bench.withSession { session throws in
      #expect(try bench.archive([order], session)[0].isPublished)
      let download = try bench.download(order.upload.path, size: Int(size))
      guard case .fetched(let hash, let fetched) = try bench.fetch([download], session)[0] else {
        throw Unexpected("not fetched")
      }
      #expect(hash == expected && fetched == size)
      #expect(try download.destination.status(at: "test").allocated < 8 << 20)
    }
    let copy = try #require(try bench.nas.status(of: order.upload.path, at: "test"))
    #expect(copy.size == size)
    #expect(sha256(try bench.nas.read(order.upload.path)) == expected)
    if kind.keepsHoles { #expect(copy.allocated < 8 << 20) }
  }

  @Test(arguments: TargetKind.all)
  func modeOwnerAndTimesComeAlong(_ kind: TargetKind) throws {
    let bench = try kind.make()
    let modes: [UInt16] = [0o644, 0o600, 0o444, 0o755, 0o2750, 0o1644]
    let orders = try modes.map { mode in
      let path = RelativePath("m/\(mode)")!
      let time = FileTime(seconds: 1_000_000_000 + Int64(mode), nanoseconds: 987_654_321)
      try bench.volume.write(noise(10), to: path, mode: mode, modified: time)
      if geteuid() == 0 {
        try bench.volume.setOwner(of: path, owner: 1234, group: 567, at: "test.owner")
        let file = try bench.volume.open(path, .read, at: "test.open")
        try file.setMode(mode, at: "test.mode")
      }
      return TargetBench.Order(upload: try bench.upload(path))
    }
    try bench.withSession { session throws in
      #expect(try bench.archive(orders, session).arePublished)
      let seen = try session.status(of: orders.map(\.upload.path))
      for (order, status) in zip(orders, seen) {
        let wanted = TargetStatus(size: order.upload.size, modified: order.upload.metadata.modified)
        #expect(status?.matches(wanted) == true, "\(order.upload.path)")
      }
    }
    for order in orders {
      let copy = try #require(try bench.nas.status(of: order.upload.path, at: "test"))
      #expect(copy.mode == order.upload.metadata.mode)
      var modified = order.upload.metadata.modified
      if !kind.keepsNanoseconds { modified.nanoseconds = 0 }
      #expect(copy.modified == modified)
      if geteuid() == 0 { #expect(copy.owner == 1234 && copy.group == 567) }
    }
  }

  @Test(arguments: TargetKind.all.filter(\.keepsAttributes))
  func attributesComeAlongWhereTheTargetKeepsThem(_ kind: TargetKind) throws {
    let bench = try kind.make()
    try bench.volume.write(noise(10), to: "a")
    try bench.volume.setAttribute("user.colour", to: [1, 0, 255], of: "a", at: "test")
    let order = TargetBench.Order(upload: try bench.upload("a"))
    try bench.withSession { _ = try bench.archive([order], $0) }
    #expect(try bench.nas.attribute("user.colour", of: "volume/a", at: "test") == [1, 0, 255])
  }

  @Test(arguments: TargetKind.all)
  func deepTreesAreMade(_ kind: TargetKind) throws {
    let bench = try kind.make()
    let deep = (0..<60).reduce(RelativePath.root) { path, level in
      path.appending(FileName("level \(level) of a deep tree")!)
    }
    let orders = try [deep.appending(FileName("file")!), deep.parent.appending(FileName("beside")!)].map {
      TargetBench.Order(upload: try bench.upload($0, noise(99)))
    }
    try bench.withSession { session throws in
      #expect(try bench.archive(orders, session).arePublished)
    }
    for order in orders { #expect(try bench.nas.read(order.upload.path) == noise(99)) }
  }

  @Test(arguments: TargetKind.all)
  func nothingHasItsFinalNameBeforeItIsPublished(_ kind: TargetKind) throws {
    let bench = try kind.make()
    let upload = try bench.upload("a", noise(100))
    try bench.withSession { session throws in
      #expect(try bench.stage([upload], session)[0].hash == sha256(noise(100)))
      #expect(try bench.nas.status(of: upload.path, at: "test") == nil)
    }
  }

  @Test(arguments: TargetKind.all)
  func nothingIsLeftBesideThePublished(_ kind: TargetKind) throws {
    let bench = try kind.make()
    let orders = try (0..<20).map {
      TargetBench.Order(upload: try bench.upload(RelativePath("f\($0)")!, noise($0)))
    }
    try bench.withSession { _ = try bench.archive(orders, $0) }
    #expect(try bench.nasTree() == (orders.map(\.upload.path.escaped) + ["volume/"]).sorted())
  }

  @Test(arguments: TargetKind.all)
  func eachUploadIsReportedOnceWhateverBecomesOfIt(_ kind: TargetKind) throws {
    let bench = try kind.make()
    let good = try (0..<150).map { try bench.upload(RelativePath("good/\($0)")!, noise($0 * 17)) }
    let short = try (0..<5).map { index in
      var upload = try bench.upload(RelativePath("short/\(index)")!, noise(1000))
      upload.size += 10
      return upload
    }
    let long = try (0..<5).map { index in
      var upload = try bench.upload(RelativePath("long/\(index)")!, noise(3 << 20))
      upload.size -= 1
      return upload
    }
    let broken = try (0..<5).map { index in
      var upload = try bench.upload(RelativePath("broken/\(index)")!, noise(1000 << index * 3))
      upload.source = UnreadableFile(upload.source)
      return upload
    }
    try bench.withSession { session in
      let outcomes = try bench.stage(good + short + long + broken, session)
      for (upload, outcome) in zip(good, outcomes) {
        #expect(outcome.hash != nil, "\(upload.path): \(outcome)")
      }
      for outcome in outcomes.dropFirst(good.count).prefix(10) {
        #expect(outcome.error?.code == .fileChanged)
      }
      for outcome in outcomes.suffix(5) {
        #expect(outcome.error?.code == .volumeUnavailable)
        #expect(outcome.error?.cause?.contains("EIO") == true)
      }
      let orders = zip(good, outcomes).map { (TargetBench.Order(upload: $0), $1.hash!) }
      #expect(try bench.publish(orders, session).arePublished)
    }
    #expect(try bench.nas.list("volume", at: "test").map(\.name.description) == ["good"])
    #expect(try bench.nas.list("volume/good", at: "test").count == good.count)
  }
}

/// Reads fail as they do on a dying disk; all else works.
final class UnreadableFile: OpenFile {
  private let file: any OpenFile
  init(_ file: any OpenFile) { self.file = file }

  func read(into buffer: UnsafeMutableRawBufferPointer, offset: Int64, at site: CallSite) throws(SyscallError)
    -> Int
  {
    throw SyscallError(call: "pread", path: "broken", errno: EIO)
  }

  var rawDescriptor: Int32 { file.rawDescriptor }
  func status(at site: CallSite) throws(SyscallError) -> FileStatus { try file.status(at: site) }
  func write(_ buffer: UnsafeRawBufferPointer, offset: Int64, at site: CallSite) throws(SyscallError) {
    try file.write(buffer, offset: offset, at: site)
  }
  func dataRange(from offset: Int64, at site: CallSite) throws(SyscallError) -> Range<Int64>? {
    try file.dataRange(from: offset, at: site)
  }
  func truncate(to size: Int64, at site: CallSite) throws(SyscallError) {
    try file.truncate(to: size, at: site)
  }
  func freeContent(at site: CallSite) throws(SyscallError) { try file.freeContent(at: site) }
  func sync(at site: CallSite) throws(SyscallError) { try file.sync(at: site) }
  func attributes(at site: CallSite) throws(SyscallError) -> [ExtendedAttribute] {
    try file.attributes(at: site)
  }
  func attribute(_ name: String, at site: CallSite) throws(SyscallError) -> [UInt8]? {
    try file.attribute(name, at: site)
  }
  func setAttribute(_ name: String, to value: [UInt8], at site: CallSite) throws(SyscallError) {
    try file.setAttribute(name, to: value, at: site)
  }
  func removeAttribute(_ name: String, at site: CallSite) throws(SyscallError) {
    try file.removeAttribute(name, at: site)
  }
  func setMode(_ mode: UInt16, at site: CallSite) throws(SyscallError) { try file.setMode(mode, at: site) }
  func setOwner(_ owner: UInt32, group: UInt32, at site: CallSite) throws(SyscallError) {
    try file.setOwner(owner, group: group, at: site)
  }
  func setTimes(modified: FileTime, accessed: FileTime, at site: CallSite) throws(SyscallError) {
    try file.setTimes(modified: modified, accessed: accessed, at: site)
  }
  func takeLease(_ lease: Lease, at site: CallSite) throws(SyscallError) {
    try file.takeLease(lease, at: site)
  }
  func leaseIsUndisturbed(at site: CallSite) throws(SyscallError) -> Bool {
    try file.leaseIsUndisturbed(at: site)
  }
  func dropLease(at site: CallSite) throws(SyscallError) { try file.dropLease(at: site) }
  func close() { file.close() }
}
