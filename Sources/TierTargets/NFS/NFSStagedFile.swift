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

/// One file on its way to `.tierd/tmp`: CREATE, WRITE …, SETATTR, COMMIT and READ … together.
///
/// SETATTR comes before COMMIT, so that the time that identifies the copy later becomes durable with it. READ may
/// then move the access time on the server; the manifest has the real one.
final class NFSStagedFile: NFSTransfer {
  private enum Step { case begin, create, write, change, verify, clearAway, over }

  let upload: Upload
  private(set) var outcome: StageOutcome?
  private let staging: NFSStaging
  private var step = Step.begin
  private var handle: NFSHandle?
  private var callsInFlight = 0
  private var round = 0
  private static let roundsMost = 3

  // Of this round:
  private var offset: Int64 = 0
  private var data: Range<Int64> = 0..<0
  private var hasher = SHA256Hasher()
  private var hash: ContentHash?
  /// What the server took less of than it was sent.
  private var remainders: [Range<Int64>] = []
  private var verifiers: Set<UInt64> = []
  private var isCommitted = false
  private var reader: NFSReader?

  init(_ upload: Upload, _ staging: NFSStaging) {
    self.upload = upload
    self.staging = staging
  }

  var isFinished: Bool { step == .over && callsInFlight == 0 }

  func pump(_ budget: NFSBudget) {
    switch step {
    case .begin: staging.ending == nil ? create(mayReplace: true) : end()
    case .write: writeOn(budget)
    case .verify: verify(budget)
    case .clearAway: clearAway()
    case .create, .change, .over: break
    }
  }

  // MARK: CREATE

  private var name: FileName { upload.archiveID.fileName }
  private var connection: NFSConnection { staging.connection }

  private func create(mayReplace: Bool) {
    step = .create
    callsInFlight += 1
    connection.create(name, in: staging.directory, mode: 0o600) { [self] answer in
      callsInFlight -= 1
      switch answer {
      case .success(let handle):
        self.handle = handle
        step = .write
      case .failure(let refusal) where refusal.status == .exists && mayReplace: replaceLeftover()
      case .failure(let refusal):
        // Where one file can't be made in `.tierd/tmp`, none can.
        if refusal.status.isDenial {
          staging.ending = TierError(refusal, TargetLayout.temporary, at: staging.address)
        }
        fail(refusal)
      }
    }
  }

  private func replaceLeftover() {
    callsInFlight += 1
    connection.remove(name, in: staging.directory) { [self] _ in
      callsInFlight -= 1
      create(mayReplace: false)
    }
  }

  // MARK: WRITE

  private func writeOn(_ budget: NFSBudget) {
    while step == .write, let range = remainders.last ?? nextRange() {
      let count = min(range.count, staging.limits.writeSize)
      guard budget.take(count) else { return }
      let isAgain = !remainders.isEmpty
      if isAgain { remainders.removeLast() }
      let piece = UnsafeMutableRawBufferPointer(rebasing: staging.buffer[..<count])
      guard fill(piece, at: range.lowerBound) else { return budget.giveBack(count) }
      if !isAgain {
        hasher.update(UnsafeRawBufferPointer(piece))
        offset += Int64(count)
      }
      send(UnsafeRawBufferPointer(piece), at: range.lowerBound, budget)
    }
    guard step == .write, callsInFlight == 0 else { return }
    guard sourceEndsHere() else { return }
    hash = hasher.finish()
    change()
  }

  /// What is to be written next: holes are left out, and hashed as the zeros that they read as.
  private func nextRange() -> Range<Int64>? {
    while offset < upload.size, !data.contains(offset) {
      // Looking for holes in small files costs more than it saves.
      guard upload.size > 64 << 10 else {
        data = 0..<upload.size
        break
      }
      do throws(SyscallError) {
        let found =
          try upload.source.dataRange(from: offset, at: "nfs.stage.extent") ?? upload.size..<upload.size
        data = found.clamped(to: offset..<upload.size)
      } catch {
        fail(TierError(error))
        return nil
      }
      hashZeros(data.lowerBound - offset)
      offset = data.lowerBound
    }
    return offset < upload.size
      ? offset..<min(data.upperBound, offset + Int64(staging.limits.writeSize)) : nil
  }

  private func hashZeros(_ count: Int64) {
    guard count > 0 else { return }
    withUnsafeTemporaryAllocation(byteCount: 64 << 10, alignment: 16) { zeros in
      zeros.initializeMemory(as: UInt8.self, repeating: 0)
      var left = count
      while left > 0 {
        let piece = Int(min(left, Int64(zeros.count)))
        hasher.update(UnsafeRawBufferPointer(rebasing: zeros[..<piece]))
        left -= Int64(piece)
      }
    }
  }

  private func fill(_ piece: UnsafeMutableRawBufferPointer, at offset: Int64) -> Bool {
    var filled = 0
    while filled < piece.count {
      do throws(SyscallError) {
        let count = try upload.source.read(
          into: UnsafeMutableRawBufferPointer(rebasing: piece[filled...]), offset: offset + Int64(filled),
          at: "nfs.stage.read")
        if count == 0 {
          fail(sourceChanged("it ends at byte \(offset + Int64(filled)) of \(upload.size)"))
          return false
        }
        filled += count
      } catch {
        fail(TierError(error))
        return false
      }
    }
    return true
  }

  private func send(_ piece: UnsafeRawBufferPointer, at offset: Int64, _ budget: NFSBudget) {
    let count = piece.count
    callsInFlight += 1
    connection.write(piece, to: handle!, offset: offset) { [self] answer in
      callsInFlight -= 1
      budget.giveBack(count)
      switch answer {
      case .failure(let refusal): fail(refusal)
      case .success((let taken, _)) where taken <= 0 || taken > count:
        fail(NFSRefusal(procedure: "WRITE", status: .serverFault))
      case .success((let taken, let verifier)):
        verifiers.insert(verifier)
        if taken < count { remainders.append(offset + Int64(taken)..<offset + Int64(count)) }
      }
    }
  }

  private func sourceEndsHere() -> Bool {
    do throws(SyscallError) {
      let byte = UnsafeMutableRawBufferPointer(rebasing: staging.buffer[..<1])
      if try upload.source.read(into: byte, offset: upload.size, at: "nfs.stage.end") == 0 { return true }
      fail(sourceChanged("it is longer than \(upload.size) bytes"))
    } catch {
      fail(TierError(error))
    }
    return false
  }

  private func sourceChanged(_ cause: String) -> TierError {
    TierError(
      .fileChanged, "it was written while it was copied: tierd takes it again later",
      path: upload.sourcePath.escaped,
      cause: cause, disposition: .retry)
  }

  // MARK: SETATTR

  private func change() {
    step = .change
    let metadata = upload.metadata
    let setsOwner = staging.setsOwner
    callsInFlight += 1
    // The size matters where the file ends with a hole.
    connection.change(
      handle!,
      NFSChanges(
        mode: metadata.mode, owner: setsOwner ? (metadata.owner, metadata.group) : nil,
        size: data.upperBound < upload.size || data.isEmpty ? upload.size : nil,
        times: (metadata.modified, metadata.accessed))
    ) { [self] answer in
      callsInFlight -= 1
      switch answer {
      case .success: commitAndReadBack()
      case .failure(let refusal) where setsOwner && (refusal.status.isDenial || refusal.status == .invalid):
        staging.setsOwner = false
        change()
      case .failure(let refusal): fail(refusal)
      }
    }
  }

  // MARK: COMMIT and READ

  private func commitAndReadBack() {
    step = .verify
    callsInFlight += 1
    let round = round
    connection.commit(handle!) { [self] answer in
      callsInFlight -= 1
      guard step == .verify, round == self.round else { return }
      switch answer {
      case .failure(let refusal): fail(refusal)
      case .success(let verifier):
        verifiers.insert(verifier)
        isCommitted = true
      }
    }
    reader = NFSReader(connection, handle!, size: upload.size, pieceSize: staging.limits.readSize)
  }

  private func verify(_ budget: NFSBudget) {
    if isCommitted, verifiers.count > 1 { return startAgain() }
    reader!.pump(budget)
    guard isCommitted, let outcome = reader!.outcome else { return }
    switch outcome {
    case .success(hash): succeed()
    case .success: fail(differs("its SHA-256 isn't the source's"))
    case .failure(.differs(let cause)): fail(differs(cause))
    case .failure(.refused(let refusal)): fail(refusal)
    case .failure(.destination(let error)): fail(error)
    }
  }

  /// The server may have lost what it had answered for: all of it goes over again.
  private func startAgain() {
    round += 1
    guard round < Self.roundsMost else {
      staging.ending = TierError(
        .targetRestarted,
        "the server keeps losing what it has not yet written: look at its log and its disks",
        path: staging.address, disposition: .retry)
      return fail(staging.ending!)
    }
    offset = 0
    data = 0..<0
    hasher = SHA256Hasher()
    remainders = []
    verifiers = []
    isCommitted = false
    reader = nil
    step = .write
  }

  private func differs(_ cause: String) -> TierError {
    TierError(
      .targetCopyDiffers,
      "what the server gives back is not what was sent: look at its memory, disks and network",
      path: upload.path.escaped, cause: cause, disposition: .retry)
  }

  // MARK: The end

  private func succeed() {
    outcome = .staged(hash!)
    step = .over
  }

  private func fail(_ refusal: NFSRefusal) {
    let error = TierError(refusal, upload.path, at: staging.address)
    if refusal.status.endsSession, staging.ending == nil { staging.ending = error }
    fail(error)
  }

  /// The first failure counts.
  private func fail(_ error: TierError) {
    guard outcome == nil else { return }
    outcome = .failed(error)
    step = .clearAway
    if callsInFlight == 0 { clearAway() }
  }

  /// Frees what was written of it, once no WRITE is under way that would recreate blocks.
  private func clearAway() {
    guard callsInFlight == 0 else { return }
    guard handle != nil else { return end() }
    handle = nil
    callsInFlight += 1
    connection.remove(name, in: staging.directory) { [self] _ in
      callsInFlight -= 1
      end()
    }
  }

  private func end() { step = .over }
}
