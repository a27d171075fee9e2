import TierAPI
import TierCore
import TierEngine
import TierLinux
import TierPolicyFile

/// Looks at everything that can be looked at without waking a target, and names the way out of what is wrong.
struct Doctor {
  let engine: Engine
  let configuration: Configuration
  let policies: PolicySource

  func checks() -> [DoctorCheck] {
    var checks = engine.context.volumeServices.flatMap(volume)
    checks += engine.context.windowServices.map(target)
    checks.append(policyCheck)
    checks.append(stateDirectory)
    return checks
  }

  private func volume(_ service: VolumeService) -> [DoctorCheck] {
    let name = "volume \(service.configuration.name)"
    let condition = service.condition
    if let problem = condition.problem {
      return [DoctorCheck(name: name, result: .problem, text: problem)]
    }
    var checks = [DoctorCheck(name: name, result: .ok, text: "served at \(service.configuration.path)")]
    if let volume = service.volume, !volume.identityAttribute.hasPrefix("trusted.") {
      checks.append(
        DoctorCheck(
          name: "\(name): rights", result: .warning,
          text: "tierd isn't privileged: it keeps identities in user.tierd, which apps can change, and can't "
            + "restore owners", fix: "run tierd as root or with CAP_SYS_ADMIN and CAP_CHOWN"))
    }
    for gap in condition.coverage.gaps.prefix(5) {
      checks.append(
        DoctorCheck(
          name: "\(name): watching", result: .warning,
          text: "\(service.configuration.path)/\(gap.directory) is only seen by scans: \(gap.reason)"))
    }
    if condition.coverage.gapCount == 0 {
      checks.append(
        DoctorCheck(
          name: "\(name): watching", result: .ok,
          text: "\(condition.coverage.watchedDirectories) directories watched, no gaps"))
    }
    if let away = condition.bricksAway {
      checks.append(
        DoctorCheck(
          name: "\(name): bricks", result: .warning, text: away,
          fix: "gluster volume status tells which process or machine is down"))
    }
    if let volume = service.volume { checks += guardChecks(name, volume) }
    checks.append(space(name, condition))
    return checks
  }

  /// Which way released files come back, and why.
  private func guardChecks(_ name: String, _ volume: Volume) -> [DoctorCheck] {
    let name = "\(name): stubs"
    if let problem = volume.guardProblem {
      return [
        DoctorCheck(
          name: name, result: .problem, text: problem,
          fix: "mend that, or set restore.mode to auto or link in the policy")
      ]
    }
    switch volume.stubMode {
    case .placeholders(let guardian):
      let text = "placeholders: who opens a released file waits for its content"
      return [DoctorCheck(name: name, result: .ok, text: text)]
        + guardian.mode.limits.map { DoctorCheck(name: name, result: .warning, text: $0) }
    case .links(let reason):
      return [DoctorCheck(name: name, result: .ok, text: "symbolic links, no placeholders: \(reason)")]
    }
  }

  private func space(_ name: String, _ condition: VolumeCondition) -> DoctorCheck {
    guard let space = condition.space, space.total > 0 else {
      return DoctorCheck(name: "\(name): space", result: .ok, text: "not looked at yet")
    }
    let percent = 100 - space.available * 100 / space.total
    if condition.isFull {
      return DoctorCheck(
        name: "\(name): space", result: .problem,
        text: "\(percent) % used, above its high watermark, and no more may be released",
        fix:
          "tierctl status shows what is not archived yet; lower release.keepBelow, unpin, or make it larger")
    }
    return DoctorCheck(name: "\(name): space", result: .ok, text: "\(percent) % used")
  }

  /// From the ledger only: asking the target would wake it.
  private func target(_ service: WindowService) -> DoctorCheck {
    let name = "target \(service.target.name)"
    if let error = service.condition.lastError {
      return DoctorCheck(name: name, result: .problem, text: "the last window failed: \(error)")
    }
    guard let last = (try? engine.context.catalog.windows(of: service.target.name, limit: 1))?.first else {
      return DoctorCheck(
        name: name, result: .ok, text: "not contacted yet; tierctl flush tries it at once")
    }
    return DoctorCheck(name: name, result: .ok, text: "the last window, \(last.opened.utcText), went well")
  }

  private var policyCheck: DoctorCheck {
    let errors = policies.diagnostics.filter { $0.severity == .error }
    let count = engine.context.policies.current.policies.count
    if let first = errors.first {
      return DoctorCheck(
        name: "policies", result: .problem,
        text: "\(count) in force; the last reload was refused: \(first)",
        fix: "mend the file; tierd reads it again")
    }
    if count == 0 {
      return DoctorCheck(
        name: "policies", result: .warning, text: "none: nothing will be archived",
        fix: "put a policy into \(configuration.policyDirectory)")
    }
    return DoctorCheck(name: "policies", result: .ok, text: "\(count) in force")
  }

  private var stateDirectory: DoctorCheck {
    let name = "state directory"
    guard let files = try? LinuxFileSystem(root: configuration.stateDirectory),
      let space = try? files.space(at: "doctor.space")
    else {
      return DoctorCheck(name: name, result: .problem, text: "\(configuration.stateDirectory) can't be read")
    }
    let free = space.available >> 20
    return free < 256
      ? DoctorCheck(
        name: name, result: .warning, text: "only \(free) MiB free at \(configuration.stateDirectory)",
        fix: "the catalog takes about 500 MiB for a million files: make room")
      : DoctorCheck(name: name, result: .ok, text: "\(free) MiB free at \(configuration.stateDirectory)")
  }
}
