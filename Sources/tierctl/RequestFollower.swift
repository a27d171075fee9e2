import ArgumentParser
import TierAPI
import TierClient
import TierConsole

/// Sees a request to its end: progress for people, then the outcome as data and as the exit code.
struct RequestFollower {
  let client: ControlClient
  let shared: SharedOptions

  func finish(_ action: ActionReport, wait: Bool) throws {
    if let plan = action.plan { return try shared.print(plan) }
    guard let request = action.request else {
      throw ClientError.unexpected(
        "tierd answered neither a plan nor a request: use the same version of both")
    }
    try finish(request, wait: wait)
  }

  func finish(_ started: RequestReport, wait: Bool) throws {
    let console = Console()
    var request = started
    if wait { try follow(&request, console) }
    try shared.print(request)
    for line in request.messageLines { console.note(line) }
    let status = ExitStatus(request.state)
    if status != .done { throw ExitCode(status.rawValue) }
  }

  private func follow(_ request: inout RequestReport, _ console: Console) throws {
    defer { console.clearProgress() }
    var shown = request.progress
    while request.state == .running {
      if console.drawsProgress { console.draw { $0.line(request) } }
      // The daemon holds the answer back until the end: a bar needs it sooner than a log does.
      request = try client.request(request.id, waitSeconds: console.drawsProgress ? 1 : 10)
      if !console.drawsProgress, request.state == .running, request.progress != shown {
        shown = request.progress
        console.note("\(request.kind.rawValue): \(shown)")
      }
    }
  }
}
