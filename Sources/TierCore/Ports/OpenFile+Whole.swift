/// Small files, whole.
extension OpenFile {
  /// Up to `limit` bytes from the start.
  package func readAll(limit: Int, at site: CallSite) throws(SyscallError) -> [UInt8] {
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

  package func writeAll(_ bytes: [UInt8], at site: CallSite) throws(SyscallError) {
    var failure: SyscallError?
    bytes.withUnsafeBytes { buffer in
      do throws(SyscallError) { try write(buffer, offset: 0, at: site) } catch { failure = error }
    }
    if let failure { throw failure }
  }
}
