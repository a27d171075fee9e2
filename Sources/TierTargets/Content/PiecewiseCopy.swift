import CTierLinux
import Glibc
import Synchronization
import TierCore
import TierLinux

/// Copies one large file in pieces that wander through three threads: the caller's reads and writes, the second
/// hashes, the third waits for the disk, reads back and compares with the very bytes that were read. Memory is
/// bounded by the pieces in circulation.
struct PiecewiseCopy {
  let source: any OpenFile
  /// Nil: only hash.
  let destination: (any OpenFile)?
  let size: Int64
  let readsBack: Bool

  private static let piecesInFlight = 8

  func run() throws(Content.Failure) -> ContentHash {
    let course = Course(destination: readsBack ? destination : nil)
    for _ in 0..<Self.piecesInFlight { course.free.push(Piece()) }
    let hasher = OwnedThread(name: "tierd-hash") { course.hashPieces() }
    let verifier = readsBack ? OwnedThread(name: "tierd-verify") { course.comparePieces() } : nil
    var failure: Content.Failure?
    do throws(Content.Failure) { try feed(course) } catch { failure = error }
    course.toHash.push(nil)
    hasher.join()
    verifier?.join()
    if let failure = failure ?? course.failure { throw failure }
    return course.finishedHash()
  }

  private func feed(_ course: Course) throws(Content.Failure) {
    if let destination {
      try asDestination { () throws(SyscallError) in
        try destination.truncate(to: size, at: "content.truncate")
      }
    }
    _ = tier_advise_sequential(source.rawDescriptor)
    var offset: Int64 = 0
    while offset < size {
      let data: Range<Int64>?
      do throws(SyscallError) {
        data = try source.dataRange(from: offset, at: "content.dataRange")
      } catch { throw .source(error) }
      let start = min(data?.lowerBound ?? size, size)
      if start > offset { course.toHash.push(course.hole(offset..<start)) }
      offset = start
      let end = min(data?.upperBound ?? size, size)
      while offset < end {
        guard course.failure == nil else { return }
        offset += try move(at: offset, end: end, course)
      }
    }
    try checkEnd()
  }

  /// One piece: read, written, sent on.
  private func move(at offset: Int64, end: Int64, _ course: Course) throws(Content.Failure) -> Int64 {
    let piece = course.free.pop()
    let wanted = Int(min(Int64(Content.pieceBytes), end - offset))
    let room = UnsafeMutableRawBufferPointer(rebasing: piece.bytes[..<wanted])
    let count: Int
    do throws(SyscallError) {
      count = try Content.fill(room, from: source, offset: offset, at: "content.read")
    } catch { throw .source(error) }
    guard count == wanted else { throw .length(expected: size) }
    if let destination {
      try asDestination { () throws(SyscallError) in
        try destination.write(UnsafeRawBufferPointer(room), offset: offset, at: "content.write")
      }
      if readsBack { _ = tier_start_writing(destination.rawDescriptor, offset, Int64(wanted)) }
    }
    piece.range = offset..<offset + Int64(wanted)
    course.toHash.push(piece)
    return Int64(wanted)
  }

  /// A file that shrank looks like a hole at its end, one that grew like a whole one.
  private func checkEnd() throws(Content.Failure) {
    let now: FileStatus
    do throws(SyscallError) { now = try source.status(at: "content.status") } catch { throw .source(error) }
    guard now.size == size else { throw .length(expected: size) }
  }

  private func asDestination(_ body: () throws(SyscallError) -> Void) throws(Content.Failure) {
    do throws(SyscallError) { try body() } catch { throw .destination(error) }
  }
}

/// A buffer and the part of the file that it holds. Owned by one thread at a time, by way of the queues.
private final class Piece: @unchecked Sendable {
  let bytes: UnsafeMutableRawBufferPointer
  var range: Range<Int64> = 0..<0
  /// Nothing but zeros, which aren't in `bytes`.
  let isHole: Bool

  init() {
    bytes = .allocate(byteCount: Content.pieceBytes, alignment: 4096)
    isHole = false
  }

  init(hole: Range<Int64>) {
    bytes = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    range = hole
    isHole = true
  }

  var content: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: bytes[..<range.count]) }

  deinit { if !isHole { bytes.deallocate() } }
}

/// What the threads share.
private final class Course: Sendable {
  let free = BlockingQueue<Piece>()
  let toHash = BlockingQueue<Piece?>()
  private let toCompare = BlockingQueue<Piece?>()
  private let destination: (any OpenFile)?
  private let outcome = Mutex<(hasher: SHA256Hasher, failure: Content.Failure?)>((SHA256Hasher(), nil))

  init(destination: (any OpenFile)?) { self.destination = destination }

  var failure: Content.Failure? { outcome.withLock { $0.failure } }
  func finishedHash() -> ContentHash { outcome.withLock { $0.hasher.finish() } }
  func hole(_ range: Range<Int64>) -> Piece { Piece(hole: range) }

  func hashPieces() {
    var hasher = SHA256Hasher()
    let zeros = [UInt8](repeating: 0, count: Content.pieceBytes)
    while let piece = toHash.pop() {
      if piece.isHole {
        var left = piece.range.count
        while left > 0 {
          zeros.withRawBytes { hasher.update(UnsafeRawBufferPointer(rebasing: $0.prefix(left))) }
          left -= min(left, zeros.count)
        }
      } else {
        hasher.update(piece.content)
      }
      if destination != nil { toCompare.push(piece) } else if !piece.isHole { free.push(piece) }
    }
    let final = hasher
    outcome.withLock { $0.hasher = final }
    toCompare.push(nil)
  }

  func comparePieces() {
    guard let destination else { return }
    let scratch = Piece()
    while let piece = toCompare.pop() {
      if failure == nil {
        do throws(Content.Failure) {
          try compare(piece, with: destination, scratch)
        } catch {
          let failure = error
          outcome.withLock { $0.failure = failure }
        }
      }
      if !piece.isHole { free.push(piece) }
    }
  }

  private func compare(_ piece: Piece, with file: any OpenFile, _ scratch: Piece) throws(Content.Failure) {
    if !piece.isHole {
      _ = tier_write_and_forget(file.rawDescriptor, piece.range.lowerBound, Int64(piece.range.count))
      return try compare(piece.content[...], with: file, at: piece.range.lowerBound, scratch)
    }
    let zeros = [UInt8](repeating: 0, count: Content.pieceBytes)
    var offset = piece.range.lowerBound
    while offset < piece.range.upperBound {
      // Where the file system keeps holes there is nothing to read.
      guard let data = try? file.dataRange(from: offset, at: "content.readBack") else { return }
      offset = max(offset, data.lowerBound)
      let count = Int(min(piece.range.upperBound, data.upperBound) - offset)
      guard count > 0 else { return }
      let portion = min(count, zeros.count)
      try zeros.withRawBytes { buffer throws(Content.Failure) in
        try compare(buffer[..<portion], with: file, at: offset, scratch)
      }
      offset += Int64(portion)
    }
  }

  private func compare(
    _ bytes: Slice<UnsafeRawBufferPointer>, with file: any OpenFile, at offset: Int64, _ scratch: Piece
  ) throws(Content.Failure) {
    let room = UnsafeMutableRawBufferPointer(rebasing: scratch.bytes[..<bytes.count])
    let count: Int
    do throws(SyscallError) {
      count = try Content.fill(room, from: file, offset: offset, at: "content.readBack")
    } catch { throw .destination(error) }
    let expected = UnsafeRawBufferPointer(rebasing: bytes)
    guard count == expected.count, memcmp(room.baseAddress!, expected.baseAddress!, count) == 0 else {
      throw .differs(offset: offset)
    }
  }
}
