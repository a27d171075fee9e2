import Glibc
import TierCore
import TierLinux
import TierTestSupport

/// What has gathered in a volume over the years: names, sizes, modes, owners, times and attributes of all kinds. The
/// same seed makes the same tree.
struct MixedTree {
  struct File {
    var path: RelativePath
    var size: Int64
    /// What isn't data is a hole.
    var data: [Range<Int64>]
    /// Into the pool; together with the index, so that no two files are the same.
    var source: Int
    var mode: UInt16 = 0o644
    var owner: UInt32 = 0
    var group: UInt32 = 0
    var modified = FileTime(seconds: 0, nanoseconds: 0)
    var accessed = FileTime(seconds: 0, nanoseconds: 0)
    var attributes: [ExtendedAttribute] = []

    var isSparse: Bool { data.reduce(0) { $0 + Int64($1.count) } < size }
  }

  private(set) var files: [File] = []
  private var random: SplitMix
  private let pool: [UInt8]

  /// Below `root`; the largest file has `largest` bytes, 8 MiB or more.
  init(seed: UInt64, files count: Int, largest: Int64, below root: RelativePath) {
    random = SplitMix(state: seed)
    var random = random
    pool = (0..<(2 * Self.poolBytes / 8)).flatMap { _ in withUnsafeBytes(of: random.next(), Array.init) }
    self.random = random
    let folders = makeFolders(below: root)
    var taken = Set(folders)
    while files.count < count {
      let index = files.count
      var name = index < OddNames.all.count ? OddNames.all[index] : Array("IMG_\(index).jpg".utf8)
      let folder = folders.randomElement(using: &self.random)!
      if index >= OddNames.all.count, chance(10) {
        name = OddNames.all.randomElement(using: &self.random)!
      }
      let path = folder.appending(FileName(name)!)
      if taken.insert(path).inserted { files.append(file(at: path, index, largest)) }
    }
  }

  static let poolBytes = 1 << 20

  private mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }

  /// Wide, deep, and with names of all kinds.
  private mutating func makeFolders(below root: RelativePath) -> [RelativePath] {
    var folders = (0..<20).map { root.appending(FileName("group\($0)")!) }
    for name in OddNames.all {
      folders.append(folders.randomElement(using: &random)!.appending(FileName(name)!))
    }
    var deep = folders[0]
    for level in 0..<24 {
      deep = deep.appending(FileName("level \(level) of a tree that somebody nested by mistake")!)
      if level % 8 == 7 { folders.append(deep) }
    }
    return folders
  }

  private mutating func file(at path: RelativePath, _ index: Int, _ largest: Int64) -> File {
    let size = size(index, largest)
    var file = File(
      path: path, size: size, data: [0..<size], source: Int.random(in: 0..<Self.poolBytes, using: &random))
    if let sparse = Self.sparse[safe: index - 12] { (file.size, file.data) = sparse }
    file.mode = chance(60) ? 0o644 : Self.modes.randomElement(using: &random)!
    if chance(50) { (file.owner, file.group) = Self.owners.randomElement(using: &random)! }
    file.modified = chance(2) ? Self.times.randomElement(using: &random)! : time()
    file.accessed = time()
    file.attributes = attributes(index)
    return file
  }

  private mutating func size(_ index: Int, _ largest: Int64) -> Int64 {
    let edges: [Int64] = [
      0, 1, 4095, 4096, 4097, 65_535, 65_536, 65_537, (1 << 20) - 1, 1 << 20, (1 << 20) + 1,
    ]
    if index < edges.count { return edges[index] }
    if index == edges.count { return largest }
    switch Int.random(in: 0..<1000, using: &random) {
    case 0..<40: return 0
    case 40..<44: return Int64.random(in: 1 << 20...largest / 8, using: &random)
    case 44..<80: return Int64.random(in: 64 << 10...1 << 20, using: &random)
    case 80..<300: return Int64.random(in: 4 << 10...64 << 10, using: &random)
    default: return Int64.random(in: 1...4 << 10, using: &random)
    }
  }

  private mutating func time() -> FileTime {
    FileTime(
      seconds: Int64.random(in: 1_000_000_000...1_750_000_000, using: &random),
      nanoseconds: UInt32.random(in: 0...999_999_999, using: &random))
  }

  private mutating func attributes(_ index: Int) -> [ExtendedAttribute] {
    var attributes: [ExtendedAttribute] = []
    if chance(10) { attributes.append(.init(name: "user.tag", value: Array("holiday \(index)".utf8))) }
    if chance(3) { attributes.append(.init(name: "user.größe.😀", value: [])) }
    if chance(3) { attributes.append(.init(name: "user.binary", value: Array(pool[index..<index + 1500]))) }
    if chance(2) { attributes.append(.init(name: "trusted.other", value: [0, 255, 10])) }
    if chance(5) { attributes.append(.init(name: "system.posix_acl_access", value: Self.accessList)) }
    // cap_net_raw=ep, as setcap writes it.
    if chance(1) {
      attributes.append(
        .init(
          name: "security.capability", value: [1, 0, 0, 2, 0, 32, 0, 0] + [UInt8](repeating: 0, count: 12)))
    }
    return attributes
  }

  // MARK: Writing

  /// As an app does it. `path` and `content` differ from the file's own where it becomes that only later.
  func write(_ file: File, at path: RelativePath, as draft: Int = 0, in files: LinuxFileSystem) throws {
    try files.makeParents(of: path)
    let new = try files.open(path, .create(mode: 0o644), at: "test.write")
    defer { new.close() }
    if draft > 0 {
      try pool.withUnsafeBytes { try new.write(.init(rebasing: $0[..<draft]), offset: 0, at: "test.write") }
    } else {
      try fill(new, file)
    }
  }

  func rewrite(_ file: File, at path: RelativePath, in files: LinuxFileSystem) throws {
    let old = try files.open(path, .readWrite, at: "test.rewrite")
    defer { old.close() }
    try old.truncate(to: 0, at: "test.rewrite")
    try fill(old, file)
  }

  private func fill(_ open: any OpenFile, _ file: File) throws {
    for range in file.data {
      var offset = range.lowerBound
      while offset < range.upperBound {
        let count = Int(min(range.upperBound - offset, Int64(Self.poolBytes)))
        try pool.withUnsafeBytes {
          try open.write(
            .init(rebasing: $0[file.source..<file.source + count]), offset: offset, at: "test.fill")
        }
        offset += Int64(count)
      }
    }
    try open.truncate(to: file.size, at: "test.fill")
    try open.setOwner(file.owner, group: file.group, at: "test.dress")
    try open.setMode(file.mode, at: "test.dress")
    for attribute in file.attributes {
      try open.setAttribute(attribute.name, to: attribute.value, at: "test.dress")
    }
    try open.setTimes(modified: file.modified, accessed: file.accessed, at: "test.dress")
  }

  // MARK: Values

  private static let modes: [UInt16] = [
    0o000, 0o200, 0o400, 0o600, 0o640, 0o755, 0o1644, 0o2755, 0o4755, 0o6711, 0o7777,
  ]

  private static let owners: [(UInt32, UInt32)] = [
    (1000, 1000), (1026, 100), (33, 33), (65_534, 65_534), (4_000_000_000, 7), (0, 4_000_000_000),
  ]

  private static let times: [FileTime] = [
    .init(seconds: 0, nanoseconds: 0), .init(seconds: 0, nanoseconds: 1),
    .init(seconds: 2_147_483_647, nanoseconds: 999_999_999), .init(seconds: 4_000_000_000, nanoseconds: 5),
    // Before 1970 and after 2106 NFSv3 can't say.
    .init(seconds: -1, nanoseconds: 5), .init(seconds: -2_000_000_000, nanoseconds: 0),
    .init(seconds: 4_294_967_296, nanoseconds: 7), .init(seconds: 9_000_000_000, nanoseconds: 999),
  ]

  private static let sparse: [(Int64, [Range<Int64>])] = [
    (24 << 20, []), (16 << 20, [(16 << 20) - 5000..<16 << 20]), (8 << 20, [0..<5000]),
    (20 << 20, [(1 << 20)..<(2 << 20), (10 << 20) + 3..<(10 << 20) + 77]),
  ]

  /// rw for the owner, r for user 1026, nothing for the group, rw as mask, r for others.
  private static let accessList: [UInt8] = {
    let entries: [(tag: UInt16, permissions: UInt16, id: UInt32)] = [
      (0x01, 6, .max), (0x02, 4, 1026), (0x04, 0, .max), (0x10, 6, .max), (0x20, 4, .max),
    ]
    func bytes<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] {
      withUnsafeBytes(of: number.littleEndian, Array.init)
    }
    return bytes(UInt32(2)) + entries.flatMap { bytes($0.tag) + bytes($0.permissions) + bytes($0.id) }
  }()
}

/// Names that programs stumble over.
enum OddNames {
  static let all: [[UInt8]] =
    [
      " leading and trailing ", "-rf", "--help", "two\nlines", "tab\there", "\r", "*", "?", "[a-z]", "\\",
      "\\x41",
      "$(reboot)", "`id`", "quote\"'s", "#comment", ";semicolon", "&", "%n%s", "a:b", "%41", "...", ".hidden",
      "@eaDir",
      "#recycle", "caf\u{E9}", "cafe\u{301}", "日本語", "😀 👩‍👩‍👧", "\u{202E}gnp.exe", "Ω\u{200B}x", "CASE", "case",
      "+ x",
      "- x", "nul", "a.conflict-20260101T000000Z", "\u{1B}[31mred",
    ].map { Array($0.utf8) } + [
      [0xFF], [0xC3, 0x28], Array("latin1-".utf8) + [0xE9, 0xE8], [0x80, 0x0A, 0xFE], [0xED, 0xA0, 0x80],
      [UInt8](repeating: 0x78, count: 255), (0..<85).flatMap { _ in Array("語".utf8) },
      [UInt8](repeating: 0xFE, count: 120),
    ]
}

extension Array {
  fileprivate subscript(safe index: Int) -> Element? { indices.contains(index) ? self[index] : nil }
}
