import Glibc
import TierCore
import TierGuardSupport
import TierTestSupport

@testable import TierEngine

extension Scenario {
  /// What heals, backups and restores of backups do where no guard stands. This process is let through, and plays them.
  static let unguarded = [
    Scenario("its holes are written as zeros, its time set back", only: .placeholder) { s in
      let text = try s.released("a")
      try s.reinflate("a", String(repeating: "\0", count: text.utf8.count))
      try s.bench.look()
      try s.mustBeStub("a")
      try s.mustRead("a", text)
    },
    Scenario("its content is written, its time set back", only: .placeholder) { s in
      let text = try s.released("a")
      try s.reinflate("a", text)
      try s.bench.look()
      try s.mustBe(.archived, "a")
      let before = s.transfers
      try s.mustRead("a", text)
      try s.must(s.transfers == before, "without the target")
    },
    Scenario("other content is written, its time set back", only: .placeholder) { s in
      let text = try s.released("a")
      try s.reinflate("a", String(repeating: "x", count: text.utf8.count))
      try s.bench.look()
      try s.mustBeStub("a")
      try s.mustRead("a", text)
    },
    Scenario("part of its content is written, its time set back", only: .placeholder) { s in
      let text = try s.released("a")
      try s.reinflate("a", String(text.prefix(16_000)))
      try s.bench.look()
      try s.mustRead("a", text)
    },
    Scenario("other content is written, and it has a new time", only: .placeholder) { s in
      let text = try s.released("a")
      let other = String(repeating: "x", count: text.utf8.count)
      try s.reinflate("a", other, setBack: false)
      try s.bench.look()
      let result = try s.run("cat a")
      try s.must(!result.succeeded, "nobody knows whose content that is")
      try s.must(s.bench.read(s.name("a")) == other, "it is neither freed nor written over")
      try s.must(s.bench.onNAS(s.name("a")) == text, "nor is its copy")
      try s.output("rm a")
      s.note("a", nil)
    },
    Scenario("zeros are written, and it has a new time", only: .placeholder) { s in
      let text = try s.released("a")
      try s.reinflate("a", String(repeating: "\0", count: text.utf8.count), setBack: false)
      try s.bench.look()
      try s.mustRead("a", text)
    },
    Scenario("cut to nothing", only: .placeholder) { s in
      try s.released("a")
      truncate(s.path("a"), 0)
      s.note("a", "")
      try s.settle()
      try s.mustRead("a", "")
    },
    Scenario("cut shorter", only: .placeholder) { s in
      let text = try s.released("a")
      truncate(s.path("a"), 100)
      s.note("a", String(text.prefix(100)))
      try s.settle()
      try s.mustRead("a", String(text.prefix(100)))
    },
    Scenario("made longer by its name", only: .placeholder) { s in
      let text = try s.released("a")
      truncate(s.path("a"), text.utf8.count + 5)
      s.note("a", text + String(repeating: "\0", count: 5))
      try s.settle()
      try s.mustRead("a", text + String(repeating: "\0", count: 5))
    },
    Scenario("filled and emptied again", only: .placeholder) { s in
      let text = try s.released("a")
      try s.reinflate("a", String(repeating: "\0", count: text.utf8.count))
      let file = open(s.path("a"), O_RDWR)
      try s.must(
        file >= 0 && ftruncate(file, 0) == 0 && ftruncate(file, off_t(text.utf8.count)) == 0, "emptied")
      close(file)
      try s.bench.look()
      try s.mustRead("a", text)
    },
    Scenario("a link's text is changed", only: .link) { s in
      let text = try s.released("a")
      try s.output("mv a b && ln -s nowhere a")
      s.note("a", nil)
      s.note("b", text)
      try s.settle()
      try s.mustRead("b", text)
      try s.must(try s.output("readlink a") == "nowhere\n", "an app's link is left alone")
    },
    Scenario("a file is written where the link stood", only: .link) { s in
      try s.released("a")
      try s.output("rm a; printf new >a")
      s.note("a", "new")
      try s.archive()
      try s.mustBeOnNAS("a", "new")
    },
  ]
}

extension Stage {
  /// Writes into a placeholder, past the guard.
  func reinflate(_ file: String, _ text: String, setBack: Bool = true) throws {
    let before = status(file)
    let descriptor = open(path(file), O_WRONLY)
    defer { close(descriptor) }
    let count = text.withCString { pwrite(descriptor, $0, text.utf8.count, 0) }
    var times = [before.st_atim, before.st_mtim]
    guard count == text.utf8.count, !setBack || futimens(descriptor, &times) == 0, fsync(descriptor) == 0
    else {
      throw Broken(description: "\(file) can't be written")
    }
  }
}
