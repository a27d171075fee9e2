import TierCore

/// One file on its way to `.tierd/tmp`: CREATE, WRITE …, SETATTR, COMMIT and READ … together.
///
/// SETATTR comes before COMMIT, so that the time that identifies the copy later becomes durable with it. READ may
/// then move the access time on the server; the manifest has the real one. What one WRITE takes whole is written
/// durably, and saves the COMMIT: its time is as durable as its name then, both by the server's word (RFC 1813).
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
  private var content: NFSUploadContent
  private var hash: ContentHash?
  /// What the server took less of than it was sent.
  private var remainders: [Range<Int64>] = []
  private var verifiers: Set<UInt64> = []
  private var isCommitted = false
  private var reader: NFSReader?

  init(_ upload: Upload, _ staging: NFSStaging) {
    self.upload = upload
    self.staging = staging
    content = NFSUploadContent(upload)
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
    do throws(TierError) {
      while let range = try nextRange() {
        let count = min(range.count, staging.limits.writeSize)
        guard budget.take(count) else { return }
        let piece = UnsafeMutableRawBufferPointer(rebasing: staging.buffer[..<count])
        do throws(TierError) {
          // A remainder was hashed when it was first read.
          if remainders.popLast() == nil {
            try content.readNext(into: piece)
          } else {
            try content.read(into: piece, at: range.lowerBound)
          }
        } catch {
          budget.giveBack(count)
          throw error
        }
        send(UnsafeRawBufferPointer(piece), at: range.lowerBound, budget)
      }
      guard callsInFlight == 0 else { return }
      hash = try content.finish()
    } catch {
      return fail(error)
    }
    change()
  }

  private func nextRange() throws(TierError) -> Range<Int64>? {
    if let remainder = remainders.last { return remainder }
    return try content.nextRange()
  }

  private func send(_ piece: UnsafeRawBufferPointer, at offset: Int64, _ budget: NFSBudget) {
    let count = piece.count
    callsInFlight += 1
    connection.write(piece, to: handle!, offset: offset, durably: count == upload.size) { [self] answer in
      callsInFlight -= 1
      budget.giveBack(count)
      switch answer {
      case .failure(let refusal): fail(refusal)
      case .success(let written) where written.count <= 0 || written.count > count:
        fail(NFSRefusal(procedure: "WRITE", status: .serverFault))
      case .success(let written):
        verifiers.insert(written.verifier)
        if written.count < count {
          remainders.append(offset + Int64(written.count)..<offset + Int64(count))
        } else if count == upload.size {
          isCommitted = written.isDurable
        }
      }
    }
  }

  // MARK: SETATTR

  private func change() {
    step = .change
    let metadata = upload.metadata
    let owner = staging.setsOwner ? (user: metadata.owner, group: metadata.group) : nil
    callsInFlight += 1
    // The size matters where the file ends with a hole.
    connection.change(
      handle!,
      NFSChanges(
        mode: metadata.mode & ~Self.specialBits, owner: owner,
        size: content.endsWithHole ? upload.size : nil,
        times: (metadata.modified, metadata.accessed))
    ) { [self] answer in
      callsInFlight -= 1
      switch answer {
      case .success(let result):
        // Squash either refuses an owner or silently sets another.
        let isOwned = result.map { $0.owner == owner?.user && $0.group == owner?.group }
        if isOwned == false { staging.setsOwner = false }
        if isOwned == true, metadata.mode & Self.specialBits != 0 {
          changeMode()
        } else {
          commitAndReadBack()
        }
      case .failure(let refusal)
      where owner != nil && (refusal.status.isDenial || refusal.status == .invalid):
        staging.setsOwner = false
        change()
      case .failure(let refusal): fail(refusal)
      }
    }
  }

  /// setuid and setgid: setting an owner clears them, and under another owner they would mean something else.
  private static let specialBits: UInt16 = 0o6000

  private func changeMode() {
    callsInFlight += 1
    connection.change(handle!, NFSChanges(mode: upload.metadata.mode)) { [self] answer in
      callsInFlight -= 1
      switch answer {
      case .success: commitAndReadBack()
      case .failure(let refusal): fail(refusal)
      }
    }
  }

  // MARK: COMMIT and READ

  private func commitAndReadBack() {
    step = .verify
    if !isCommitted { commit() }
    reader = NFSReader(connection, handle!, size: upload.size, pieceSize: staging.limits.readSize)
  }

  private func commit() {
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
  }

  private func verify(_ budget: NFSBudget) {
    if isCommitted, verifiers.count > 1 {
      startAgain()
      return pump(budget)
    }
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
    content = NFSUploadContent(upload)
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
