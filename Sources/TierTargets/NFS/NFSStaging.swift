import TierCore
import TierLinux

/// What all uploads of one `stage` share.
final class NFSStaging {
  let connection: NFSConnection
  /// `.tierd/tmp`.
  let directory: NFSHandle
  let limits: NFSLimits
  let address: String
  /// False once the server refused to set an owner: its squash forbids it, and the manifest keeps the owner.
  var setsOwner: Bool
  /// For one piece of a source; libnfs copies it while it queues the call.
  let buffer: UnsafeMutableRawBufferPointer
  /// What makes it pointless to go on with any file.
  var ending: TierError?

  init(_ connection: NFSConnection, directory: NFSHandle, limits: NFSLimits, address: String, setsOwner: Bool)
  {
    self.connection = connection
    self.directory = directory
    self.limits = limits
    self.address = address
    self.setsOwner = setsOwner
    buffer = .allocate(byteCount: limits.writeSize, alignment: 4096)
  }

  deinit { buffer.deallocate() }
}

/// An upload's content, read once from its start to its end, hashed, and checked for its length.
struct NFSUploadContent {
  private let upload: Upload
  private var offset: Int64 = 0
  private var data: Range<Int64> = 0..<0
  private var hasher = SHA256Hasher()

  /// Looking for holes in files up to this costs more than it saves.
  private static let sizeWithoutHoles = 64 << 10

  init(_ upload: Upload) { self.upload = upload }

  /// Known at the end. An empty file ends with no byte at all, which is the same.
  var endsWithHole: Bool { data.isEmpty || data.upperBound < upload.size }

  /// The rest of the data from here to the next hole, nil at the end. Holes are hashed as the zeros they read as.
  mutating func nextRange() throws(TierError) -> Range<Int64>? {
    while offset < upload.size, !data.contains(offset) {
      guard upload.size > Self.sizeWithoutHoles else {
        data = 0..<upload.size
        break
      }
      do throws(SyscallError) {
        let found = try upload.source.dataRange(from: offset, at: "nfs.stage.extent")
        data = (found ?? upload.size..<upload.size).clamped(to: offset..<upload.size)
      } catch {
        throw TierError(error)
      }
      hashZeros(data.lowerBound - offset)
      offset = data.lowerBound
    }
    return offset < upload.size ? offset..<data.upperBound : nil
  }

  /// Reads on, within the next range.
  mutating func readNext(into piece: UnsafeMutableRawBufferPointer) throws(TierError) {
    try read(into: piece, at: offset)
    hasher.update(UnsafeRawBufferPointer(piece))
    offset += Int64(piece.count)
  }

  /// Fills all of `piece`.
  func read(into piece: UnsafeMutableRawBufferPointer, at offset: Int64) throws(TierError) {
    let count: Int
    do throws(SyscallError) {
      count = try Content.fill(piece, from: upload.source, offset: offset, at: "nfs.stage.read")
    } catch {
      throw TierError(error)
    }
    if count < piece.count { throw changed("it ends at byte \(offset + Int64(count)) of \(upload.size)") }
  }

  /// After all ranges: the hash of the whole.
  mutating func finish() throws(TierError) -> ContentHash {
    var byte: UInt8 = 0
    do throws(SyscallError) {
      let count = try withUnsafeMutablePointer(to: &byte) { pointer throws(SyscallError) in
        try upload.source.read(
          into: UnsafeMutableRawBufferPointer(start: pointer, count: 1), offset: upload.size,
          at: "nfs.stage.end")
      }
      guard count > 0 else { return hasher.finish() }
    } catch {
      throw TierError(error)
    }
    throw changed("it is longer than \(upload.size) bytes")
  }

  private mutating func hashZeros(_ count: Int64) {
    guard count > 0 else { return }
    let zeros = [UInt8](repeating: 0, count: Int(min(count, 1 << 20)))
    var left = Int(count)
    while left > 0 {
      zeros.withRawBytes { hasher.update(UnsafeRawBufferPointer(rebasing: $0.prefix(left))) }
      left -= min(left, zeros.count)
    }
  }

  private func changed(_ cause: String) -> TierError {
    TierError(
      .fileChanged, "it was written while it was copied: tierd takes it again later",
      path: upload.sourcePath.escaped, cause: cause, disposition: .retry)
  }
}
