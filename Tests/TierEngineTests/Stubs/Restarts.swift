import Glibc
import TierCore
import TierGuardSupport
import TierTestSupport

@testable import TierEngine

extension Scenario {
  static let restarts = [
    Scenario("tierd starts anew") { s in
      let text = try s.released("a")
      try s.restart()
      try s.bench.look()
      try s.mustBeStub("a")
      try s.mustRead("a", text)
    },
    Scenario("tierd starts anew while somebody waits", only: .placeholder) { s in
      let text = try s.released("a")
      let app = try s.opener("exec cat a")
      try s.restart()
      try s.must(try s.end(app).output == Array(text.utf8), "has its content")
    },
    Scenario("somebody opens it while tierd is down", only: .placeholder) { s in
      let text = try s.released("a")
      var app: App?
      try s.restart {
        app = s.start("exec cat a")
        try eventually("it waits") { app!.isBlocked }
      }
      try s.must(try s.end(app!).output == Array(text.utf8), "has its content")
    },
    Scenario("the guard is killed", only: .placeholder) { s in
      let text = try s.released("a")
      try s.guarded.killGuard()
      try s.mustRead("a", text)
    },
    Scenario("the guard is killed while somebody waits", only: .placeholder) { s in
      let text = try s.released("a")
      let app = try s.opener("exec cat a")
      try s.guarded.killGuard()
      try s.must(try s.end(app).output == Array(text.utf8), "has its content")
    },
    Scenario("the guard is killed while the content comes", only: .placeholder) { s in
      let text = try s.released("a")
      let pid = s.guarded.guardPID
      s.targetFaults.next("directory.open", .before { kill(pid, SIGKILL) })
      try s.must(try s.output("cat a") == text, "has its content")
    },
    Scenario("the guard is killed while it lingers", only: .placeholder) { s in
      let text = try s.archived("a")
      try s.beginRelease("a")
      try s.guarded.killGuard()
      s.bench.clock.advance(.seconds(10))
      try s.bench.loop.finishLingering()
      try s.mustRead("a", text)
    },
    Scenario("tierd is killed while it lingers") { s in
      let text = try s.archived("a")
      try s.beginRelease("a")
      try s.restart()
      try s.settle()
      try s.mustRead("a", text)
    },
    Scenario("tierd is killed while it lingers, and it is written to", only: .placeholder) { s in
      let text = try s.archived("a")
      try s.beginRelease("a")
      var app: App?
      try s.restart {
        app = s.start("printf more >>a")
        try eventually("it waits") { app!.isBlocked }
      }
      try s.must(try s.end(app!).succeeded, "it writes")
      s.note("a", text + "more")
      try s.archive()
    },
    Scenario("tierd and the guard are killed while it lingers, and it is written to", only: .placeholder) {
      s in
      let text = try s.archived("a")
      try s.beginRelease("a")
      try s.restart {
        try s.guarded.killGuard()
        try s.must(s.start("printf more >>a").result().succeeded, "nobody stands before it")
      }
      s.note("a", text + "more")
      try s.archive()
      try s.mustRead("a", text + "more")
    },
    Scenario("a stub is renamed while tierd is down") { s in
      let text = try s.released("a")
      try s.restart { rename(s.path("a"), s.path("b")) }
      s.note("a", nil)
      s.note("b", text)
      try s.settle()
      try s.mustBeOnNAS("b", text)
    },
    Scenario("a stub is deleted while tierd is down") { s in
      try s.released("a")
      try s.restart { unlink(s.path("a")) }
      s.note("a", nil)
      try s.settle()
      try s.must(s.bench.onNAS(s.name("a")) == nil, "its copy is in the trash")
    },
    Scenario("two stubs swap names while tierd is down") { s in
      let texts = (try s.released("a"), try s.released("b"))
      try s.restart { try s.exchange("a", "b") }
      s.note("a", texts.1)
      s.note("b", texts.0)
      try s.settle()
    },
    Scenario("the catalog is lost") { s in
      let text = try s.released("a")
      try s.restart { try GuardBench.run("rm", ["-rf", s.bench.folder.path("state")]) }
      try s.bench.look()
      try s.mustBeStub("a")
      try s.mustRead("a", text)
    },
    Scenario("the catalog is lost, and a stub is renamed") { s in
      let text = try s.released("a")
      try s.restart {
        try GuardBench.run("rm", ["-rf", s.bench.folder.path("state")])
        rename(s.path("a"), s.path("b"))
      }
      s.note("a", nil)
      s.note("b", text)
      try s.bench.look()
      try s.mustRead("b", text)
    },
    Scenario("the catalog is lost while somebody waits", only: .placeholder) { s in
      let text = try s.released("a")
      let app = try s.opener("exec cat a")
      try s.restart { try GuardBench.run("rm", ["-rf", s.bench.folder.path("state")]) }
      try s.bench.look()
      try s.must(try s.end(app).output == Array(text.utf8), "has its content")
    },
    Scenario("the catalog is lost, and the content is there") { s in
      let text = try s.released("a")
      try s.mustRead("a", text)
      try s.restart { try GuardBench.run("rm", ["-rf", s.bench.folder.path("state")]) }
      try s.archive()
      try s.mustBeOnNAS("a", text)
    },
  ]
}

extension Stage {
  func restart(policy: Policy? = nil, whileDown: () throws -> Void = {}) throws {
    try bench.restart(policy: policy ?? Ground.policy(stub)) {
      try whileDown()
      mkdir(bench.folder.path("state"), 0o755)
    }
  }
}
