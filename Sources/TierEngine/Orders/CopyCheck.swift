import TierCore

/// Reads copies whole and compares them with what was archived. What is found unharmed, and old enough to lie on the
/// target's disks, is proven.
struct CopyCheck {
  let context: EngineContext
  let session: any TargetSession
  let progress: RequestHandle

  func run(_ files: [CatalogFile]) throws(TierError) {
    for start in stride(from: 0, to: files.count, by: 256) {
      try check(Array(files[start..<min(start + 256, files.count)]))
    }
  }

  private func check(_ files: [CatalogFile]) throws(TierError) {
    let byPath = Dictionary(files.compactMap { file in file.copy.map { ($0.path, file) } }) { first, _ in
      first
    }
    var verdicts: [(CatalogFile, String?)] = []
    try session.hash(byPath.keys.sorted()) { path, outcome in
      guard let file = byPath[path], let copy = file.copy else { return }
      switch outcome {
      case .hashed(let hash, let size) where hash == copy.hash && size == copy.size:
        verdicts.append((file, nil))
      case .hashed: verdicts.append((file, "differs from what was archived"))
      case .missing: verdicts.append((file, "is missing"))
      case .failed(let error): progress.fail("\(error)")
      }
    }
    for (file, problem) in verdicts { try note(file, problem) }
  }

  private func note(_ file: CatalogFile, _ problem: String?) throws(TierError) {
    guard let id = file.id, let copy = file.copy, let volume = context.volume(file.volume) else { return }
    try volume.committing { () throws(TierError) in
      guard var row = try context.catalog.file(id), row.copy?.archiveID == copy.archiveID,
        let path = try volume.path(of: row)
      else { return }
      row.isLost = problem != nil
      if let problem {
        progress.fail("\(volume.absolute(path)): its copy \(copy.path) on \(copy.target) \(problem)")
        // A file that is still here is simply archived anew.
        if row.state == .archived { row.state = .resident }
        volume.judge(&row, at: path)
      } else {
        if context.remainingProofDelay(of: copy) == .zero { row.copy?.proof = .proven }
        progress.advance(files: 1, bytes: copy.size)
      }
      try context.catalog.apply([.put(row)])
    }
  }
}
