import Glibc
import TierCore
import TierGuardSupport
import TierTestSupport

@testable import TierEngine

extension Scenario {
  /// What policies say of how files come back.
  static let rules = [
    Scenario("restore.refuse names the reader", only: .placeholder) { s in
      let text = try s.released("a")
      try s.under({ $0.restore.refuse = RefusedProcesses([try Self.refusing("cat")]) }) {
        try s.mustStayStub("a") {
          let result = try s.run("exec cat a")
          try s.must(!result.succeeded && result.errorText.contains("not permitted"), result.errorText)
        }
        try s.must(try s.output("head -c 100000 a") == text, "another program isn't refused")
        try s.must(try s.output("cat a") == text, "what is there is anybody's")
      }
    },
    Scenario("restore.perMinute", only: .placeholder) { s in
      let texts = try (0..<3).map { try s.released("f\($0)") }
      try s.under({ $0.restore.perMinute = 2 }) {
        let result = try s.run("exec cat f0 f1 f2")
        try s.must(!result.succeeded && result.errorText.contains("f2"), result.errorText)
        try s.must(result.output == Array((texts[0] + texts[1]).utf8), "the first two have come")
        try s.mustBeStub("f2")
        try s.must(try s.output("tac f2 | tac") == texts[2], "another program has its own share")
      }
    },
    Scenario("restore.stay") { s in
      let text = try s.released("a")
      try s.under({ $0.restore.stay = .seconds(1000) }) {
        if s.stub == .link {
          let path = Array(s.path("a").utf8)
          _ = try s.bench.engine.restore(.paths([path]), pinUntil: s.bench.clock.now + .seconds(1000))
          try s.bench.window()
        }
        try s.must(try s.output("cat a") == text, "it comes")
        try s.bench.look()
        try s.must(try s.refusal(of: "a") == "it is pinned", "it stays")
        s.bench.clock.advance(.seconds(1001))
        try s.release("a")
      }
    },
    Scenario("restore.stay of nothing", only: .placeholder) { s in
      let text = try s.released("a")
      try s.under({ $0.restore.stay = .zero }) {
        try s.must(try s.output("cat a") == text, "it comes")
        try s.release("a")
      }
    },
    Scenario("restore.mode link where a guard stands", only: .placeholder) { s in
      let text = try s.archived("a")
      try s.under({ $0.restore.mode = .link }) {
        try s.tryToRelease("a")
        try s.must(s.bench.isSymlink(s.name("a")), "it is a link")
        try s.restore("a")
        try s.must(try s.output("cat a") == text, "it comes back")
      }
    },
    Scenario("links become placeholders at their next release", only: .placeholder) { s in
      let text = try s.archived("a")
      try s.under({ $0.restore.mode = .link }) { try s.tryToRelease("a") }
      try s.must(s.bench.isSymlink(s.name("a")), "it is still a link")
      try s.restore("a")
      s.bench.clock.advance(.seconds(90_000))
      try s.release("a")
      try s.mustRead("a", text)
    },
    Scenario("placeholders stay behind the guard when the policy says links", only: .placeholder) { s in
      let text = try s.released("a")
      try s.under({ $0.restore.mode = .link }) {
        try s.mustBeStub("a")
        try s.must(try s.output("cat a") == text, "it comes back")
      }
    },
    Scenario("restore.mode guard where no guard can stand", only: .link) { s in
      let text = try s.archived("a")
      try s.under({ $0.restore.mode = .guard }) {
        try s.must(try s.refusal(of: "a")?.contains("no guard can stand") == true, "it stays")
      }
      try s.must(try s.output("cat a") == text, "with its content")
    },
    Scenario("the policy that let it go is gone") { s in
      let text = try s.released("a")
      try s.under({ $0.path = RelativePath("elsewhere")! }) {
        try s.bench.look()
        try s.mustRead("a", text)
      }
    },
  ]

  private static func refusing(_ name: String) throws -> ProcessRule {
    ProcessRule(.refuse, try ProcessPattern(name))
  }
}

extension Stage {
  /// With another policy for a while.
  func under(_ change: (inout Policy) throws -> Void, _ body: () throws -> Void) throws {
    var policy = Ground.policy(stub)
    try change(&policy)
    try restart(policy: policy)
    try body()
    try restart()
  }
}
