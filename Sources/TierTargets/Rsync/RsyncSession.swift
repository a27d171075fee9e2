import TierCore
import TierLinux

/// One window over rsync: no connection stays open in it; each step is one run of the program.
final class RsyncSession: TargetSession {
  let program: RsyncProgram
  let address: String
  /// Nil once closed.
  private var openScratch: RsyncScratch?
  /// Below the root, seen to be directories.
  var knownDirectories: Set<RelativePath> = [.root]
  /// What was hashed in this window, so that it needn't be again.
  var hashedVersions: [ArchiveID: RsyncSourceVersion] = [:]

  /// Fetched at once, in bytes: bounds the scratch folder's size, unless a single file is larger.
  private static let bytesPerFetch: Int64 = 256 << 20
  private static let filesPerFetch = 4096
  private static let namesPerListing = 20_000

  init(program: RsyncProgram, scratch: RsyncScratch, address: String) {
    self.program = program
    self.address = address
    openScratch = scratch
  }

  var instance: UInt64? { nil }

  func close() {
    openScratch?.removeAll()
    openScratch = nil
  }

  func scratch() throws(TierError) -> RsyncScratch {
    guard let openScratch else {
      throw TierError(.internalFault, "this window on the target is closed", path: address)
    }
    return openScratch
  }

  // MARK: Looking

  func status(of paths: [RelativePath]) throws(TierError) -> [TargetStatus?] {
    let found = try statuses(of: Set(paths))
    return paths.map { found[$0] }
  }

  func statuses(of paths: Set<RelativePath>) throws(TierError) -> [RelativePath: TargetStatus] {
    try listed(paths).mapValues(\.status)
  }

  /// Those that exist.
  func listed(_ paths: Set<RelativePath>) throws(TierError) -> [RelativePath: RsyncText.Listed] {
    var found: [RelativePath: RsyncText.Listed] = [:]
    // Names that nothing can have would break the connection.
    let possible = paths.filter { path in path.components.allSatisfy { $0.bytes.count <= 255 } }
    for names in possible.sorted().portions(of: Self.namesPerListing) {
      for entry in try listing(names.map { remote($0).bytes }) {
        guard let path = RelativePath(entry.path).flatMap(local), possible.contains(path) else { continue }
        found[path] = entry
      }
    }
    return found
  }

  func list(_ directory: RelativePath) throws(TierError) -> [TargetEntry] {
    try listEverything(in: directory).filter { entry in
      !entry.isDirectory || !TargetLayout.foreignFolders.contains(entry.name)
    }
  }

  func listEverything(in directory: RelativePath) throws(TierError) -> [TargetEntry] {
    // The slash asks for the content.
    let place = remote(directory)
    let name = (place.isRoot ? [.dot] : place.bytes) + [.slash]
    return try listing([name]).compactMap { entry in
      guard let path = RelativePath(entry.path).flatMap(local), path != directory, path.parent == directory,
        let name = path.name
      else { return nil }
      return TargetEntry(name: name, isDirectory: entry.isDirectory, status: entry.status)
    }
  }

  private func listing(_ names: [[UInt8]]) throws(TierError) -> [RsyncText.Listed] {
    let scratch = try scratch()
    let list = try scratch.makeForwardedList(names)
    let nowhere = try scratch.makeFolder()
    defer {
      scratch.remove(list)
      scratch.remove(nowhere)
    }
    let options = [
      "--list-only", "--dirs", "--no-human-readable", "--relative", "--no-implied-dirs", "--from0",
    ]
    let outcome = try program.run(
      options.asArguments + [RsyncSession.option("--files-from=", scratch.absolute(list))],
      features: [.ignoreMissing], to: scratch.absolute(nowhere))
    if let complaint = outcome.complaints.first(where: { !RsyncText.isTheEnd($0) }) {
      throw TierError(
        .targetFailed, "the rsync server couldn't look at everything: let its user read there", path: address,
        cause: EscapedText.encode(complaint), disposition: .retry)
    }
    return outcome.output.compactMap(RsyncText.listed)
  }

  /// What is read from the server is named from its module's root on; what is written, from the folder on.
  func remote(_ path: RelativePath) -> RelativePath { program.settings.folder.appending(path) }
  func local(_ path: RelativePath) -> RelativePath? { path.relative(to: program.settings.folder) }

  static func option(_ name: String, _ path: [UInt8]) -> [UInt8] { Array(name.utf8) + path }

  // MARK: Reading

  func fetch(_ downloads: [Download], report: (Download, FetchOutcome) -> Void) throws(TierError) {
    for group in downloads.portions(of: Self.filesPerFetch, Self.bytesPerFetch, { $0.size }) {
      try fetchToScratch(group.map(\.path), bytes: group.reduce(0) { $0 + $1.size }) { index, fetched in
        let download = group[index]
        switch fetched {
        case .missing: report(download, .missing)
        case .failed(let error): report(download, .failed(error))
        case .here(let file, let size):
          do throws(Content.Failure) {
            report(
              download, .fetched(try Content.copy(file, to: download.destination, size: size), size: size))
          } catch { report(download, .failed(TierError(reading: error, download.path))) }
        }
      }
    }
  }

  /// The protocol can't: each copy comes here, whole, and goes again.
  func hash(_ paths: [RelativePath], report: (RelativePath, HashOutcome) -> Void) throws(TierError) {
    let sizes = try statuses(of: Set(paths)).mapValues(\.size)
    for group in paths.portions(of: Self.filesPerFetch, Self.bytesPerFetch, { sizes[$0] ?? 0 }) {
      try fetchToScratch(group, bytes: group.reduce(0) { $0 + (sizes[$1] ?? 0) }) { index, fetched in
        let path = group[index]
        switch fetched {
        case .missing: report(path, .missing)
        case .failed(let error): report(path, .failed(error))
        case .here(let file, let size):
          do throws(Content.Failure) {
            report(path, .hashed(try Content.hash(file, size: size), size: size))
          } catch { report(path, .failed(TierError(reading: error, path))) }
        }
      }
    }
  }

  enum Fetched {
    case here(any OpenFile, size: Int64)
    case missing
    case failed(TierError)
  }

  /// Calls `body` for each of the paths, with its index. What has its name here is whole: rsync compares the
  /// content's checksum before it gives a file its name.
  func fetchToScratch(_ paths: [RelativePath], bytes: Int64, _ body: (Int, Fetched) throws(TierError) -> Void)
    throws(TierError)
  {
    let scratch = try scratch()
    let folder = try scratch.makeFolder()
    let list = try scratch.makeForwardedList(paths.map { remote($0).bytes })
    defer {
      scratch.remove(folder)
      scratch.remove(list)
    }
    let options = [
      "--dirs", "--relative", "--no-implied-dirs", "--sparse", "--whole-file", "--perms", "--times",
      "--from0",
    ]
    let outcome = try program.run(
      options.asArguments + [RsyncSession.option("--files-from=", scratch.absolute(list))],
      features: [.ignoreMissing], to: scratch.absolute(folder), bytes: bytes)
    var absent: [Int] = []
    for (index, path) in paths.enumerated() {
      guard let (file, size) = Self.regularFile(folder.appending(remote(path)), in: scratch) else {
        absent.append(index)
        continue
      }
      defer { file.close() }
      try body(index, .here(file, size: size))
      scratch.remove(folder.appending(remote(path)))
    }
    guard !absent.isEmpty else { return }
    let standing = try statuses(of: Set(absent.map { paths[$0] }))
    for index in absent {
      guard standing[paths[index]] != nil else {
        try body(index, .missing)
        continue
      }
      let error = RsyncTrouble.ofFile(
        paths[index], outcome.complaints,
        otherwise: "rsync didn't fetch it: it is no regular file, or unreadable")
      try body(index, .failed(error))
    }
  }

  private static func regularFile(_ path: RelativePath, in scratch: RsyncScratch) -> (any OpenFile, Int64)? {
    guard let file = try? scratch.files.open(path, .read, at: "rsync.fetched.open") else { return nil }
    guard let size = try? file.status(at: "rsync.fetched.status").size else { return nil }
    return (file, size)
  }

  // MARK: Records

  func writeRecord(_ bytes: [UInt8], to path: RelativePath) throws(TierError) {
    let scratch = try scratch()
    let folder = try scratch.makeFolder()
    defer { scratch.remove(folder) }
    try scratch.write(bytes, to: folder.appending(path))
    try send(
      [path], from: folder, ["--ignore-times", "--temp-dir=.tierd/tmp"].asArguments, bytes: Int64(bytes.count)
    )
  }

  func readRecord(_ path: RelativePath, limit: Int) throws(TierError) -> [UInt8]? {
    guard let status = try statuses(of: [path])[path] else { return nil }
    guard status.size <= Int64(limit) else {
      throw TargetLayout.recordTooLong(path, limit: limit, at: address)
    }
    var record: [UInt8]?
    try fetchToScratch([path], bytes: status.size) { _, fetched throws(TierError) in
      switch fetched {
      case .missing: return
      case .failed(let error): throw error
      case .here(let file, let size):
        guard size <= Int64(limit) else {
          throw TargetLayout.recordTooLong(path, limit: limit, at: address)
        }
        var bytes = [UInt8](repeating: 0, count: Int(size))
        do throws(SyscallError) {
          _ = try bytes.withMutableRawBytes { buffer throws(SyscallError) in
            try Content.fill(buffer, from: file, offset: 0, at: "rsync.record.read")
          }
        } catch { throw TierError(error) }
        record = bytes
      }
    }
    return record
  }

  /// Sends the listed paths of a scratch folder to the same paths on the target.
  @discardableResult
  func send(
    _ paths: [RelativePath], from folder: RelativePath, _ options: [[UInt8]], bytes: Int64 = 0,
    disturbed: () -> Bool = { false }
  ) throws(TierError) -> RsyncProgram.Outcome {
    let scratch = try scratch()
    let list = try scratch.makeList(paths)
    defer { scratch.remove(list) }
    let common = ["--relative", "--no-implied-dirs", "--copy-links", "--whole-file", "--sparse", "--from0"]
    return try program.run(
      common.asArguments + options + [RsyncSession.option("--files-from=", scratch.absolute(list))],
      features: options.contains(Array("--dry-run".utf8)) ? [] : [.fsync],
      from: scratch.absolute(folder) + [.slash], bytes: bytes, disturbed: disturbed)
  }

  // MARK: The window's begin

  func readFormat() throws(TierError) -> (format: [UInt8]?, hasTemporary: Bool) {
    let scratch = try scratch()
    let folder = try scratch.makeFolder()
    let list = try scratch.makeForwardedList(
      [TargetLayout.format, TargetLayout.temporary].map { remote($0).bytes })
    defer {
      scratch.remove(folder)
      scratch.remove(list)
    }
    let options = ["--dirs", "--relative", "--no-implied-dirs", "--from0"]
    _ = try program.run(
      options.asArguments + [RsyncSession.option("--files-from=", scratch.absolute(list))],
      features: [.ignoreMissing], to: scratch.absolute(folder))
    let temporary = try? scratch.files.status(
      of: folder.appending(remote(TargetLayout.temporary)), at: "rsync.format")
    guard let (file, size) = Self.regularFile(folder.appending(remote(TargetLayout.format)), in: scratch)
    else {
      return (nil, temporary != nil)
    }
    defer { file.close() }
    guard size <= Int64(TargetLayout.formatLimit) else {
      throw TargetLayout.recordTooLong(TargetLayout.format, limit: TargetLayout.formatLimit, at: address)
    }
    var bytes = [UInt8](repeating: 0, count: Int(size))
    do throws(SyscallError) {
      _ = try bytes.withMutableRawBytes { buffer throws(SyscallError) in
        try Content.fill(buffer, from: file, offset: 0, at: "rsync.format.read")
      }
    } catch { throw TierError(error) }
    return (bytes, temporary != nil)
  }

  /// Makes the target's folder, if need be, and `.tierd` in it.
  func writeSkeleton(withFormat: Bool) throws(TierError) {
    let scratch = try scratch()
    let skeleton = try scratch.makeFolder()
    defer { scratch.remove(skeleton) }
    try scratch.ensureDirectory(skeleton.appending(remote(TargetLayout.temporary)))
    if withFormat {
      try scratch.write(TargetLayout.formatText, to: skeleton.appending(remote(TargetLayout.format)))
    }
    _ = try program.run(
      ["--recursive", "--ignore-existing"].asArguments, features: [.fsync],
      from: scratch.absolute(skeleton) + [.slash], intoModule: true)
  }
}

extension Array {
  /// In order, each with at most `count` elements.
  func portions(of count: Int) -> [ArraySlice<Element>] {
    portions(of: count, .max, { _ in 0 }).map { $0[...] }
  }

  /// In order, each with at most `count` elements and, unless it is one alone, at most `weight` of `weigh`.
  func portions(of count: Int, _ weight: Int64, _ weigh: (Element) -> Int64) -> [[Element]] {
    var portions: [[Element]] = []
    var portion: [Element] = []
    var total: Int64 = 0
    for element in self {
      let addition = weigh(element)
      if !portion.isEmpty, portion.count == count || total + addition > weight {
        portions.append(portion)
        portion = []
        total = 0
      }
      portion.append(element)
      total += addition
    }
    if !portion.isEmpty { portions.append(portion) }
    return portions
  }
}
