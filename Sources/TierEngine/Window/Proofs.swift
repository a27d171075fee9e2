import Logging
import TierCore

/// A NAS may answer a COMMIT before its disks have the data. So a copy counts as proven only when a later
/// window finds it unharmed: on a server that didn't restart meanwhile its size and time are enough; else, and
/// where the protocol can't tell, the whole content is read and compared.
struct Proofs {
  let run: WindowRun
  let session: any TargetSession

  func check() throws(TierError) {
    let engine = run.engine
    let before = engine.clock.now - engine.tuning.proofDelay
    var seen: Set<FileID> = []
    while !run.service.isStopping {
      let page = try engine.catalog.unprovenFiles(on: run.service.target.name, before: before, limit: 256)
        .filter { $0.id.map { !seen.contains($0) } ?? false }
      if page.isEmpty { return }
      seen.formUnion(page.compactMap(\.id))
      try check(page)
    }
  }

  private func check(_ page: [CatalogFile]) throws(TierError) {
    let sameServer = page.filter { row in
      if case .awaiting(let instance?) = row.copy?.proof { instance == session.instance } else { false }
    }
    try checkByStatus(sameServer)
    let ids = Set(sameServer.compactMap(\.id))
    try checkByContent(page.filter { $0.id.map { !ids.contains($0) } ?? false })
  }

  private func checkByStatus(_ rows: [CatalogFile]) throws(TierError) {
    if rows.isEmpty { return }
    let found = try session.status(of: rows.compactMap(\.copy?.path))
    for (row, status) in zip(rows, found) {
      guard let copy = row.copy else { continue }
      let expected = TargetStatus(size: copy.size, modified: copy.modified)
      try note(row, intact: status?.matches(expected) ?? false)
    }
  }

  private func checkByContent(_ rows: [CatalogFile]) throws(TierError) {
    if rows.isEmpty { return }
    let byPath = Dictionary(rows.compactMap { row in row.copy.map { ($0.path, row) } }) { first, _ in first }
    var verdicts: [(CatalogFile, Bool)] = []
    try session.hash(Array(byPath.keys).sorted()) { path, outcome in
      guard let row = byPath[path], let copy = row.copy else { return }
      switch outcome {
      case .hashed(let hash, let size): verdicts.append((row, hash == copy.hash && size == copy.size))
      case .missing: verdicts.append((row, false))
      case .failed: break
      }
    }
    for (row, intact) in verdicts { try note(row, intact: intact) }
  }

  private func note(_ row: CatalogFile, intact: Bool) throws(TierError) {
    guard let id = row.id, let volume = run.engine.volume(row.volume) else { return }
    try volume.committing { () throws(TierError) in
      guard var current = try volume.catalog.file(id), current.copy?.archiveID == row.copy?.archiveID,
        let path = try volume.path(of: current)
      else { return }
      if intact {
        current.copy?.proof = .proven
        run.countProof()
        current.isLost = false
      } else {
        run.count { $0.failures += 1 }
        run.log.error(
          "a copy on the target is missing or wrong; it is archived again",
          metadata: ["path": "\(volume.absolute(path))", "copy": "\(current.copy?.path ?? .root)"])
        current.isLost = true
        if current.state == .archived { current.state = .resident }
        volume.judge(&current, at: path)
      }
      try volume.catalog.apply([.put(current)])
    }
    run.touched(volume)
  }
}

extension EngineContext {
  /// How long a server may still keep the copy in its memory only; zero once it can be proven.
  func remainingProofDelay(of copy: ArchivedCopy) -> Duration {
    max(.zero, copy.archivedAt + tuning.proofDelay - clock.now)
  }
}
