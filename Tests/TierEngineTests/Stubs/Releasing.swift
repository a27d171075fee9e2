import Glibc
import TierCore
import TierGuardSupport
import TierTestSupport

@testable import TierEngine

extension Scenario {
  static let releasing = [
    Scenario("a process has it open to read") { s in
      try s.archived("a")
      let app = try s.holder("exec 3<a")
      try s.must(try s.refusal(of: "a") == "a process has it open", "it stays")
      app.stop()
      s.bench.clock.advance(.seconds(61))
      try s.release("a")
    },
    Scenario("a process has it open to write") { s in
      try s.archived("a")
      let app = try s.holder("exec 3<>a")
      try s.must(try s.refusal(of: "a") == "a process has it open", "it stays")
      app.stop()
      s.bench.clock.advance(.seconds(61))
      try s.release("a")
    },
    Scenario("a process has it mapped, and its descriptor closed") { s in
      try s.archived("a")
      let app = s.start("hold-mapped", on: "a")
      try eventually("it has it mapped") { app.lines.contains("open") }
      try s.must(try s.refusal(of: "a") == "a process has it open", "it stays")
      app.stop()
      s.bench.clock.advance(.seconds(61))
      try s.release("a")
    },
    Scenario("it is a program that runs") { s in
      try s.output("cp /bin/sleep program")
      try s.archive()
      let app = s.start("exec ./program 100")
      try eventually("it runs") { Self.isRunning(app, s.path("program")) }
      try s.must(try s.refusal(of: "program") != nil, "it stays")
      app.stop()
      s.bench.clock.advance(.seconds(61))
      try s.release("program")
    },
    Scenario("it was written to since it was archived") { s in
      let text = try s.archived("a")
      try s.output("printf more >>a")
      s.note("a", text + "more")
      try s.must(try s.refusal(of: "a") == "it changed since it was archived", "it stays")
    },
    Scenario("it was written to, and its time set back") { s in
      let text = try s.archived("a")
      try s.output("touch -r a reference; printf X | dd of=a conv=notrunc 2>/dev/null; touch -r reference a")
      s.note("a", "X" + text.dropFirst())
      try s.must(try s.refusal(of: "a") != nil, "it stays")
    },
    Scenario("it has two names") { s in
      let text = try s.archived("a")
      try s.output("ln a b")
      s.note("b", text)
      try s.must(try s.refusal(of: "a") != nil, "it stays")
      try s.bench.look()
      try s.must(try s.refusal(of: "a") != nil, "it stays when that is known")
    },
    Scenario("it is pinned") { s in
      try s.archived("a")
      let path = Array(s.path("a").utf8)
      _ = try s.bench.engine.pin(.paths([path]), until: s.bench.clock.now + .seconds(100))
      try s.must(try s.refusal(of: "a") == "it is pinned", "it stays")
      s.bench.clock.advance(.seconds(101))
      try s.release("a")
    },
    Scenario("it isn't archived yet") { s in
      s.write("a", s.text("a"))
      try s.bench.look()
      try s.must(try s.refusal(of: "a") == "it isn't archived", "it stays")
    },
    Scenario("it is a stub already") { s in
      try s.released("a")
      try s.must(try s.refusal(of: "a") != nil, "there is nothing to do")
      try s.mustBeStub("a")
    },
    Scenario("a released file isn't archived again") { s in
      try s.released("a")
      let before = s.bench.windows.condition.counters.archivedFiles
      for _ in 0..<3 { try s.settle() }
      try s.must(s.bench.windows.condition.counters.archivedFiles == before, "nothing is archived")
    },
    Scenario("what comes back clean goes without being archived") { s in
      let text = try s.released("a")
      try s.mustRead("a", text)
      let before = s.bench.windows.condition.counters.archivedFiles
      s.bench.clock.advance(.seconds(90_000))
      try s.settle()
      try s.release("a")
      try s.must(s.bench.windows.condition.counters.archivedFiles == before, "nothing is archived")
    },
    Scenario("a reader comes while it lingers", only: .placeholder) { s in
      let text = try s.archived("a")
      try s.beginRelease("a")
      let before = s.transfers
      try s.must(try s.output("cat a") == text, "has its content")
      try s.must(s.transfers == before, "without the target")
      try s.mustBe(.archived, "a")
    },
    Scenario("a writer comes while it lingers", only: .placeholder) { s in
      let text = try s.archived("a")
      try s.beginRelease("a")
      try s.output("printf more >>a")
      s.note("a", text + "more")
      try s.archive()
      try s.mustBeOnNAS("a", text + "more")
    },
    Scenario("asked for while it lingers") { s in
      let text = try s.archived("a")
      try s.beginRelease("a")
      let until = s.bench.clock.now + .seconds(86_400)
      try s.must(try s.bench.loop.takeBack(s.row("a").id!, pinUntil: until), "it comes back")
      try s.mustBe(.archived, "a")
      try s.must(try s.output("cat a") == text, "with its content")
    },
    Scenario("renamed while it lingers") { s in
      let text = try s.archived("a")
      try s.beginRelease("a")
      rename(s.path("a"), s.path("b"))
      s.note("a", nil)
      s.note("b", text)
      try s.settle()
      try s.mustRead("b", text)
    },
    Scenario("deleted while it lingers") { s in
      try s.archived("a")
      try s.beginRelease("a")
      unlink(s.path("a"))
      s.note("a", nil)
      try s.settle()
    },
    Scenario("replaced while it lingers") { s in
      try s.archived("a")
      try s.beginRelease("a")
      s.write("b", "new content")
      rename(s.path("b"), s.path("a"))
      s.note("b", nil)
      s.note("a", "new content")
      try s.settle()
    },
    Scenario("chmod while it lingers", only: .placeholder) { s in
      let text = try s.archived("a")
      try s.beginRelease("a")
      chmod(s.path("a"), 0o600)
      try s.settle()
      try s.mustRead("a", text)
      try s.must(s.status("a").st_mode & 0o777 == 0o600, "its new mode stays")
    },
    Scenario("another time while it lingers", only: .placeholder) { s in
      let text = try s.archived("a")
      try s.beginRelease("a")
      try s.output("touch -c -d '2002-03-04 05:06:07.5' a")
      try s.settle()
      try s.mustRead("a", text)
      try s.must(s.status("a").st_mtim.tv_nsec == 500_000_000, "its new time stays")
    },
    Scenario("a second name while it lingers") { s in
      let text = try s.archived("a")
      try s.beginRelease("a")
      link(s.path("a"), s.path("b"))
      s.note("b", text)
      try s.settle()
      try s.mustRead("b", text)
    },
    Scenario("its directory is renamed while it lingers") { s in
      let text = try s.archived("x/a")
      try s.beginRelease("x/a")
      rename(s.path("x"), s.path("y"))
      s.note("x/a", nil)
      s.note("y/a", text)
      try s.settle()
      try s.mustRead("y/a", text)
    },
    Scenario("cut by its name while it lingers", only: .placeholder) { s in
      let text = try s.archived("a")
      try s.beginRelease("a")
      _ = try s.run("truncate", on: "a")
      s.note("a", String(text.prefix(10)))
      try s.settle()
      try s.mustRead("a", String(text.prefix(10)))
    },
  ]

  private static func isRunning(_ app: App, _ program: String) -> Bool {
    var text = [UInt8](repeating: 0, count: 4096)
    let length = readlink("/proc/\(app.pid)/exe", &text, text.count)
    return length > 0 && String(decoding: text[..<length], as: UTF8.self) == program
  }
}
