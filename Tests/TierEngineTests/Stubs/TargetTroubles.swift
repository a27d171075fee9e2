import Glibc
import TierCore
import TierGuardSupport
import TierTestSupport

@testable import TierEngine

extension Scenario {
  static let targetTroubles = [
    Scenario("the copy is missing, and comes back") { s in
      let text = try s.released("a")
      rename(s.onNAS("a"), s.onNAS("a.away"))
      try s.mustFail("a")
      rename(s.onNAS("a.away"), s.onNAS("a"))
      try s.verified("a")
      try s.mustRead("a", text)
    },
    Scenario("the copy has another content, and is mended") { s in
      let text = try s.released("a")
      s.bench.write("vol/\(s.name("a"))", "X" + text.dropFirst(), in: s.bench.nas)
      try s.mustFail("a")
      s.bench.write("vol/\(s.name("a"))", text, in: s.bench.nas)
      try s.verified("a")
      try s.mustRead("a", text)
    },
    Scenario("the copy is cut short, and is mended") { s in
      let text = try s.released("a")
      s.bench.write("vol/\(s.name("a"))", String(text.prefix(5000)), in: s.bench.nas)
      try s.mustFail("a")
      s.bench.write("vol/\(s.name("a"))", text, in: s.bench.nas)
      try s.verified("a")
      try s.mustRead("a", text)
    },
    Scenario("the copy is empty, and is mended") { s in
      let text = try s.released("a")
      s.bench.write("vol/\(s.name("a"))", "", in: s.bench.nas)
      try s.mustFail("a")
      s.bench.write("vol/\(s.name("a"))", text, in: s.bench.nas)
      try s.verified("a")
      try s.mustRead("a", text)
    },
    Scenario("the copy is longer, and is mended") { s in
      let text = try s.released("a")
      s.bench.write("vol/\(s.name("a"))", text + "more", in: s.bench.nas)
      try s.mustFail("a")
      s.bench.write("vol/\(s.name("a"))", text, in: s.bench.nas)
      try s.verified("a")
      try s.mustRead("a", text)
    },
    Scenario("two files of a window, one copy is wrong") { s in
      let text = try s.released("a")
      let good = try s.released("b")
      s.bench.write("vol/\(s.name("a"))", "X" + text.dropFirst(), in: s.bench.nas)
      let app = s.isPlaceholder ? try s.opener("exec cat a") : nil
      try s.mustRead("b", good)
      if let app { try s.must(!(try s.end(app).succeeded), "the other is an error") }
      s.bench.write("vol/\(s.name("a"))", text, in: s.bench.nas)
      try s.verified("a")
      try s.mustRead("a", text)
    },
    Scenario("the NAS is gone at the first byte") { s in
      let text = try s.released("a")
      s.targetFaults.next("directory.open", .fail(errno: ESTALE))
      try s.mustFail("a")
      try s.mustRead("a", text)
    },
    Scenario("the NAS's disk has a bad sector") { s in
      let text = try s.released("a")
      s.targetFaults.next("directory.open", .fail(errno: EIO))
      try s.mustFail("a")
      try s.mustRead("a", text)
    },
    Scenario("the NAS's folder is gone") { s in
      let text = try s.released("a")
      let away = s.bench.folder.path("nas.away")
      rename(s.bench.nas, away)
      try s.mustFail("a")
      rename(away, s.bench.nas)
      s.bench.clock.advance(.seconds(7200))
      try s.mustRead("a", text)
    },
    Scenario("no room in the cache") { s in
      let text = try s.released("a")
      try s.mustFail("a", whileFull: true)
      if s.isPlaceholder { s.bench.clock.advance(.seconds(1)) }
      try s.mustRead("a", text)
    },
    Scenario("the cache is full at the last moment") { s in
      let text = try s.released("a")
      s.faults.next(s.isPlaceholder ? "recall.sync" : "restore.sync", .fail(errno: ENOSPC))
      try s.mustFail("a")
      try s.mustRead("a", text)
    },
    Scenario("the cache's disk fails when it is marked") { s in
      let text = try s.released("a")
      s.faults.next(s.isPlaceholder ? "recall.markRestoring" : "restore.identity", .fail(errno: EIO))
      // Who opens it is served at the second try.
      if !s.isPlaceholder { try s.mustFail("a") }
      try s.mustRead("a", text)
    },
    Scenario("the cache's disk fails at the last step") { s in
      let text = try s.released("a")
      s.faults.next(s.isPlaceholder ? "recall.markArchived" : "restore.exchange", .fail(errno: EIO))
      // Who opens it is served at the second try.
      if !s.isPlaceholder { try s.mustFail("a") }
      try s.mustRead("a", text)
    },
    Scenario("the cache's disk fails when it is freed") { s in
      let text = try s.archived("a")
      s.faults.next(s.isPlaceholder ? "placeholder.free" : "release.free", .fail(errno: EIO))
      _ = try s.tryToRelease("a")
      for _ in 0..<3 { try s.settle() }
      try s.mustRead("a", text)
    },
    Scenario("the cache's disk fails when its release begins") { s in
      let text = try s.archived("a")
      s.faults.next(s.isPlaceholder ? "release.markReleasing" : "stub.symlink", .fail(errno: EIO))
      try s.must(try s.refusal(of: "a") != nil, "it stays")
      try s.must(try s.output("cat a") == text, "with its content")
      try s.settle()
      try s.mustBe(.archived, "a")
    },
    Scenario("a person deletes the copy of a file that is in the cache") { s in
      let text = try s.released("a")
      try s.mustRead("a", text)
      unlink(s.onNAS("a"))
      try s.must(try s.output("cat a") == text, "its content is in the cache")
      try s.output("printf more >>a")
      s.note("a", text + "more")
      try s.archive()
      try s.mustBeOnNAS("a", text + "more")
    },
  ]
}

extension Stage {
  /// What was found wrong once wakes nobody until a person has it looked at.
  func verified(_ file: String) throws {
    let handle = try bench.engine.verify(.paths([Array(path(file).utf8)]))
    try bench.window()
    try must(handle.current.failures == [], "its copy is well: \(handle.current.failures)")
  }

  /// Who asks for it gets an error, and the stub stays as it was.
  func mustFail(_ file: String, whileFull: Bool = false) throws {
    let before = status(file)
    let ballast = path("ballast")
    if whileFull {
      let space = try bench.volume.files.space(at: "test.space")
      let size = space.available - (1 << 20)
      try GuardBench.run("fallocate", ["-l", "\(size)", ballast])
    }
    defer { if whileFull { unlink(ballast) } }
    if isPlaceholder {
      let result = try run("cat \(file)")
      try must(
        !result.succeeded && result.output.isEmpty, "an error: \(result.ending), \(result.output.count) bytes"
      )
      if whileFull { try must(result.errorText.contains("No space"), result.errorText) }
    } else {
      try must(try bench.restore(name(file)).failures != [], "an error")
      runCommands()
    }
    try bench.loop.finishLingering()
    try mustBeStub(file, "after the error")
    if isPlaceholder { try mustLook(file, like: before) }
    try must(bench.leftovers() == [], "nothing is left")
  }
}
