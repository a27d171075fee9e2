import Glibc
import TierGuard
import TierGuardSupport
import TierLinux

/// A client of the guard in a process of its own, to be stopped and killed: `guard-test-client SOCKET ROOT
/// restore|wait`. Says `protected`, then `waits N` for each request.
@main enum GuardTestClient {
  static func main() throws {
    let words = CommandLine.arguments
    let connection = try GuardConnection(
      socket: words[1], program: GuardBench.program("tier-guard"), root: words[2],
      terms: GuardTerms(isShared: false))
    _ = try connection.protect()
    let recaller = Recaller(connection, words[3] == "restore" ? .restore : .wait)
    say("protected")
    var told = 0
    while true {
      let count = recaller.requests.count
      if count > told { say("waits \(count)") }
      told = count
      usleep(5_000)
    }
  }

  private static func say(_ text: String) {
    let line = Array("\(text)\n".utf8)
    guard write(STDOUT_FILENO, line, line.count) == line.count else { exit(1) }
  }
}
