import TierCore

extension Engine {
  /// Reads each archived copy on the target and compares it with what was archived.
  package func verify(_ selection: FileSelection) throws(TierError) -> RequestHandle {
    let handle = context.requests.open("verify")
    var byTarget: [String: [CatalogFile]] = [:]
    try each(selection) { file, _, _ in
      if let copy = file.copy { byTarget[copy.target, default: []].append(file) }
    }
    let files = byTarget.values.flatMap { $0 }
    handle.expect(files: files.count, bytes: files.reduce(0) { $0 + ($1.copy?.size ?? 0) })
    if files.isEmpty { handle.note("no file here has a copy: no target was contacted") }
    let ended = Countdown(byTarget.count) { handle.finish() }
    for (target, files) in byTarget {
      guard let service = context.windowService(target) else {
        handle.fail("target \"\(target)\" is no longer configured: add it to targets in tierd.yaml")
        ended.partEnded()
        continue
      }
      let once = Countdown(1) { ended.partEnded() }
      service.run(
        Errand(cause: "tierctl verify") { [context] session throws(TierError) in
          try CopyCheck(context: context, session: session, progress: handle).run(files)
          once.partEnded()
        } failed: { error in
          handle.fail("target \(target): \(error)")
          once.partEnded()
        })
    }
    return handle
  }
}
