import Logging
import TierCore
import TierTargets

/// Makes targets from the configuration. Making one contacts nothing.
struct TargetFactory {
  let stateDirectory: String
  let catalog: any Catalog
  let log: Logger

  func make(_ target: Configuration.Target) -> any Target {
    let memory = memory(of: target.name)
    let notice: @Sendable (String) -> Void = { [log] text in
      log.warning("\(text)", metadata: ["target": "\(target.name)"])
    }
    switch target.kind {
    case .directory(let path):
      return DirectoryTarget(name: target.name, path: path, memory: memory)
    case .nfs(let share):
      return NFSTarget(
        name: target.name, share: share, timeout: target.timeout, memory: memory, notice: notice)
    case .rsync(let server):
      return RsyncTarget(
        name: target.name, settings: server, timeout: target.timeout,
        scratchDirectory: "\(stateDirectory)/rsync-\(target.name)", memory: memory)
    }
  }

  /// What a target remembers lives in the catalog. Losing it costs a contact, so a failure isn't worth an error.
  private func memory(of name: String) -> TargetMemory {
    let catalog = catalog
    return TargetMemory(
      load: { key in (try? catalog.setting("target/\(name)/\(key)")) ?? nil },
      store: { key, value in try? catalog.setSetting("target/\(name)/\(key)", to: value) })
  }
}
