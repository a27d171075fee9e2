import CTierLinux
import Glibc
import Testing
import TierCore
import TierGuard
import TierGuardSupport
import TierLinux
import TierTestSupport

/// Whoever dies, hangs or comes back: those who wait get the content or an error, never anything else.
@Suite(.serialized, .timeLimit(.minutes(5))) struct DeathTests {
  static let bounds = GuardBounds(patience: .seconds(60), absence: .seconds(2))
  static let kinds = GuardBench.Kind.here

  private func client(_ bench: GuardBench, _ conduct: String) throws -> App {
    let client = App(GuardBench.program("guard-test-client"), ["client", bench.socket, bench.path, conduct])
    try eventually("the client's connection") { client.lines.contains("protected") }
    return client
  }

  private func readers(_ count: Int, _ path: String) -> [App] { (0..<count).map { _ in App(reading: path) } }

  private func expectContent(_ apps: [App], size: Int = 50_000, of name: String = "cat") throws {
    let content = Placeholder.content(of: name, size: size)
    for app in apps {
      let result = try app.result()
      let isWhole = result.output == content
      #expect(result.succeeded && isWhole, "\(result.ending), \(result.output.count) bytes")
    }
  }

  private func expectErrors(_ apps: [App]) throws {
    for app in apps {
      let result = try app.result()
      #expect(!result.succeeded && result.output == [], "\(result.ending), \(result.output.count) bytes")
    }
  }

  @Test(arguments: kinds, [SIGKILL, SIGTERM]) func theGuardDies(_ kind: GuardBench.Kind, _ signal: Int32)
    throws
  {
    let bench = try GuardBench(kind)
    try Placeholder.make(bench.path("cat"), size: 50_000)
    try Placeholder.makeResident(bench.path("dog"), size: 9_000)
    let (_, recaller) = try bench.protect(.wait)
    let apps = readers(50, bench.path("cat"))
    try eventually("all of them waiting") { recaller.requests.count == 50 }
    for _ in 0..<3 {
      let before = bench.guardPID
      kill(before, signal)
      try eventually("another guard") { ![0, before].contains(bench.guardPID) }
      #expect(apps.allSatisfy { !$0.hasEnded })
    }
    // While they wait, others aren't held up, and none is taken for another.
    let dog = try App(reading: bench.path("dog")).result()
    #expect(dog.output == Placeholder.content(of: "dog", size: 9_000))
    let late = readers(5, bench.path("cat"))
    try eventually("those who came later") { recaller.requests.count == 55 }
    recaller.behave(.restore)
    try expectContent(apps + late)
    #expect(recaller.restores == 1)
    #expect(recaller.failures == [])
  }

  /// Answers that are on their way when the guard dies count still.
  @Test(arguments: kinds) func theGuardDiesAgainAndAgainWhileItWorks(_ kind: GuardBench.Kind) throws {
    let bench = try GuardBench(kind)
    let (_, recaller) = try bench.protect(.restore)
    for round in 0..<10 {
      let names = (0..<10).map { "f\(round).\($0)" }
      for name in names { try Placeholder.make(bench.path(name), size: 20_000) }
      let apps = names.map { App(reading: bench.path($0)) }
      pause(atMost: 30_000)
      kill(bench.guardPID, SIGKILL)
      for (name, app) in zip(names, apps) {
        let result = try app.result()
        // An open that the dead guard had taken and told nobody of is refused; by the kernel itself (EPERM), if it was
        // just being taken.
        let isRefused = ["temporarily unavailable", "not permitted"].contains {
          result.errorText.contains($0)
        }
        #expect(result.succeeded || isRefused, "\(result.errorText)")
        let content = Placeholder.content(of: name, size: 20_000)
        #expect(result.output == (result.succeeded ? content : Array(content.prefix(result.output.count))))
      }
    }
    #expect(recaller.failures == [])
  }

  @Test(arguments: kinds) func theClientIsKilledAndAnotherOneComes(_ kind: GuardBench.Kind) throws {
    let bench = try GuardBench(kind)
    try Placeholder.make(bench.path("cat"), size: 50_000)
    let first = try client(bench, "wait")
    let apps = readers(50, bench.path("cat"))
    try eventually("all of them waiting") { first.lines.contains("waits 50") }
    kill(first.pid, SIGKILL)
    _ = try first.result()
    let late = App(reading: bench.path("cat"))
    try eventually("one who came while nobody was there") { late.isBlocked }
    #expect(apps.allSatisfy { !$0.hasEnded })
    let second = try client(bench, "restore")
    try expectContent(apps + [late])
    second.stop()
  }

  @Test(arguments: kinds) func theClientIsGoneForGood(_ kind: GuardBench.Kind) throws {
    let bench = try GuardBench(kind)
    try Placeholder.make(bench.path("cat"), size: 50_000)
    try Placeholder.makeResident(bench.path("dog"), size: 9_000)
    let connection = try bench.connect(bounds: Self.bounds)
    _ = try connection.protect()
    connection.close()
    let apps = readers(50, bench.path("cat"))
    try eventually("their waiting") { apps.allSatisfy { $0.isBlocked || $0.hasEnded } }
    let dog = try App(reading: bench.path("dog")).result()
    #expect(dog.output == Placeholder.content(of: "dog", size: 9_000))
    try expectErrors(apps)
  }

  @Test(arguments: kinds) func theClientHangs(_ kind: GuardBench.Kind) throws {
    let bench = try GuardBench(kind)
    try Placeholder.make(bench.path("cat"), size: 50_000)
    let first = try client(bench, "restore")
    kill(first.pid, SIGSTOP)
    let apps = readers(50, bench.path("cat"))
    try eventually("all of them waiting") { apps.allSatisfy(\.isBlocked) }
    kill(first.pid, SIGCONT)
    try expectContent(apps)
    first.stop()
  }

  /// Silence is bounded by `absence`; work that goes on and on, by `patience`.
  @Test(arguments: kinds) func everyWaitEnds(_ kind: GuardBench.Kind) throws {
    let bench = try GuardBench(kind)
    try Placeholder.make(bench.path("cat"), size: 50_000)
    let clock = SystemClock()
    let (connection, recaller) = try bench.protect(
      .wait, bounds: GuardBounds(patience: .seconds(4), absence: .seconds(1)))
    var begun = clock.monotonic
    try expectErrors([App(reading: bench.path("cat"))])
    #expect((.seconds(1)...(.seconds(3))).contains(clock.monotonic - begun))
    recaller.behave(.work)
    begun = clock.monotonic
    try expectErrors([App(reading: bench.path("cat"))])
    #expect((.seconds(4)...(.seconds(8))).contains(clock.monotonic - begun))
    // The next one is served all the same.
    recaller.behave(.restore)
    try expectContent([App(reading: bench.path("cat"))])
    withExtendedLifetime(connection) {}
  }

  @Test(arguments: kinds) func noGuardCanBeStartedForAWhile(_ kind: GuardBench.Kind) throws {
    let bench = try GuardBench(kind)
    try Placeholder.make(bench.path("cat"), size: 50_000)
    try Placeholder.makeResident(bench.path("dog"), size: 9_000)
    let program = try bench.wrapper("")
    let (connection, recaller) = try bench.protect(.wait, bounds: Self.bounds, program: program)
    let held = readers(10, bench.path("cat"))
    try eventually("all of them waiting") { recaller.requests.count == 10 }
    rename(program, program + ".gone")
    kill(bench.guardPID, SIGKILL)
    let (unread, resident) = (readers(10, bench.path("cat")), App(reading: bench.path("dog")))
    let begun = SystemClock().monotonic
    try expectErrors(held + unread)
    try expectContent([resident], size: 9_000, of: "dog")
    #expect((.seconds(1)...(.seconds(6))).contains(SystemClock().monotonic - begun))
    // From now on at once.
    for _ in 0..<20 {
      #expect(try App("read", on: bench.path("cat")).result().ending == .exited(EIO))
      try expectContent([App(reading: bench.path("dog"))], size: 9_000, of: "dog")
    }
    let dog = try Placeholder.open(bench.path("dog"), O_RDWR)
    #expect(throws: TierError.self) { try connection.stubbing(dog.raw) }
    rename(program + ".gone", program)
    try eventually("another guard") { bench.guardPID != 0 }
    _ = try connection.protect()
    recaller.behave(.restore)
    try connection.stubbing(dog.raw)
    try expectContent(readers(10, bench.path("cat")))
  }

  /// What was restored while there was no guard is let through, not refused.
  @Test func contentThatCameWithoutAGuardIsHandedOut() throws {
    guard let kind = Self.kinds.first else { return }
    let bench = try GuardBench(kind)
    try Placeholder.make(bench.path("cat"), size: 50_000)
    let program = try bench.wrapper("")
    let connection = try bench.connect(bounds: Self.bounds, program: program)
    _ = try connection.protect()
    let app = App(reading: bench.path("cat"))
    let opener = try #require(connection.next(atMost: .seconds(20)))
    // Opened while the guard lets this process through; what is written through it later is asked about too.
    rename(program, program + ".gone")
    try Placeholder.restore(opener.file)
    kill(bench.guardPID, SIGKILL)
    connection.answer(opener.request.token, .allow)
    try expectContent([app])
  }

  /// It could give an inherited number to a new opener, so those whose numbers it can't keep are refused.
  @Test func theNextGuardHasFewerDescriptors() throws {
    guard let kind = Self.kinds.first else { return }
    let bench = try GuardBench(kind)
    for name in ["cat", "dog"] { try Placeholder.make(bench.path(name), size: 20_000) }
    let few = bench.directory.path("few")
    let connection = try bench.connect(program: try bench.wrapper("[ -e \(few) ] && ulimit -n 256"))
    _ = try connection.protect()
    func openers(_ name: String, _ count: Int) throws -> (App, [WaitingOpener]) {
      let app = App("crowd", on: bench.path(name), "\(count)")
      return (app, try (0..<count).map { _ in try #require(connection.next(atMost: .seconds(20))) })
    }
    // They take the lower numbers.
    let (early, cats) = try openers("cat", 70)
    let (late, dogs) = try openers("dog", 80)
    for cat in cats { connection.answer(cat.request.token, .deny(.tryAgain)) }
    #expect(String(decoding: try early.result().output, as: UTF8.self) == "0 70 0")
    // Behind the confirmations: else the first ones would be given back, and take the places of the second ones.
    try connection.stubbing(dogs[0].file.raw)
    close(try Placeholder.open(few, O_CREAT | O_WRONLY).take())
    kill(bench.guardPID, SIGKILL)
    // The new guard's reader lets this process pass once it is there.
    try Placeholder.restore(dogs[0].file)
    for dog in dogs { connection.answer(dog.request.token, .allow) }
    let output = String(decoding: try late.result().output, as: UTF8.self)
    let counts = output.split(separator: " ").compactMap { Int($0) }
    try #require(counts.count == 3)
    // 64 may wait there, and some of these have numbers that the new guard can't have, or has in use.
    #expect(counts[0] > 0 && counts[1] > 80 - 64 && counts[0] + counts[1] == 80, "\(output)")
    try expectContent([App(reading: bench.path("dog"))], size: 20_000, of: "dog")
  }

  /// Its waiting openers would be let through.
  @Test func aGuardThatNobodyBacksDoesNotFollowSIGTERM() throws {
    guard let kind = Self.kinds.first else { return }
    let bench = try GuardBench(kind)
    try Placeholder.make(bench.path("cat"), size: 50_000)
    let connection = try bench.connect(bounds: Self.bounds)
    _ = try connection.protect()
    connection.close()
    let app = App(reading: bench.path("cat"))
    try eventually("its waiting") { app.isBlocked }
    let pid = bench.guardPID
    kill(pid, SIGTERM)
    try expectErrors([app])
    #expect(!GuardBench.hasEnded(pid))
  }

  @Test(arguments: kinds) func stubbingOutlivesTheGuard(_ kind: GuardBench.Kind) throws {
    let bench = try GuardBench(kind)
    try Placeholder.makeResident(bench.path("cat"), size: 50_000)
    let (connection, recaller) = try bench.protect(.wait)
    try expectContent([App(reading: bench.path("cat"))])
    let file = try Placeholder.open(bench.path("cat"), O_RDWR)
    try Placeholder.mark(file, .releasing, size: 50_000)
    kill(bench.guardPID, SIGKILL)
    try connection.stubbing(file.raw)
    try Placeholder.free(file, size: 50_000)
    file.close()
    let app = App(reading: bench.path("cat"))
    try eventually("the request") { recaller.requests.count == 1 }
    recaller.behave(.restore)
    try expectContent([app])
  }
}
