import TierCore
import TierLinux

/// The bytes that may be under way at once, in either direction: what bounds a session's memory.
final class NFSBudget {
  static let bytes = 16 << 20
  private(set) var available = bytes
  private var wasRefused = false

  func take(_ count: Int) -> Bool {
    guard count <= available else {
      wasRefused = true
      return false
    }
    available -= count
    return true
  }

  /// Whether somebody went without since this was last asked.
  func takeRefusals() -> Bool {
    defer { wasRefused = false }
    return wasRefused
  }

  func giveBack(_ count: Int) { available += count }
}

/// One file on its way, in steps that each wait for an answer of the server.
protocol NFSTransfer: AnyObject {
  /// Goes on as far as it can without waiting. Called after answers to its own calls, and where it may have waited
  /// for budget.
  func pump(_ budget: NFSBudget)
  /// True once nothing of it is under way any more.
  var isFinished: Bool { get }
}

extension NFSConnection {
  /// Files under way at once. A server answers small files in parallel; more than this gains nothing.
  static var filesInFlight: Int { 128 }

  /// Runs what `next` yields, in its order, several at a time; `finished` gets each as it ends.
  func run<Transfer: NFSTransfer>(
    _ next: () -> Transfer?, finished: (Transfer) throws(TierError) -> Void
  ) throws(TierError) {
    let budget = NFSBudget()
    var active: [Int: Transfer] = [:]
    var begun = 0
    while true {
      var due = budget.takeRefusals() ? active.keys.sorted() : takeAnswered().sorted()
      while active.count < Self.filesInFlight, let transfer = next() {
        active[begun] = transfer
        due.append(begun)
        begun += 1
      }
      guard !active.isEmpty else { return }
      var hasRoom = false
      for number in due {
        guard let transfer = active[number] else { continue }
        issuing(for: number) { transfer.pump(budget) }
        guard transfer.isFinished else { continue }
        active[number] = nil
        hasRoom = true
        try finished(transfer)
      }
      if hasRoom { continue }
      guard outstanding > 0 else { throw TierError(.internalFault, "a transfer waits for nothing") }
      try turn()
    }
  }
}

/// Reads a whole file by several calls at once, hashes it in order, and hands the pieces on as they come.
final class NFSReader {
  enum Failure: Error {
    case refused(NFSRefusal)
    /// Not the length that it should have.
    case differs(String)
    case destination(TierError)
  }
  typealias Sink = (_ bytes: UnsafeRawBufferPointer, _ offset: Int64) throws(TierError) -> Void

  private(set) var outcome: Result<ContentHash, Failure>?
  private(set) var callsInFlight = 0
  private let connection: NFSConnection
  private let file: NFSHandle
  private let size: Int64
  private let pieceSize: Int
  private let sink: Sink?
  private var next: Int64 = 0
  private var hashed: Int64 = 0
  private var hasher = SHA256Hasher()
  /// Pieces that came before their turn; counted in the budget.
  private var early: [Int64: [UInt8]] = [:]
  private var isStarted = false

  init(_ connection: NFSConnection, _ file: NFSHandle, size: Int64, pieceSize: Int, sink: Sink? = nil) {
    self.connection = connection
    self.file = file
    self.size = size
    self.pieceSize = pieceSize
    self.sink = sink
  }

  func pump(_ budget: NFSBudget) {
    while outcome == nil {
      // Of an empty file one byte is asked for: it mustn't be there.
      let count =
        isStarted ? Int(min(Int64(pieceSize), size - next)) : Int(min(Int64(pieceSize), max(size, 1)))
      guard count > 0, budget.take(count) else { return }
      isStarted = true
      request(next, count, budget)
      next += Int64(count)
    }
  }

  private func request(_ offset: Int64, _ count: Int, _ budget: NFSBudget) {
    callsInFlight += 1
    connection.read(file, offset: offset, count: count) { [self] answer in
      callsInFlight -= 1
      switch answer {
      case .failure(let refusal):
        budget.giveBack(count)
        end(.failure(.refused(refusal)), budget)
      case .success(let piece):
        took(piece, offset, count, budget)
      }
    }
  }

  private func took(_ piece: NFSConnection.Piece, _ offset: Int64, _ count: Int, _ budget: NFSBudget) {
    let upTo = offset + Int64(piece.bytes.count)
    if outcome != nil || fault(piece, upTo, count) != nil {
      budget.giveBack(count)
      return end(.failure(.differs(fault(piece, upTo, count) ?? "")), budget)
    }
    if upTo < min(size, offset + Int64(count)) { request(upTo, count - piece.bytes.count, budget) }
    guard offset == hashed else {
      early[offset] = Array(piece.bytes)
      return
    }
    consume(piece.bytes, budget)
    budget.giveBack(size == 0 ? count : piece.bytes.count)
    while outcome == nil, let bytes = early.removeValue(forKey: hashed) {
      bytes.withUnsafeBytes { consume($0, budget) }
      budget.giveBack(bytes.count)
    }
    if hashed == size { end(.success(hasher.finish()), budget) }
  }

  /// Where what came can't belong to a file of the expected size.
  private func fault(_ piece: NFSConnection.Piece, _ end: Int64, _ count: Int) -> String? {
    if piece.bytes.count > count { return "the server sent more than was asked for" }
    if end > size { return "longer than \(size) bytes" }
    if end < size, piece.isLast { return "\(end) bytes instead of \(size)" }
    if end < size, piece.bytes.isEmpty { return "the server sent nothing at byte \(end) of \(size)" }
    if end == size, !piece.isLast, let actual = piece.attributes?.size, actual != size {
      return "\(actual) bytes instead of \(size)"
    }
    return nil
  }

  private func consume(_ bytes: UnsafeRawBufferPointer, _ budget: NFSBudget) {
    if !bytes.isEmpty {
      hasher.update(bytes)
      do throws(TierError) { try sink?(bytes, hashed) } catch {
        return end(.failure(.destination(error)), budget)
      }
    }
    hashed += Int64(bytes.count)
  }

  /// The first end counts.
  private func end(_ result: Result<ContentHash, Failure>, _ budget: NFSBudget) {
    if outcome == nil { outcome = result }
    for bytes in early.values { budget.giveBack(bytes.count) }
    early = [:]
  }
}
