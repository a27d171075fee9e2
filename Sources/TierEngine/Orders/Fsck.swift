import TierCore

extension Engine {
  /// Compares everything that can be compared without the targets, and queues what mends the differences. With
  /// `rebuild` the targets' manifests are read too, for stubs that the catalog lost.
  package func fsck(rebuild: Bool, damage: () throws(TierError) -> [String]) throws(TierError)
    -> RequestHandle
  {
    let handle = context.requests.open("fsck")
    for problem in try damage() {
      handle.fail(
        "the catalog is damaged: \(problem). Stop tierd, move the catalog away, start it: it is rebuilt")
    }
    let services = context.volumeServices
    let parts = Countdown(services.count) { [self] in
      do throws(TierError) {
        for service in services where service.volume != nil {
          try checkRows(of: try present(service), handle)
        }
        if rebuild { try rebuildFromManifests(handle) } else { handle.finish() }
      } catch {
        handle.finish(error)
      }
    }
    for service in services {
      service.enqueue { loop in
        switch loop {
        case .success(let loop):
          loop.scanNeeded("fsck")
          if let error = loop.settleNow() { handle.fail("\(error)") }
        case .failure(let error):
          handle.fail("volume \(service.configuration.name): \(error)")
        }
        parts.partEnded()
      }
    }
    return handle
  }

  private func checkRows(of volume: Volume, _ handle: RequestHandle) throws(TierError) {
    try files(at: .root, in: volume) { (page) throws(TierError) in
      var moves: [CatalogChange] = []
      var renames = 0
      for file in page {
        guard let path = try volume.path(of: file) else { continue }
        if file.isLost { handle.fail("\(volume.absolute(path)): its copy on the target is missing or wrong") }
        guard let copy = file.copy else { continue }
        let service = context.windowService(copy.target)
        if service == nil {
          handle.fail("\(volume.absolute(path)): its target \"\(copy.target)\" is no longer configured")
        }
        if copy.path != volume.targetPath(of: path), let move = volume.move(for: file) {
          moves.append(move)
          renames += service?.target.properties.renames == true ? 1 : 0
        }
      }
      try context.catalog.apply(moves)
      if renames > 0 {
        handle.note("\(renames) copies have another name than their files; the next window renames them")
      }
      handle.advance(files: page.count, bytes: 0)
    }
  }

  private func rebuildFromManifests(_ handle: RequestHandle) throws(TierError) {
    let windows = context.windowServices
    let ended = Countdown(windows.count) { handle.finish() }
    for service in windows {
      let once = Countdown(1) { ended.partEnded() }
      service.run(
        Errand(cause: "tierctl fsck --rebuild") { [context, service] session throws(TierError) in
          for volume in context.volumeServices.compactMap(\.volume) {
            try CatalogRebuild(
              context: context, session: session, target: service.target.name, volume: volume,
              progress: handle
            ).run()
          }
          once.partEnded()
        } failed: { error in
          handle.fail("target \(service.target.name): \(error)")
          once.partEnded()
        })
    }
  }
}
