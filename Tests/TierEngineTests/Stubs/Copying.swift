import Glibc
import TierGuardSupport
import TierTestSupport

@testable import TierEngine

extension Scenario {
  static let copying = [
    Scenario("cp") { s in
      let text = try s.released("a")
      try s.wanted("a")
      try s.output("cp a b")
      s.note("b", text)
      try s.archive()
      try s.mustBeOnNAS("b", text)
    },
    Scenario("cp -a") { s in
      let text = try s.released("a")
      try s.output("cp -a a b")
      s.note("b", text)
      try s.settle()
      try s.mustRead("b", text)
      try s.archive()
      try s.mustBeOnNAS("b", text)
      try s.mustBeOnNAS("a", text)
    },
    Scenario("cp -a, and the original goes") { s in
      let text = try s.released("a")
      try s.output("cp -a a b && rm a")
      s.note("a", nil)
      s.note("b", text)
      try s.settle()
      try s.mustRead("b", text)
      try s.archive()
      try s.mustBeOnNAS("b", text)
    },
    Scenario("cp -a of its folder") { s in
      let texts = try ["x/a", "x/b"].map { try s.released($0) }
      try s.output("cp -a x y")
      s.note("y/a", texts[0])
      s.note("y/b", texts[1])
      try s.settle()
      try s.archive()
    },
    Scenario("cp -a, and the copy is written to") { s in
      let text = try s.released("a")
      try s.output("cp -a a b")
      s.note("b", text)
      try s.bench.look()
      try s.wanted("b")
      try s.output("printf more >>b")
      s.note("b", text + "more")
      try s.archive()
      try s.mustBeOnNAS("b", text + "more")
      try s.mustBeOnNAS("a", text)
    },
    Scenario("cp --sparse=always") { s in
      let text = try s.released("a")
      try s.wanted("a")
      try s.output("cp --sparse=always a b")
      s.note("b", text)
      try s.mustRead("b", text)
    },
    Scenario("cp --reflink=always") { s in
      try s.needs(s.place.clones)
      let text = try s.released("a")
      try s.wanted("a")
      try s.output("cp --reflink=always a b")
      s.note("b", text)
      try s.mustRead("b", text)
    },
    Scenario("a clone keeps its content when the original goes") { s in
      try s.needs(s.place.clones)
      let text = try s.archived("a")
      try s.output("cp --reflink=always a b")
      s.note("b", text)
      try s.archive()
      try s.release("a")
      try s.mustBe(.archived, "b")
      try s.must(try s.output("cat b") == text, "the clone has it")
    },
    Scenario("dd") { s in
      let text = try s.released("a")
      try s.wanted("a")
      try s.output("dd if=a of=b bs=4096 2>/dev/null")
      s.note("b", text)
    },
    Scenario("tar") { s in
      let text = try s.released("a")
      try s.wanted("a")
      try s.output("tar cf t.tar a && mkdir x && tar xf t.tar -C x && rm t.tar")
      s.note("x/a", text)
    },
    Scenario("tar --sparse takes nothing for a hole") { s in
      let text = try s.released("a")
      try s.wanted("a")
      try s.output("tar cSf t.tar a && mkdir x && tar xf t.tar -C x && rm t.tar")
      s.note("x/a", text)
    },
    Scenario("tar with all attributes") { s in
      let text = try s.released("a")
      try s.wanted("a")
      try s.output("tar --xattrs --xattrs-include='*' -cf t.tar a && mkdir x")
      try s.output("tar --xattrs --xattrs-include='*' -xf t.tar -C x && rm t.tar")
      s.note("x/a", text)
      try s.settle()
      try s.mustRead("x/a", text)
      try s.archive()
      try s.mustBeOnNAS("x/a", text)
    },
    Scenario("rsync -a") { s in
      try s.needs(program: "rsync")
      let text = try s.released("x/a")
      try s.wanted("x/a")
      try s.output("rsync -a x/ y")
      s.note("y/a", text)
    },
    Scenario("rsync -aX, which reads attributes before it opens") { s in
      try s.needs(program: "rsync")
      let text = try s.released("x/a")
      try s.output("rsync -aX x/ y")
      s.note("y/a", text)
      try s.settle()
      try s.mustRead("y/a", text)
      try s.archive()
      try s.mustBeOnNAS("y/a", text)
      try s.mustBeOnNAS("x/a", text)
    },
    Scenario("rsync -aX, and the original is written to", only: .placeholder) { s in
      try s.needs(program: "rsync")
      let text = try s.released("x/a")
      try s.output("rsync -aX x/ y && printf more >>x/a")
      s.note("x/a", text + "more")
      s.note("y/a", text)
      try s.settle()
      try s.archive()
      try s.mustRead("y/a", text)
    },
    Scenario("a file of its own with the stub's attribute", only: .placeholder) { s in
      try s.needs(program: "getfattr")
      try s.released("a")
      s.write("b", s.text("b"))
      try s.output(
        "getfattr --absolute-names -n trusted.tierd --dump a | sed 's/^# file: a/# file: b/' >dump")
      try s.output("setfattr --restore=dump && rm dump")
      try s.settle()
      // Nobody knows what root meant by that; but what is in it isn't lost.
      try s.must(s.bench.read(s.name("b")) == s.text("b"), "it keeps its content")
      _ = try s.run("cat b")
      try s.must(s.bench.read(s.name("b")) == s.text("b"), "it keeps its content when it is opened")
      try s.output("setfattr -x trusted.tierd b")
      try s.settle()
    },
  ]
}
