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

extension FileSystem {
  /// Swaps a hidden file with what stands at `path`: what came out is at the hidden name then, for the caller to
  /// look at, whatever it is.
  ///
  /// One atomic step where the file system can. GlusterFS can't: there the old name is taken aside first, and
  /// for a moment nobody finds the name; an app that makes a file of that name just then keeps it, and the call
  /// fails with `EEXIST`. A crash or failure in between is mended by `settleSwap`.
  func swap(_ hidden: RelativePath, with path: RelativePath, at site: CallSite) throws(SyscallError) {
    do throws(SyscallError) {
      return try rename(hidden, to: path, .exchange, at: site)
    } catch {
      guard error.isUnsupported else { throw error }
    }
    let aside = hidden.aside
    try rename(path, to: aside, .replace, at: "swap.takeAside")
    do throws(SyscallError) {
      try rename(hidden, to: path, .keepExisting, at: "swap.place")
    } catch {
      try settleSwap(of: hidden, with: path)
      throw error
    }
    try rename(aside, to: hidden, .replace, at: "swap.takeOut")
  }

  /// Brings a swap that was cut off to its end or its beginning. Does nothing where none was.
  func settleSwap(of hidden: RelativePath, with path: RelativePath) throws(SyscallError) {
    let aside = hidden.aside
    guard let taken = try status(of: aside, at: "swap.settleAside") else { return }
    let there = try status(of: path, at: "swap.settleThere")
    let waiting = try status(of: hidden, at: "swap.settleHidden")
    switch (there, waiting) {
    case (nil, _):
      try rename(aside, to: path, .keepExisting, at: "swap.undo")
    case (let there?, _) where there.inode == taken.inode:
      try unlink(aside, at: "swap.undone")
    case (let there?, let waiting?) where there.inode == waiting.inode:
      try unlink(hidden, at: "swap.placed")
      try rename(aside, to: hidden, .replace, at: "swap.finish")
    case (_, nil):
      try rename(aside, to: hidden, .replace, at: "swap.finishOut")
    case (_, let waiting?):
      // An app took the name. Of ours the stub goes, the content stays.
      if taken.kind == .symlink { return try unlink(aside, at: "swap.dropStub") }
      if waiting.kind == .symlink { try rename(aside, to: hidden, .replace, at: "swap.keepContent") }
    }
  }
}

extension RelativePath {
  fileprivate var aside: RelativePath {
    parent.appending(FileName(trusted: (name?.bytes ?? []) + Array("~".utf8)))
  }
}

extension OpenFile {
  func isOpenForWriting(at site: CallSite) throws(SyscallError) -> Bool {
    do throws(SyscallError) {
      try takeLease(.againstWriters, at: site)
      try dropLease(at: site)
      return false
    } catch {
      if error.isBusy { return true }
      throw error
    }
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
}
