import Glibc
import TierCore
import TierLinux

extension NFSSession {
  func fetch(_ downloads: [Download], report: (Download, FetchOutcome) -> Void) throws(TierError) {
    try read(downloads, path: \.path) { download in
      { bytes, offset throws(TierError) in try Self.write(bytes, to: download.destination, offset: offset) }
    } report: { download, outcome in
      switch outcome {
      case .hashed(let hash, let size):
        do throws(SyscallError) {
          // Where it ends with zeros, which weren't written.
          try download.destination.truncate(to: size, at: "nfs.fetch.truncate")
          report(download, .fetched(hash, size: size))
        } catch {
          report(download, .failed(TierError(error)))
        }
      case .missing: report(download, .missing)
      case .failed(let error): report(download, .failed(error))
      }
    }
  }

  /// Blocks of zeros become holes: NFSv3 doesn't tell where the copy's holes are.
  private static func write(_ bytes: UnsafeRawBufferPointer, to file: any OpenFile, offset: Int64)
    throws(TierError)
  {
    let block = 64 << 10
    var start = 0
    while start < bytes.count {
      guard !bytes.isZero(start..<min(start + block, bytes.count)) else {
        start += block
        continue
      }
      var end = min(start + block, bytes.count)
      while end < bytes.count, !bytes.isZero(end..<min(end + block, bytes.count)) {
        end = min(end + block, bytes.count)
      }
      do throws(SyscallError) {
        let run = UnsafeRawBufferPointer(rebasing: bytes[start..<end])
        try file.write(run, offset: offset + Int64(start), at: "nfs.fetch.write")
      } catch {
        throw TierError(error)
      }
      start = end
    }
  }

  func hash(_ paths: [RelativePath], report: (RelativePath, HashOutcome) -> Void) throws(TierError) {
    try read(paths, path: \.self, sink: { _ in nil }, report: report)
  }

  func readRecord(_ path: RelativePath, limit: Int) throws(TierError) -> [UInt8]? {
    var content: [UInt8] = []
    guard let status = try status(of: [path])[0] else { return nil }
    guard status.size <= limit else { throw TargetLayout.recordTooLong(path, limit: limit, at: address) }
    var result: HashOutcome = .missing
    try read([path], path: \.self) { _ in
      { bytes, _ in content += bytes }
    } report: {
      result = $1
    }
    switch result {
    case .hashed: return content
    case .missing: return nil
    case .failed(let error): throw error
    }
  }

  private func read<Item>(
    _ items: [Item], path: (Item) -> RelativePath, sink: (Item) -> NFSReader.Sink?,
    report: (Item, HashOutcome) -> Void
  ) throws(TierError) {
    let batch = 256
    for start in stride(from: 0, to: items.count, by: batch) {
      let items = items[start..<min(start + batch, items.count)]
      let found = try tree.lookup(items.map(path))
      var reads = zip(items, found).makeIterator()
      let next: () -> NFSFileRead<Item>? = { [connection, limits] in
        reads.next().map { item, found in
          NFSFileRead(item, found, connection, pieceSize: limits.readSize, sink: sink(item))
        }
      }
      try connection.run(next) { file throws(TierError) in
        report(file.item, try file.outcome(path(file.item), at: address))
      }
    }
  }
}

/// One file on its way from the target.
private final class NFSFileRead<Item>: NFSTransfer {
  let item: Item
  private let found: Result<NFSConnection.Found?, NFSRefusal>
  private let reader: NFSReader?

  init(
    _ item: Item, _ found: Result<NFSConnection.Found?, NFSRefusal>, _ connection: NFSConnection,
    pieceSize: Int,
    sink: NFSReader.Sink?
  ) {
    self.item = item
    self.found = found
    if case .success(let file?) = found, file.attributes.isRegular {
      reader = NFSReader(
        connection, file.handle, size: file.attributes.size, pieceSize: pieceSize, sink: sink)
    } else {
      reader = nil
    }
  }

  func pump(_ budget: NFSBudget) { reader?.pump(budget) }

  var isFinished: Bool { reader.map { $0.outcome != nil && $0.callsInFlight == 0 } ?? true }

  func outcome(_ path: RelativePath, at address: String) throws(TierError) -> HashOutcome {
    switch (found, reader?.outcome) {
    case (.success(let file?), .success(let hash)?): return .hashed(hash, size: file.attributes.size)
    case (_, .failure(.refused(let refusal))?) where refusal.status == .noEntry: return .missing
    case (_, .failure(.refused(let refusal))?), (.failure(let refusal), _):
      if refusal.status == .notDirectory { return .missing }
      return .failed(TierError(refusal, path, at: address))
    case (_, .failure(.differs(let cause))?):
      return .failed(
        TierError(
          .targetCopyDiffers, "it changed on the target while it was read",
          path: "\(address)/\(path.escaped)",
          cause: cause, disposition: .retry))
    case (_, .failure(.destination(let error))?): return .failed(error)
    case (.success(_?), nil):
      return .failed(
        TierError(
          .targetCopyDiffers, "what stands there is no regular file", path: "\(address)/\(path.escaped)"))
    case (.success(nil), nil), (.success(nil), .success): return .missing
    }
  }
}

extension UnsafeRawBufferPointer {
  fileprivate func isZero(_ range: Range<Int>) -> Bool {
    guard let base = baseAddress, !range.isEmpty else { return true }
    // Each byte equals its neighbour, and the first is zero.
    return self[range.lowerBound] == 0
      && memcmp(base + range.lowerBound, base + range.lowerBound + 1, range.count - 1) == 0
  }
}
