import CTierLinux
import Glibc
import TierCore
import TierGuardSupport
import TierTestSupport

@testable import TierEngine

extension Scenario {
  static let names = [
    Scenario("a stub is renamed") { s in
      let text = try s.released("a")
      try s.mustStayStubAfter("mv a b", "b")
      s.note("a", nil)
      s.note("b", text)
      try s.settle()
      try s.mustBeOnNAS("b", text)
      try s.must(s.bench.onNAS(s.name("a")) == nil, "the copy moved along")
    },
    Scenario("a stub moves to another directory") { s in
      let text = try s.released("a")
      try s.mustStayStubAfter("mkdir -p x/y && mv a x/y/b", "x/y/b")
      s.note("a", nil)
      s.note("x/y/b", text)
      try s.settle()
      try s.mustBeOnNAS("x/y/b", text)
    },
    Scenario("its directory is renamed") { s in
      let text = try s.released("x/a")
      try s.mustStayStubAfter("mv x y", "y/a")
      s.note("x/a", nil)
      s.note("y/a", text)
      try s.settle()
      try s.mustBeOnNAS("y/a", text)
    },
    Scenario("its directory moves into another") { s in
      let text = try s.released("x/z/a")
      try s.mustStayStubAfter("mkdir y && mv x y", "y/x/z/a")
      s.note("x/z/a", nil)
      s.note("y/x/z/a", text)
    },
    Scenario("a stub is renamed there and back") { s in
      let text = try s.released("a")
      try s.mustStayStubAfter("mv a b && mv b a", "a")
      try s.settle()
      try s.mustBeOnNAS("a", text)
    },
    Scenario("renamed, and read before anybody looked", only: .placeholder) { s in
      let text = try s.released("a")
      try s.must(try s.output("mv a b && cat b") == text, "has its content")
      s.note("a", nil)
      s.note("b", text)
    },
    Scenario("a stub is renamed while its content comes") { s in
      let text = try s.released("a")
      let path = (s.path("a"), s.path("b"))
      s.targetFaults.next("directory.open", .before { rename(path.0, path.1) })
      s.note("a", nil)
      s.note("b", text)
      if s.isPlaceholder {
        try s.must(try s.output("cat a") == text, "who waited has it")
      } else {
        _ = try s.bench.restore(s.name("a"))
      }
    },
    Scenario("its directory is renamed while its content comes") { s in
      let text = try s.released("x/a")
      let path = (s.path("x"), s.path("y"))
      s.targetFaults.next("directory.open", .before { rename(path.0, path.1) })
      s.note("x/a", nil)
      s.note("y/a", text)
      if s.isPlaceholder {
        try s.must(try s.output("cat x/a") == text, "who waited has it")
      } else {
        _ = try s.bench.restore(s.name("x/a"))
      }
    },
    Scenario("a stub is deleted") { s in
      try s.released("a")
      try s.output("rm a")
      s.note("a", nil)
      try s.settle()
      try s.must(try s.bench.find(s.name("a")) == nil, "it is forgotten")
      try s.must(s.bench.onNAS(s.name("a")) == nil, "its copy is in the trash")
    },
    Scenario("a stub is deleted while its content comes") { s in
      let text = try s.released("a")
      let path = s.path("a")
      s.targetFaults.next("directory.open", .before { unlink(path) })
      s.note("a", nil)
      guard s.isPlaceholder else {
        _ = try s.bench.restore(s.name("a"))
        return
      }
      let result = try s.run("cat a")
      try s.must(!result.succeeded || result.output == Array(text.utf8), "all of it, or an error")
      try s.must(result.succeeded || result.output.isEmpty, "never a part")
    },
    Scenario("a stub is replaced while its content comes") { s in
      try s.released("a")
      s.write("b", "new content")
      let path = (s.path("b"), s.path("a"))
      s.targetFaults.next("directory.open", .before { rename(path.0, path.1) })
      if s.isPlaceholder { _ = try s.run("cat a") } else { _ = try s.bench.restore(s.name("a")) }
      s.note("b", nil)
      s.note("a", "new content")
    },
    Scenario("deleted and undeleted") { s in
      let text = try s.released("a")
      try s.output("rm a")
      try s.settle()
      let request = try s.bench.engine.undelete(Array(s.path("a").utf8))
      try s.bench.window()
      try s.must(request.current.failures == [], "\(request.current.failures)")
      try s.mustRead("a", text)
    },
    Scenario("a whole folder is deleted and undeleted") { s in
      let texts = try ["a", "b"].map { try s.released("x/\($0)") }
      try s.output("rm -r x")
      try s.settle()
      let request = try s.bench.engine.undelete(Array(s.path("x").utf8))
      try s.bench.window()
      try s.must(request.current.failures == [], "\(request.current.failures)")
      try s.mustRead("x/a", texts[0])
      try s.mustRead("x/b", texts[1])
    },
    Scenario("an undeleted file keeps mode, owner and time") { s in
      s.write("a", s.text("a"))
      chmod(s.path("a"), 0o640)
      chown(s.path("a"), 1234, 4321)
      try s.archive()
      let before = s.status("a")
      try s.release("a")
      try s.output("rm a")
      try s.settle()
      _ = try s.bench.engine.undelete(Array(s.path("a").utf8))
      try s.bench.window()
      try s.wanted("a")
      try s.mustRead("a", s.text("a"))
      try s.mustLook("a", like: before)
    },
    Scenario("deleted and made anew") { s in
      try s.released("a")
      try s.output("rm a && printf new >a")
      s.note("a", "new")
      try s.archive()
      try s.mustBeOnNAS("a", "new")
    },
    Scenario("a second name of a stub") { s in
      let text = try s.released("a")
      try s.output("ln -P a b")
      try s.bench.look()
      s.note("b", text)
      try s.mustRead("a", text)
    },
    Scenario("a stub with two names loses its first") { s in
      let text = try s.released("a")
      try s.output("ln -P a b && rm a")
      s.note("a", nil)
      s.note("b", text)
      try s.settle()
      try s.mustRead("b", text)
    },
    Scenario("a stub and a file swap names") { s in
      let texts = (try s.released("a"), try s.archived("b"))
      try s.exchange("a", "b")
      s.note("a", texts.1)
      s.note("b", texts.0)
      try s.settle()
      try s.mustBeOnNAS("a", texts.1)
      try s.mustBeOnNAS("b", texts.0)
    },
    Scenario("two stubs swap names") { s in
      let texts = (try s.released("a"), try s.released("b"))
      try s.exchange("a", "b")
      s.note("a", texts.1)
      s.note("b", texts.0)
      try s.settle()
      try s.mustBeOnNAS("a", texts.1)
      try s.mustBeOnNAS("b", texts.0)
    },
    Scenario("three stubs go round") { s in
      let texts = try ["a", "b", "c"].map { try s.released($0) }
      try s.output("mv a t && mv b a && mv c b && mv t c")
      s.note("a", texts[1])
      s.note("b", texts[2])
      s.note("c", texts[0])
    },
    Scenario("a stub is renamed over another") { s in
      let text = try s.released("a")
      try s.released("b")
      try s.output("mv a b")
      s.note("a", nil)
      s.note("b", text)
      try s.settle()
      try s.mustBeOnNAS("b", text)
    },
    Scenario("a stub moves out of the volume", only: .placeholder) { s in
      let text = try s.released("a")
      let away = s.guarded.directory.path(s.folder)
      try s.output("mv a \(away)")
      try s.must(try s.output("cat \(away)") == text, "with its content")
      s.note("a", nil)
      try s.settle()
      try s.must(try s.bench.find(s.name("a")) == nil, "it is forgotten")
    },
    Scenario("a log is rotated") { s in
      let text = try s.released("log")
      try s.output("mv log log.1 && printf new >log")
      s.note("log", "new")
      s.note("log.1", text)
      try s.archive()
      try s.mustBeOnNAS("log", "new")
      try s.mustBeOnNAS("log.1", text)
    },
  ]
}

extension Stage {
  /// Neither what renames nor who looks at it afterwards brings it back.
  func mustStayStubAfter(_ script: String, _ file: String) throws {
    let before = transfers
    try output(script)
    try bench.look()
    try must(transfers == before, "nothing is transferred")
    try mustBeStub(file)
  }

  func exchange(_ left: String, _ right: String) throws {
    let result = tier_rename(AT_FDCWD, path(left), AT_FDCWD, path(right), tier_RENAME_EXCHANGE)
    try needs(result == 0)
  }
}

extension FaultPlan {
  /// At the next of these calls.
  func next(_ site: CallSite, _ action: Action) { at(site, occurrence: count(of: site) + 1, action) }
}
