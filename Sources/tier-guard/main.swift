import CTierLinux
import Glibc
import TierCore
import TierGuard
import TierLinux

private let usage = """
  usage: tier-guard [--help | --version] [SOCKET]

  Keeps whoever opens a released file waiting until tierd has brought the content back. tierd is its client, on SOCKET
  (default: \(GuardServer.defaultSocket)); it runs as root and on its own, so that it outlives tierd.

  Under systemd it remembers in $STATE_DIRECTORY which volumes have released files, and guards them again when the
  machine starts, before tierd is there.

  SIGTERM ends it when every file system that it guards has a client, which keeps openers waiting for the next guard.

  Exit codes: 0 done, 1 failed, 64 usage, 75 another guard serves the socket, 78 bad configuration.

  """

private func fail(_ text: String, _ status: Int32) -> Never {
  let line = Array("tier-guard: \(text)\n".utf8)
  _ = write(2, line, line.count)
  exit(status)
}

private func status(of error: TierError) -> Int32 {
  switch error.code {
  case .fileBusy: 75
  case .badConfiguration: 78
  default: 1
  }
}

// Before any thread is made: all of them inherit it.
private var signals = sigset_t()
sigemptyset(&signals)
for number in [SIGTERM, SIGINT] { sigaddset(&signals, number) }
pthread_sigmask(SIG_BLOCK, &signals, nil)
signal(SIGPIPE, SIG_IGN)
signal(SIGHUP, SIG_IGN)

private let words = CommandLine.arguments.dropFirst()
switch words.first {
case "--help", "-h":
  print(usage, terminator: "")
  exit(0)
case "--version":
  print("tier-guard 0.1.0")
  exit(0)
case let word? where word.hasPrefix("-") || words.count > 1:
  fail("unknown argument \(words.joined(separator: " ")); see --help", 64)
default: break
}

private let path = words.first ?? GuardServer.defaultSocket
do throws(TierError) {
  let memory = getenv("STATE_DIRECTORY").map { String(cString: $0) }
  let server = try GuardServer(socketPath: path, memory: memory)
  let threads = server.start() + (server.guardRemembered().map { [$0] } ?? [])
  let service = ServiceNotification()
  service.ready(status: "listening on \(path)")
  var number: Int32 = 0
  while sigwait(&signals, &number) == 0 {
    let lost = server.lostByExit
    if lost.isEmpty { break }
    server.log(
      "SIGTERM is not followed: without tierd, openers of released files on \(lost.joined(separator: ", ")) would be "
        + "let through. Start tierd first, or kill it with SIGKILL after the apps have ended")
  }
  service.stopping()
  withExtendedLifetime(threads) { exit(0) }
} catch {
  fail("\(error)", status(of: error))
}
