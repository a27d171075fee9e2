import Glibc
import Logging
import ServiceLifecycle
import Synchronization
import TierCore
import TierEngine
import TierPolicyFile
import UnixSignals

/// The policy directory: what was read last, and what was wrong with it.
final class PolicySource: Sendable {
  private let reloader: Mutex<PolicyReloader>
  private let log: Logger

  init(configuration: Configuration, log: Logger) {
    reloader = Mutex(PolicyReloader(configuration: configuration))
    self.log = log
  }

  var diagnostics: [Diagnostic] { reloader.withLock { $0.diagnostics } }

  /// Bad policies don't keep the daemon from starting: people must be able to restore. Nothing is archived or
  /// released by policy until they are mended.
  func loadAtStart() -> PolicySet {
    _ = reload()
    return reloader.withLock { $0.policies }
  }

  /// The new policies, nil where the old ones stay in force.
  func reload(_ obstacles: (PolicySet) -> [String] = { _ in [] }) -> PolicySet? {
    let outcome = reloader.withLock { $0.reload(obstacles) }
    switch outcome {
    case .unchanged(let diagnostics):
      tell(diagnostics)
      return nil
    case .replaced(let diagnostics):
      tell(diagnostics)
      let policies = reloader.withLock { $0.policies }
      log.info("policies loaded", metadata: ["count": "\(policies.policies.count)"])
      return policies
    case .refused(let diagnostics):
      tell(diagnostics)
      log.error("policies refused: the ones before stay in force")
      return nil
    }
  }

  private func tell(_ diagnostics: [Diagnostic]) {
    for item in diagnostics {
      log.log(level: item.severity == .error ? .error : .warning, "\(item)")
    }
  }

  /// Moves whenever a policy file was written, added or taken away.
  var signature: [String] {
    let directory = reloader.withLock { $0.directory }
    guard case .success(let files) = PolicyDirectory.files(in: directory) else { return [] }
    return files.map { file in
      var status = stat()
      guard stat(file, &status) == 0 else { return file }
      return "\(file) \(status.st_ino) \(status.st_size) \(status.st_mtim.tv_sec).\(status.st_mtim.tv_nsec)"
    }
  }
}

/// Reloads the policies on SIGHUP, and by itself when their files changed.
struct PolicyReloadService: Service {
  let source: PolicySource
  let engine: Engine
  let log: Logger

  func run() async throws {
    await cancelWhenGracefulShutdown {
      await withTaskGroup(of: Void.self) { group in
        group.addTask {
          for await _ in await UnixSignalsSequence(trapping: .sighup) {
            log.info("SIGHUP: reading the policies again")
            reload()
          }
        }
        group.addTask {
          var known = source.signature
          while (try? await Task.sleep(for: .seconds(5))) != nil {
            let now = source.signature
            if now != known { reload() }
            known = now
          }
        }
      }
    }
  }

  private func reload() {
    if let policies = source.reload(engine.context.obstacles) { engine.replacePolicies(with: policies) }
  }
}
