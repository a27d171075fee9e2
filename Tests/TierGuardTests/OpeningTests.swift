import CTierLinux
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
    #expect(recaller.requests[0].access == .open)
    recaller.behave(.restore)
    try expect(app, "cat", size: 100_000)
    #expect(recaller.failures == [])
  }

  /// With the guard stopped, whoever is asked about waits: the second open isn't.
  @Test(arguments: GuardBench.Kind.here.filter(\.isLocal))
  func aResidentFileIsAskedAboutOnce(_ kind: GuardBench.Kind) throws {
    let bench = try GuardBench(kind)
    for (name, isMarked) in [("plain", false), ("archived", true)] {
      try Placeholder.makeResident(bench.path(name), size: 9000, marked: isMarked)
    }
    try Placeholder.makeResident(bench.path("other"), size: 9000)
    let (_, recaller) = try bench.protect(.wait)
    for name in ["plain", "archived"] { try expect(App(reading: bench.path(name)), name, size: 9000) }
    let guardPID = bench.guardPID
    kill(guardPID, SIGSTOP)
    defer { kill(guardPID, SIGCONT) }
    let other = App(reading: bench.path("other"))
    try eventually("an open that is asked about") { other.isBlocked }
    for name in ["plain", "archived"] {
      try expect(App(reading: bench.path(name)), name, size: 9000)
      // Writing doesn't bring the questions back.
      try #require(try App(script: "printf x >> \"$1\"; cat \"$1\"", bench.path(name)).result().succeeded)
    }
    kill(guardPID, SIGCONT)
    try expect(other, "other", size: 9000)
    #expect(recaller.requests == [])
  }

  @Test(arguments: GuardBench.Kind.here)
  func fiftyReadersInAllKindsOfPlacesGetTheContent(_ kind: GuardBench.Kind) throws {
    let bench = try GuardBench(kind)
    mkdir(bench.path("album"), 0o755)
    let path = bench.path("album/cat")
    try Placeholder.make(path, size: 50_000)
    let (_, recaller) = try bench.protect(.wait)
    let elsewhere = bench.directory.path("elsewhere")
    mkdir(elsewhere, 0o755)
    let apps = (0..<50).map { number in
      switch number % 5 {
      case 0: App("read", on: path)
      case 1: App(reading: path)
      // A mount namespace of its own, and a bind mount that only that one has.
      case 2: App("/usr/bin/unshare", ["-m", "/bin/cat", path])
      case 3:
        App(
          "/usr/bin/unshare",
          [
            "-m", "/bin/sh", "-c", "mount --bind \"$1\" \"$2\" && exec cat \"$2/cat\"", "app",
            bench.path("album"), elsewhere,
          ])
      // As a container without root is.
      default: App("/usr/bin/unshare", ["-U", "-r", "-m", "-p", "-f", "/bin/cat", path])
      }
    }
    try eventually("all of them waiting") { recaller.requests.count == apps.count }
    #expect(apps.allSatisfy { !$0.hasEnded })
    recaller.behave(.restore)
    for app in apps { try expect(app, "cat", size: 50_000) }
    #expect(recaller.restores == 1)
  }

  @Test(arguments: GuardBench.Kind.here, ["mmap", "sendfile", "nonblocking"])
  func otherWaysOfReadingWaitToo(_ kind: GuardBench.Kind, _ action: String) throws {
    let bench = try GuardBench(kind)
    try Placeholder.make(bench.path("cat"), size: 30_000)
    let (_, recaller) = try bench.protect(.wait)
    let app = App(action, on: bench.path("cat"))
    try eventually("the request") { recaller.requests.count == 1 && app.isBlocked }
    recaller.behave(.restore)
    try expect(app, "cat", size: 30_000)
  }

  @Test(arguments: GuardBench.Kind.here) func executionWaits(_ kind: GuardBench.Kind) throws {
    let bench = try GuardBench(kind)
    try Placeholder.make(bench.path("program"), size: Placeholder.program.count)
    let (_, recaller) = try bench.protect(.wait)
    let app = App(script: "exec \"$1\" it runs", bench.path("program"))
    try eventually("the request") { recaller.requests.count == 1 }
    recaller.behave(.restore)
    let result = try app.result()
    #expect(result.succeeded && String(decoding: result.output, as: UTF8.self) == "it runs\n")
  }

  @Test(arguments: GuardBench.Kind.here) func writersWaitAndKeepTheRest(_ kind: GuardBench.Kind) throws {
    let bench = try GuardBench(kind)
    for name in ["appended", "emptied"] { try Placeholder.make(bench.path(name), size: 20_000) }
    let (_, recaller) = try bench.protect(.wait)
    let apps = [App("append", on: bench.path("appended")), App("truncating", on: bench.path("emptied"))]
    try eventually("the requests") { recaller.requests.count == 2 }
    // Until then nothing has happened to the file.
    #expect(try size(bench.path("emptied")) == 20_000)
    recaller.behave(.restore)
    for app in apps { #expect(try app.result().succeeded) }
    let appended = try App(reading: bench.path("appended")).result()
    #expect(appended.output == Placeholder.content(of: "appended", size: 20_000) + Array("more".utf8))
    #expect(try size(bench.path("emptied")) == 0)
  }

  /// `FAN_PRE_ACCESS` alone covers it; where there is none, `GuardMode` says so.
  @Test(arguments: GuardBench.Kind.here) func truncationByName(_ kind: GuardBench.Kind) throws {
    let bench = try GuardBench(kind)
    try Placeholder.make(bench.path("cat"), size: 20_000)
    let (connection, recaller) = try bench.protect(.wait)
    let mode = try connection.protect()
    let app = App("truncate", on: bench.path("cat"))
    guard mode.reach == .contents else {
      #expect(try app.result().succeeded)
      #expect(mode.limits.contains { $0.contains("truncate(2)") })
      return
    }
    try eventually("the request") { recaller.requests.count == 1 && app.isBlocked }
    #expect(recaller.requests[0].access == .range)
    recaller.behave(.restore)
    #expect(try app.result().succeeded)
    try expect(App(reading: bench.path("cat")), "cat", size: 10)
  }

  /// (`touch` without `-c` opens what it touches, so it does wait.)
  @Test(arguments: GuardBench.Kind.here) func whatNeedsNoContentNeverWaits(_ kind: GuardBench.Kind) throws {
    let bench = try GuardBench(kind)
    try Placeholder.make(bench.path("cat"), size: 20_000)
    let (_, recaller) = try bench.protect(.wait)
    let script = """
      set -e; cd "$1"; stat cat; ls -la; find . -type f -printf '%s %p\\n'; du -a .; chmod 600 cat; touch -c -d @5 cat
      ln cat dog; mv cat bird; rm dog; mkdir d; mv bird d/; rm d/bird; echo new > cat; cat cat
      """
    try #require(try App(script: script, bench.path).result().succeeded)
    try Placeholder.make(bench.path("other"), size: 20_000)
    #expect(try App("path", on: bench.path("other")).result().succeeded)
    #expect(recaller.requests == [])
  }

  @Test(arguments: GuardBench.Kind.here) func refusalsTellWhy(_ kind: GuardBench.Kind) throws {
    let bench = try GuardBench(kind)
    try Placeholder.make(bench.path("cat"), size: 20_000)
    let (connection, recaller) = try bench.protect(.wait)
    let mode = try connection.protect()
    for errno in GuardErrno.allCases {
      recaller.behave(.deny(errno))
      let result = try App("read", on: bench.path("cat")).result()
      #expect(result.ending == .exited(mode.answersErrno ? errno.rawValue : EPERM))
      #expect(result.output == [])
    }
  }

  /// A client that allows without having brought anything isn't believed.
  @Test(arguments: GuardBench.Kind.here) func allowedWithoutContentIsRefused(_ kind: GuardBench.Kind) throws {
    let bench = try GuardBench(kind)
    for state in [IdentityState.released, .releasing, .restoring] {
      try Placeholder.make(bench.path(state.rawValue), size: 20_000, state: state)
    }
    let (_, recaller) = try bench.protect(.lie)
    for state in [IdentityState.released, .releasing, .restoring] {
      let result = try App("read", on: bench.path(state.rawValue)).result()
      #expect(!result.succeeded && result.output == [])
    }
    #expect(recaller.requests.count == 3)
  }

  @Test(arguments: GuardBench.Kind.here) func unreadableIdentitiesAreRefused(_ kind: GuardBench.Kind) throws {
    let bench = try GuardBench(kind)
    try Placeholder.make(bench.path("cat"), size: 20_000)
    let (_, recaller) = try bench.protect(.restore)
    for value in ["tierd2 archived epoch=1", "", "tierd1 ", "tierd1 freed epoch=1"] {
      try Placeholder.mark(try Placeholder.open(bench.path("cat"), O_RDWR), Array(value.utf8))
      let result = try App("read", on: bench.path("cat")).result()
      #expect(!result.succeeded && result.output == [])
    }
    #expect(recaller.requests == [])
  }

  @Test(arguments: GuardBench.Kind.here) func aKilledWaiterCostsNothing(_ kind: GuardBench.Kind) throws {
    let bench = try GuardBench(kind)
    try Placeholder.make(bench.path("cat"), size: 20_000)
    let (_, recaller) = try bench.protect(.wait)
    let killed = App(reading: bench.path("cat"))
    try eventually("the request") { recaller.requests.count == 1 && killed.isBlocked }
    kill(killed.pid, SIGKILL)
    _ = try killed.result()
    let patient = App(reading: bench.path("cat"))
    try eventually("the second request") { recaller.requests.count == 2 }
    recaller.behave(.restore)
    try expect(patient, "cat", size: 20_000)
    #expect(recaller.restores == 1)
  }

  @Test(arguments: GuardBench.Kind.here) func aFloodOfOpensFailsNothing(_ kind: GuardBench.Kind) throws {
    let bench = try GuardBench(kind)
    mkdir(bench.path("d"), 0o755)
    let count = kind == .fuse ? 1000 : 5000
    for number in 0..<count { try Placeholder.makeResident(bench.path("d/\(number)"), size: 10) }
    try Placeholder.make(bench.path("cat"), size: 20_000)
    let (_, recaller) = try bench.protect(.wait)
    let waiting = App(reading: bench.path("cat"))
    let flood = App("flood", on: bench.path("d/"), "\(count)")
    let result = try flood.result()
    #expect(result.succeeded && String(decoding: result.output, as: UTF8.self) == "0 failed")
    recaller.behave(.restore)
    try expect(waiting, "cat", size: 20_000)
  }

  /// The file was found resident, and isn't asked about any more, when it is to become a stub.
  @Test(arguments: GuardBench.Kind.here) func aFileThatBecomesAStubIsAskedAbout(_ kind: GuardBench.Kind)
    throws
  {
    let bench = try GuardBench(kind)
    try Placeholder.makeResident(bench.path("cat"), size: 20_000)
    let (connection, recaller) = try bench.protect(.wait)
    for _ in 0..<3 { try expect(App(reading: bench.path("cat")), "cat", size: 20_000) }
    let file = try Placeholder.open(bench.path("cat"), O_RDWR)
    try Placeholder.mark(file, .releasing, size: 20_000)
    try connection.stubbing(file.raw)
    try Placeholder.free(file, size: 20_000)
    file.close()
    let app = App(reading: bench.path("cat"))
    try eventually("the request") { recaller.requests.count == 1 && app.isBlocked }
    recaller.behave(.restore)
    try expect(app, "cat", size: 20_000)
    try expect(App(reading: bench.path("cat")), "cat", size: 20_000)
  }

  /// What was open before the release.
  @Test(arguments: GuardBench.Kind.here) func whoHadItOpenWaitsAtItsNextRead(_ kind: GuardBench.Kind) throws {
    let bench = try GuardBench(kind)
    try Placeholder.makeResident(bench.path("cat"), size: 20_000)
    let (connection, recaller) = try bench.protect(.wait)
    let go = bench.directory.path("go")
    mkfifo(go, 0o600)
    let app = App(script: "exec < \"$1\"; echo open >&2; read x < \"$2\"; exec cat", bench.path("cat"), go)
    try eventually("the open") { app.lines == ["open"] }
    let file = try Placeholder.open(bench.path("cat"), O_RDWR)
    try Placeholder.mark(file, .releasing, size: 20_000)
    try connection.stubbing(file.raw)
    try Placeholder.free(file, size: 20_000)
    try #require(try App(script: "echo go > \"$1\"", go).result().succeeded)
    try eventually("the request") { recaller.requests.count == 1 }
    #expect(recaller.requests[0].access == (try connection.protect().reach == .contents ? .range : .read))
    recaller.behave(.restore)
    try expect(app, "cat", size: 20_000)
  }

  private func expect(_ app: App, _ name: String, size: Int) throws {
    let result = try app.result()
    #expect(result.succeeded, "\(result.ending) \(result.errorText)")
    // Compared here: `#expect` would list the differences of two arrays, for hours.
    let isWhole = result.output == Placeholder.content(of: name, size: size)
    #expect(isWhole, "\(result.output.count) bytes")
  }

  private func size(_ path: String) throws -> Int64 {
    var status = tier_status()
    try #require(tier_statx(AT_FDCWD, path, &status) == 0)
    return status.size
  }
}
