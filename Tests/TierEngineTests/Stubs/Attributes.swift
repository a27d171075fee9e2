import Glibc
import TierGuardSupport
import TierTestSupport

@testable import TierEngine

extension Scenario {
  static let attributes = [
    Scenario("size, time, mode and owner survive release and recall") { s in
      s.write("a", s.text("a"))
      chmod(s.path("a"), 0o2750)
      chown(s.path("a"), 1234, 4321)
      chmod(s.path("a"), 0o2750)
      try s.archive()
      let before = s.status("a")
      try s.release("a")
      if s.isPlaceholder { try s.mustLook("a", like: before) }
      try s.wanted("a")
      try s.mustRead("a", s.text("a"))
      try s.mustLook("a", like: before)
    },
    Scenario("an old time to the nanosecond") { s in
      s.write("a", s.text("a"))
      try s.output("touch -d '2001-02-03 04:05:06.123456789' a")
      try s.archive()
      let before = s.status("a")
      try s.release("a")
      try s.wanted("a")
      try s.mustRead("a", s.text("a"))
      try s.mustLook("a", like: before)
    },
    Scenario("an attribute of its own") { s in
      try s.needs(program: "setfattr")
      s.write("a", s.text("a"))
      try s.output("setfattr -n user.colour -v blue a")
      try s.archive()
      try s.release("a")
      try s.wanted("a")
      try s.mustRead("a", s.text("a"))
      try s.must(try s.output("getfattr --only-values -n user.colour a") == "blue", "is still there")
    },
    Scenario("chmod of a stub", only: .placeholder) { s in
      let text = try s.released("a")
      try s.mustStayStubAfter("chmod 600 a", "a")
      try s.mustRead("a", text)
      try s.must(s.status("a").st_mode & 0o777 == 0o600, "its new mode stays")
    },
    Scenario("chown of a stub", only: .placeholder) { s in
      let text = try s.released("a")
      try s.mustStayStubAfter("chown 1234:4321 a", "a")
      try s.mustRead("a", text)
      try s.must(s.status("a").st_uid == 1234, "its new owner stays")
    },
    Scenario("chmod of a stub, and it is deleted and undeleted", only: .placeholder) { s in
      let text = try s.released("a")
      try s.output("chmod 600 a")
      try s.mustRead("a", text)
      try s.archive()
      try s.must(try s.row("a").copy?.metadata.mode == 0o600, "the copy's mode is written down")
      s.bench.clock.advance(.seconds(90_000))
      try s.release("a")
      try s.output("rm a")
      try s.settle()
      _ = try s.bench.engine.undelete(Array(s.path("a").utf8))
      try s.bench.window()
      try s.mustRead("a", text)
      try s.must(s.status("a").st_mode & 0o777 == 0o600, "its new mode stays")
    },
    Scenario("a stub gets another time", only: .placeholder) { s in
      let text = try s.released("a")
      try s.mustStayStubAfter("touch -c -d '2002-03-04 05:06:07.5' a", "a")
      let before = s.status("a")
      try s.mustRead("a", text)
      try s.mustLook("a", like: before)
    },
    Scenario("touch of a stub", only: .placeholder) { s in
      let text = try s.released("a")
      try s.output("touch a")
      try s.mustRead("a", text)
      try s.archive()
      try s.mustBe(.archived, "a")
    },
    Scenario("a stub gets an attribute", only: .placeholder) { s in
      try s.needs(program: "setfattr")
      let text = try s.released("a")
      try s.mustStayStubAfter("setfattr -n user.colour -v red a", "a")
      try s.mustRead("a", text)
      try s.must(try s.output("getfattr --only-values -n user.colour a") == "red", "is still there")
    },
    Scenario("a file that nobody may write to") { s in
      s.write("a", s.text("a"))
      chmod(s.path("a"), 0o444)
      try s.archive()
      try s.release("a")
      try s.mustRead("a", s.text("a"))
      try s.must(s.status("a").st_mode & 0o777 == 0o444, "its mode stays")
    },
    Scenario("chmod while its content comes", only: .placeholder) { s in
      let text = try s.released("a")
      let path = s.path("a")
      s.targetFaults.next("directory.open", .before { chmod(path, 0o600) })
      try s.must(try s.output("cat a") == text, "who waited has it")
      try s.settle()
      try s.must(s.status("a").st_mode & 0o777 == 0o600, "its new mode stays")
    },
    Scenario("another time while its content comes", only: .placeholder) { s in
      let text = try s.released("a")
      let path = s.path("a")
      s.targetFaults.next(
        "directory.open",
        .before {
          var times = [
            timespec(tv_sec: 1_000_000_000, tv_nsec: 7), timespec(tv_sec: 1_000_000_000, tv_nsec: 7),
          ]
          utimensat(AT_FDCWD, path, &times, 0)
        })
      try s.must(try s.output("cat a") == text, "who waited has it")
      try s.settle()
      // Which came last, it or what the transfer wrote, nobody can tell.
      try s.mustRead("a", text)
    },
    Scenario("a stub loses its attribute, and a scan comes") { s in
      try s.needs(program: "setfattr")
      let text = try s.released("a")
      try s.output("setfattr -h -x trusted.tierd a")
      try s.bench.look()
      try s.mustBeStub("a")
      try s.mustRead("a", text)
    },
    Scenario("a stub's attribute is damaged") { s in
      try s.needs(program: "setfattr")
      let text = try s.released("a")
      try s.output("setfattr -h -n trusted.tierd -v nonsense a")
      if s.isPlaceholder {
        let result = try s.run("cat a")
        try s.must(!result.succeeded || result.output == Array(text.utf8), "an error, never zeros")
      }
      try s.bench.look()
      try s.mustRead("a", text)
    },
  ]
}
