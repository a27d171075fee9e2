import TierCore

/// A selection of files: places in volumes, all of one policy, or everything.
package enum FileSelection: Hashable, Sendable {
  case everything
  case policy(String)
  case volume(String)
  case paths([[UInt8]])
}

extension Engine {
  func scopes(_ selection: FileSelection) throws(TierError) -> [Scope] {
    switch selection {
    case .everything:
      return [.all]
    case .policy(let name):
      guard context.policies.current.policy(named: name) != nil else { throw unknownPolicy(name) }
      return [.policy(name)]
    case .volume(let name):
      guard context.volumeService(name) != nil else { throw unknownVolume(name) }
      return [.volume(name)]
    case .paths(let paths):
      var byVolume: [String: [RelativePath]] = [:]
      for absolute in paths {
        let (service, path) = try locate(absolute)
        byVolume[service.configuration.name, default: []].append(path)
      }
      return byVolume.sorted { $0.key < $1.key }.map { .paths(volume: $0.key, $0.value) }
    }
  }

  /// Every file of the selection with its path.
  func each(
    _ selection: FileSelection, _ body: (CatalogFile, RelativePath, Volume) throws(TierError) -> Void
  ) throws(TierError) {
    switch selection {
    case .everything:
      for service in context.volumeServices { try each(.root, in: service, nil, body) }
    case .volume(let name):
      guard let service = context.volumeService(name) else { throw unknownVolume(name) }
      try each(.root, in: service, nil, body)
    case .policy(let name):
      guard let policy = context.policies.current.policy(named: name) else { throw unknownPolicy(name) }
      guard let service = context.volumeService(policy.volume) else { throw unknownVolume(policy.volume) }
      try each(policy.path, in: service, name, body)
    case .paths(let paths):
      for absolute in paths {
        let (service, path) = try locate(absolute)
        try each(path, in: service, nil, body)
      }
    }
  }

  private func each(
    _ path: RelativePath, in service: VolumeService, _ policy: String?,
    _ body: (CatalogFile, RelativePath, Volume) throws(TierError) -> Void
  ) throws(TierError) {
    let volume = try present(service)
    try files(at: path, in: volume) { (page) throws(TierError) in
      for file in page where policy == nil || file.policy == policy {
        if let path = try volume.path(of: file) { try body(file, path, volume) }
      }
    }
  }

  private func unknownPolicy(_ name: String) -> TierError {
    let known = context.policies.current.policies.map(\.name).sorted().joined(separator: ", ")
    return TierError(.notFound, "no policy is named \"\(name)\" (there are: \(known))")
  }

  private func unknownVolume(_ name: String) -> TierError {
    let known = context.volumeServices.map(\.configuration.name).joined(separator: ", ")
    return TierError(.notFound, "no volume is named \"\(name)\" (there are: \(known))")
  }
}
