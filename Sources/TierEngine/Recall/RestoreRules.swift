import TierCore
import TierLinux

extension Volume {
  /// What the file's policy says of restores; the defaults where none governs it any more.
  func restoreRules(for row: CatalogFile, at path: RelativePath) -> Policy.Restore {
    let size = row.copy?.size ?? row.version.size
    guard case .governed(let policy) = policies.current.decide(volume: name, path: path, size: size) else {
      return Policy.Restore()
    }
    return policy.restore
  }

  /// Which stub the file becomes; nil where its policy asks for a placeholder, and none can stand here.
  func stubAsked(for row: CatalogFile, at path: RelativePath) -> StandingStub? {
    switch restoreRules(for: row, at: path).mode {
    case .guard: stubMode.guardian == nil ? nil : .placeholder
    case .auto, .link, .manual: .link
    }
  }

  /// Why a policy can't have its `restore.mode: guard` here; nil where it can.
  package var missingGuard: String? {
    guard case .links(let reason) = stubMode else { return nil }
    return "restore.mode is guard, but no guard can stand before volume \(name): \(reason)"
  }

  /// The files of some policy become placeholders.
  package var usesPlaceholders: Bool { stubMode.guardian != nil && !policiesAskingForGuard.isEmpty }

  /// What a policy asks for and can't have.
  package var guardProblem: String? {
    guard stubMode.guardian == nil, let first = policiesAskingForGuard.first, let missing = missingGuard
    else {
      return nil
    }
    return "policy \(first): \(missing)"
  }

  /// It could have one, but nobody had asked when it was opened.
  var lacksAskedGuard: Bool { stubMode.isUntried && !policiesAskingForGuard.isEmpty }

  private var policiesAskingForGuard: [String] {
    policies.current.policies(in: name).filter { $0.restore.mode == .guard }.map(\.name)
  }

  /// Until when what is restored now stays in the cache.
  func stay(for row: CatalogFile, at path: RelativePath) -> Timestamp? {
    let stay = restoreRules(for: row, at: path).stay
    guard stay > .zero else { return nil }
    return max(row.pinnedUntil ?? .distantPast, clock.now + stay)
  }

  /// The path below the volume's root of an absolute one; nil where it isn't in the volume.
  func relative(_ absolute: [UInt8]) -> RelativePath? {
    guard absolute.starts(with: files.rootPath), absolute.dropFirst(files.rootPath.count).first == .slash
    else { return nil }
    return RelativePath(Array(absolute.dropFirst(files.rootPath.count + 1)))
  }
}

extension EngineContext {
  /// What of new policies can't be had on this machine, as it is now. A volume that isn't there tells later.
  package func obstacles(to policies: PolicySet) -> [String] {
    policies.policies.filter { $0.restore.mode == .guard }.compactMap { policy in
      // One that nobody had asked for is tried when the volume is opened anew.
      guard let volume = volumeService(policy.volume)?.volume, !volume.stubMode.isUntried,
        let missing = volume.missingGuard
      else { return nil }
      return "policy \(policy.name): \(missing). Set restore.mode to auto or link, or mend that"
    }
  }
}
