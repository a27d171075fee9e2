import Glibc
import Testing
import TierCore
import TierGuard
import TierGuardSupport
import TierLinux
import TierTestSupport

/// The real guard before real file systems; apps are other processes, and every byte that they get is compared.
@Suite(.serialized, .timeLimit(.minutes(5))) struct OpeningTests {
  @Test(arguments: GuardBench.Kind.here) func aStubsOpenWaitsAndGetsTheContent(_ kind: GuardBench.Kind) throws
  {
    let bench = try GuardBench(kind)
    try Placeholder.make(bench.path("cat"), size: 100_000)
    let (_, recaller) = try bench.protect(.wait)
    let app = App(reading: bench.path("cat"))
    try eventually("the request") { recaller.requests.count == 1 }
    #expect(app.isBlocked)
    #expect(recaller.requests[0].pid == app.pid)
    recaller.behave(.restore)
    let result = try app.result()
    #expect(result.succeeded)
    #expect(result.output == Placeholder.content(of: "cat", size: 100_000))
    #expect(recaller.failures == [])
  }
}
