import TierCore
import TierGuard

/// Counts what each program recalls, so that a search through everything doesn't bring everything back. Many start
/// one process for each file: a program is a name in a cgroup.
struct StormGuard: Sendable {
  private struct Program: Hashable {
    let name: [UInt8]
    let cgroup: [UInt8]

    init(_ process: ProcessIdentity) {
      name = process.name
      cgroup = process.cgroup
    }
  }

  private struct Minute {
    var began: Duration
    var recalls = 0
  }

  private static let minute = Duration.seconds(60)
  private var minutes: [Program: Minute] = [:]
  private var told: [Program: Duration] = [:]

  /// False once a program has had its share of the current minute.
  mutating func admits(_ process: ProcessIdentity, perMinute: Int, now: Duration) -> Bool {
    let program = Program(process)
    if minutes.count > 4096 { minutes = minutes.filter { now - $0.value.began < Self.minute } }
    var minute = minutes[program] ?? Minute(began: now)
    if now - minute.began >= Self.minute { minute = Minute(began: now) }
    minute.recalls += 1
    minutes[program] = minute
    return minute.recalls <= perMinute
  }

  /// Whether a refusal of the process is worth a line in the log: one a minute.
  mutating func isNews(_ process: ProcessIdentity, now: Duration) -> Bool {
    let program = Program(process)
    if told.count > 4096 { told = told.filter { now - $0.value < Self.minute } }
    if let last = told[program], now - last < Self.minute { return false }
    told[program] = now
    return true
  }
}

/// Why an open of a released file isn't served.
struct RecallRefusal: CustomStringConvertible {
  enum Reason {
    /// By the policy's list, or the built-in one.
    case listed(String)
    /// More than so many recalls a minute.
    case storm(Int)
  }

  let process: ProcessIdentity
  let reason: Reason

  var errno: GuardErrno {
    switch reason {
    case .listed: .notPermitted
    case .storm: .tryAgain
    }
  }

  var description: String {
    switch reason {
    case .listed(let pattern):
      "\(process) was refused released files: \(pattern) is on the list of restore.refuse (!\(pattern) in a policy "
        + "takes it off)"
    case .storm(let most):
      "\(process) recalls more than \(most) files a minute and is refused more for now: restore.perMinute of the "
        + "policy sets the limit; tierctl restore brings many at once"
    }
  }
}
