import Glibc
import TierGuardSupport
import TierTestSupport

@testable import TierEngine

extension Scenario {
  static let writing = [
    Scenario("O_APPEND") { s in
      let text = try s.released("a")
      try s.wanted("a")
      try s.output("printf more >>a")
      s.note("a", text + "more")
      try s.archive()
      try s.mustBeOnNAS("a", text + "more")
    },
    Scenario("written over in part") { s in
      let text = try s.released("a")
      try s.wanted("a")
      try s.output("printf 12345 | dd of=a conv=notrunc seek=7 bs=1 2>/dev/null")
      s.note("a", text.prefix(7) + "12345" + text.dropFirst(12))
      try s.archive()
      try s.mustBe(.archived, "a")
    },
    Scenario("O_TRUNC") { s in
      try s.released("a")
      try s.wanted("a")
      try s.output("printf short >a")
      s.note("a", "short")
      try s.archive()
      try s.mustBeOnNAS("a", "short")
    },
    Scenario("O_TRUNC, and nothing written") { s in
      try s.released("a")
      try s.wanted("a")
      try s.output(": >a")
      s.note("a", "")
      try s.archive()
      try s.mustBeOnNAS("a", "")
    },
    Scenario("another file is copied over it") { s in
      try s.released("a")
      let text = try s.archived("b")
      try s.wanted("a")
      try s.output("cp b a")
      s.note("a", text)
      try s.archive()
      try s.mustBeOnNAS("a", text)
    },
    Scenario("another file is renamed over it") { s in
      try s.released("a")
      let text = try s.archived("b")
      try s.output("mv b a")
      s.note("a", text)
      s.note("b", nil)
      try s.archive()
      try s.mustBeOnNAS("a", text)
      try s.must(s.bench.onNAS(s.name("b")) == nil, "the copy moved along")
    },
    Scenario("replaced by writing aside and renaming") { s in
      let text = try s.released("a")
      try s.wanted("a")
      try s.output("sed -i 's/thousand/million/' a")
      s.note("a", text.replacing("thousand", with: "million"))
      try s.archive()
      try s.mustBe(.archived, "a")
    },
    Scenario("cut by its name", only: .placeholder) { s in
      let text = try s.released("a")
      _ = try s.run("truncate", on: "a")
      s.note("a", String(text.prefix(10)))
      try s.settle()
      try s.mustRead("a", String(text.prefix(10)))
    },
    Scenario("cut through a descriptor") { s in
      let text = try s.released("a")
      try s.wanted("a")
      try s.output("truncate -s 100 a")
      s.note("a", String(text.prefix(100)))
      try s.archive()
      try s.mustBeOnNAS("a", String(text.prefix(100)))
    },
    Scenario("made longer") { s in
      let text = try s.released("a")
      try s.wanted("a")
      try s.output("truncate -s +10 a")
      s.note("a", text + String(repeating: "\0", count: 10))
      try s.archive()
      try s.mustBe(.archived, "a")
    },
    Scenario("written through memory") { s in
      let text = try s.released("a")
      try s.wanted("a")
      try s.must(try s.run("write-mapped", on: "a").succeeded, "it is written")
      s.note("a", "MAPPED" + text.dropFirst(6))
      try s.archive()
      try s.mustBeOnNAS("a", "MAPPED" + text.dropFirst(6))
    },
    Scenario("a hole is punched into it") { s in
      let text = try s.released("a")
      try s.wanted("a")
      let result = try s.run("fallocate -p -o 4096 -l 4096 a")
      try s.needs(result.succeeded)
      s.note("a", text.prefix(4096) + String(repeating: "\0", count: 4096) + text.dropFirst(8192))
      try s.archive()
      try s.mustBe(.archived, "a")
    },
    Scenario("blocks are allocated beyond its end") { s in
      let text = try s.released("a")
      try s.wanted("a")
      let result = try s.run("fallocate -n -o 1000000 -l 4096 a")
      try s.needs(result.succeeded)
      try s.archive()
      try s.mustRead("a", text)
    },
    Scenario("rsync --inplace") { s in
      try s.needs(program: "rsync")
      try s.released("a")
      s.write("other/b", s.text("b"))
      try s.wanted("a")
      try s.output("rsync -I --inplace other/b a")
      s.note("a", s.text("b"))
      try s.archive()
      try s.mustBeOnNAS("a", s.text("b"))
    },
    Scenario("rsync, which renames over it") { s in
      try s.needs(program: "rsync")
      try s.released("a")
      s.write("other/b", s.text("b"))
      try s.output("rsync -I other/b a")
      s.note("a", s.text("b"))
      try s.archive()
      try s.mustBeOnNAS("a", s.text("b"))
    },
    Scenario("a clone of another file's blocks is written into it") { s in
      try s.needs(s.place.clones)
      try s.released("a")
      let text = try s.archived("b")
      try s.wanted("a")
      try s.output("cp --reflink=always b a")
      s.note("a", text)
      try s.archive()
      try s.mustBeOnNAS("a", text)
    },
    Scenario("opened to write, and nothing written") { s in
      let text = try s.released("a")
      try s.wanted("a")
      try s.output(": >>a")
      try s.settle()
      try s.mustBe(.archived, "a")
      try s.mustRead("a", text)
    },
    Scenario("a reader and a writer wait together", only: .placeholder) { s in
      let text = try s.released("a")
      let (reader, writer) = (try s.opener("exec cat a"), s.start("printf more >>a"))
      try eventually("both wait") { reader.isBlocked && writer.isBlocked }
      let read = String(decoding: try s.end(reader).output, as: UTF8.self)
      try s.must(try s.end(writer).succeeded, "it writes")
      try s.must(read == text || read == text + "more", "what was read is what was written")
      s.note("a", text + "more")
    },
    Scenario("two writers wait together", only: .placeholder) { s in
      let text = try s.released("a")
      let (one, two) = (try s.opener("printf more >>a"), s.start("printf more >>a"))
      try eventually("both wait") { one.isBlocked && two.isBlocked }
      try s.must(try s.end(one).succeeded && s.end(two).succeeded, "both write")
      s.note("a", text + "moremore")
    },
    Scenario("written again and again, its last version is the copy") { s in
      var text = try s.released("a")
      for number in 0..<3 {
        try s.wanted("a")
        try s.output("printf \(number) >>a")
        text += "\(number)"
        s.note("a", text)
        try s.archive()
        try s.mustBeOnNAS("a", text)
        s.bench.clock.advance(.seconds(90_000))
        try s.release("a")
      }
    },
  ]
}
