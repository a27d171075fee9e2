import CTierLinux
import TierCore
import TierLinux

/// The one place where a file's content is read, hashed, copied and compared.
enum Content {
  enum Failure: Error {
    case source(SyscallError)
    case destination(SyscallError)
    /// The source held fewer or more bytes than it was said to.
    case length(expected: Int64)
    /// What was read back isn't what was written.
    case differs(offset: Int64)
  }

  /// Files up to this are copied in one piece; larger ones in pieces of it, read, hashed and compared at once.
  static let pieceBytes = 1 << 20

  /// Reads all `size` bytes; holes cost no reading.
  static func hash(_ file: any OpenFile, size: Int64) throws(Failure) -> ContentHash {
    if size <= Int64(pieceBytes) {
      let bytes = try readWhole(file, size: size)
      return bytes.withRawBytes { SHA256Hasher.hash($0) }
    }
    return try PiecewiseCopy(source: file, destination: nil, size: size, readsBack: false).run()
  }

  /// Copies all `size` bytes into the empty `destination`, keeping holes of larger files.
  static func copy(_ source: any OpenFile, to destination: any OpenFile, size: Int64) throws(Failure)
    -> ContentHash
  {
    if size <= Int64(pieceBytes) {
      return try copySmall(source, to: destination, size: size).hash
    }
    return try PiecewiseCopy(source: source, destination: destination, size: size, readsBack: false).run()
  }

  /// As `copy`; then `seal` sets what belongs to the file and makes it durable, and every byte has been read
  /// back from the disk, not from the page cache, and compared with what the source gave.
  static func copyDurably(
    _ source: any OpenFile, to destination: any OpenFile, size: Int64, seal: () throws(SyscallError) -> Void
  ) throws(Failure) -> ContentHash {
    if size <= Int64(pieceBytes) {
      let (bytes, hash) = try copySmall(source, to: destination, size: size)
      try asDestination(seal)
      _ = tier_drop_cache(destination.rawDescriptor)
      try compare(bytes, with: destination)
      return hash
    }
    let hash = try PiecewiseCopy(source: source, destination: destination, size: size, readsBack: true).run()
    try asDestination(seal)
    return hash
  }

  private static func copySmall(_ source: any OpenFile, to destination: any OpenFile, size: Int64)
    throws(Failure) -> (bytes: [UInt8], hash: ContentHash)
  {
    let bytes = try readWhole(source, size: size)
    do throws(SyscallError) {
      try bytes.withRawBytes { buffer throws(SyscallError) in
        if !buffer.isEmpty { try destination.write(buffer, offset: 0, at: "content.write") }
      }
    } catch { throw .destination(error) }
    return (bytes, bytes.withRawBytes { SHA256Hasher.hash($0) })
  }

  /// Exactly `size` bytes, up to the file's end.
  private static func readWhole(_ file: any OpenFile, size: Int64) throws(Failure) -> [UInt8] {
    // One byte more, so that a file that grew is noticed.
    var bytes = [UInt8](repeating: 0, count: Int(size) + 1)
    let count: Int
    do throws(SyscallError) {
      count = try bytes.withMutableRawBytes { buffer throws(SyscallError) in
        try fill(buffer, from: file, offset: 0, at: "content.read")
      }
    } catch { throw .source(error) }
    guard count == Int(size) else { throw .length(expected: size) }
    bytes.removeLast()
    return bytes
  }

  private static func compare(_ bytes: [UInt8], with file: any OpenFile) throws(Failure) {
    var copy = [UInt8](repeating: 0, count: bytes.count + 1)
    let count: Int
    do throws(SyscallError) {
      count = try copy.withMutableRawBytes { buffer throws(SyscallError) in
        try fill(buffer, from: file, offset: 0, at: "content.readBack")
      }
    } catch { throw .destination(error) }
    guard copy[..<count] == bytes[...] else {
      let offset = zip(copy, bytes).enumerated().first { $1.0 != $1.1 }?.offset ?? min(count, bytes.count)
      throw .differs(offset: Int64(offset))
    }
  }

  private static func asDestination(_ body: () throws(SyscallError) -> Void) throws(Failure) {
    do throws(SyscallError) { try body() } catch { throw .destination(error) }
  }

  /// Fewer bytes than the buffer has only at the file's end.
  static func fill(
    _ buffer: UnsafeMutableRawBufferPointer, from file: any OpenFile, offset: Int64, at site: CallSite
  ) throws(SyscallError) -> Int {
    var filled = 0
    while filled < buffer.count {
      let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[filled...])
      let count = try file.read(into: rest, offset: offset + Int64(filled), at: site)
      if count == 0 { break }
      filled += count
    }
    return filled
  }
}
