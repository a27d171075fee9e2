import TierAPI
import TierClient

/// tierctl's exit codes; 64, 69, 75 and 78 are those of sysexits.h.
package enum ExitStatus: Int32, Sendable, CaseIterable {
  case done = 0
  case failed = 1
  case partlyDone = 2
  case usage = 64
  case notReachable = 69
  case tryLater = 75
  case badConfiguration = 78

  package init(_ error: ClientError) {
    switch error {
    case .unreachable: self = .notReachable
    case .timedOut: self = .tryLater
    case .unexpected: self = .failed
    case .refused(let report):
      switch report.code {
      case "badConfiguration": self = .badConfiguration
      case "badRequest": self = .usage
      default: self = report.mayRetry ? .tryLater : .failed
      }
    }
  }

  package init(_ state: RequestReport.State) {
    switch state {
    case .running, .done: self = .done
    case .partly: self = .partlyDone
    case .failed: self = .failed
    }
  }
}

extension ClientError: CustomStringConvertible {
  /// For the standard error: what, where and the way out.
  package var description: String {
    switch self {
    case .unreachable(let text), .unexpected(let text): return text
    case .timedOut(let seconds):
      return
        "tierd did not answer within \(seconds) s: it may be busy; see `systemctl status tierd`, or try again"
    case .refused(let report):
      let text = report.path.map { "\($0): \(report.message)" } ?? report.message
      return text + (report.cause.map { " (\($0))" } ?? "") + (report.fix.map { "\n\($0)" } ?? "")
    }
  }
}
