import TierCore
import TierLinux

extension FileSystem {
  func makeDirectoryIfMissing(_ path: RelativePath, mode: UInt16, at site: CallSite) throws(SyscallError) {
    do throws(SyscallError) {
      try makeDirectory(path, mode: mode, at: site)
    } catch {
      guard error.isTaken else { throw error }
    }
  }
}

extension OpenFile {
  /// Up to `limit` bytes from the start.
  func readAll(limit: Int, at site: CallSite) throws(SyscallError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: limit)
    var length = 0
    while length < limit {
      var failure: SyscallError?
      let read = bytes.withUnsafeMutableBytes { buffer -> Int in
        let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[length...])
        do throws(SyscallError) {
          return try self.read(into: rest, offset: Int64(length), at: site)
        } catch {
          failure = error
          return 0
        }
      }
      if let failure { throw failure }
      if read == 0 { break }
      length += read
    }
    return Array(bytes[..<length])
  }

  /// Of everything from the start.
  func contentHash(at site: CallSite) throws(SyscallError) -> ContentHash {
    var hasher = SHA256Hasher()
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
    defer { buffer.deallocate() }
    var offset: Int64 = 0
    while true {
      let length = try read(into: buffer, offset: offset, at: site)
      if length == 0 { return hasher.finish() }
      hasher.update(UnsafeRawBufferPointer(rebasing: buffer[..<length]))
      offset += Int64(length)
    }
  }

  func writeAll(_ bytes: [UInt8], at site: CallSite) throws(SyscallError) {
    var failure: SyscallError?
    bytes.withUnsafeBytes { buffer in
      do throws(SyscallError) { try write(buffer, offset: 0, at: site) } catch { failure = error }
    }
    if let failure { throw failure }
  }
}
