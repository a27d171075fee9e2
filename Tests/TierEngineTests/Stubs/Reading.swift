import Glibc
import TierGuardSupport
import TierTestSupport

@testable import TierEngine

extension Scenario {
  static let reading = [
    Scenario("cat") { s in
      let text = try s.released("a")
      try s.mustRead("a", text)
      try s.mustBe(.archived, "a")
    },
    Scenario("only the first bytes are read") { s in
      let text = try s.released("a")
      try s.wanted("a")
      try s.must(try s.output("head -c 10 a") == text.prefix(10), "its first bytes")
    },
    Scenario("only the last bytes are read") { s in
      let text = try s.released("a")
      try s.wanted("a")
      try s.must(try s.output("tail -c 10 a") == text.suffix(10), "its last bytes")
    },
    Scenario("mapped into memory") { s in
      let text = try s.released("a")
      try s.wanted("a")
      try s.must(try s.run("mmap", on: "a").output == Array(text.utf8), "the mapping has its content")
    },
    Scenario("sendfile") { s in
      let text = try s.released("a")
      try s.wanted("a")
      try s.must(try s.run("sendfile", on: "a").output == Array(text.utf8), "all of it is sent")
    },
    Scenario("O_DIRECT") { s in
      let text = try s.archived("a")
      let result = try s.run("dd if=a of=/dev/null bs=4096 iflag=direct")
      try s.needs(result.succeeded)
      try s.release("a")
      try s.wanted("a")
      try s.must(try s.output("dd if=a bs=4096 iflag=direct 2>/dev/null") == text, "past the page cache")
    },
    Scenario("O_NONBLOCK") { s in
      let text = try s.released("a")
      try s.wanted("a")
      try s.must(try s.run("nonblocking", on: "a").output == Array(text.utf8), "waits all the same")
    },
    Scenario("a released program runs") { s in
      try s.output("cp /bin/echo program")
      try s.archive()
      try s.release("program")
      try s.wanted("program")
      try s.must(try s.output("./program it runs") == "it runs\n", "it runs")
    },
    Scenario("a released script runs") { s in
      try s.archived("script", "#!/bin/sh\necho it runs\n")
      chmod(s.path("script"), 0o755)
      try s.archive()
      try s.release("script")
      try s.wanted("script")
      try s.must(try s.output("./script") == "it runs\n", "it runs")
    },
    Scenario("SEEK_HOLE finds no hole in it") { s in
      let text = try s.released("a")
      try s.wanted("a")
      let found = try s.run("seek", on: "a").output
      try s.must(
        String(decoding: found, as: UTF8.self) == "\(text.utf8.count) \(text.utf8.count)", "\(found)")
    },
    Scenario("two files are compared") { s in
      let text = try s.released("a")
      try s.released("b", text)
      try s.wanted("a", "b")
      try s.output("cmp a b")
    },
    Scenario("all of a folder at once") { s in
      let texts = try (0..<8).map { try s.released("f\($0)") }
      try s.wanted("f0", "f1", "f2", "f3", "f4", "f5", "f6", "f7")
      try s.must(try s.output("cat f*") == texts.joined(), "all of them")
    },
    Scenario("a search through the folder") { s in
      try s.released("a")
      try s.released("b")
      try s.wanted("a", "b")
      try s.must(try s.output("grep -rc 'line 999' . | sort") == "./a:1\n./b:1\n", "finds what is in them")
    },
    Scenario("two readers, one transfer", only: .placeholder) { s in
      let text = try s.released("a")
      let before = s.transfers
      let (one, two) = (try s.opener("exec cat a"), s.start("exec cat a"))
      try eventually("both wait") { one.isBlocked && two.isBlocked }
      try s.must(try s.end(one).output == Array(text.utf8), "the first has it")
      try s.must(try s.end(two).output == Array(text.utf8), "the second has it")
      try s.must(s.transfers == before + 1, "\(s.transfers - before) transfers")
    },
    Scenario("two people ask, one transfer", only: .link) { s in
      try s.released("a")
      let before = s.transfers
      let path = Array(s.path("a").utf8)
      let handles = try (0..<2).map { _ in try s.bench.engine.restore(.paths([path]), pinUntil: nil) }
      try s.bench.window()
      try s.must(handles.allSatisfy { $0.current.failures == [] && $0.current.files == 1 }, "both are told")
      try s.must(s.transfers == before + 1, "\(s.transfers - before) transfers")
    },
    Scenario("ten readers at once", only: .placeholder) { s in
      let text = try s.released("a")
      let before = s.transfers
      let apps = try [s.opener("exec cat a")] + (0..<9).map { _ in s.start("exec cat a") }
      for app in apps { try s.must(try s.end(app).output == Array(text.utf8), "each has it") }
      try s.must(s.transfers == before + 1, "\(s.transfers - before) transfers")
    },
    Scenario("a reader is killed while it waits", only: .placeholder) { s in
      let text = try s.released("a")
      let app = try s.opener("exec cat a")
      app.stop()
      try s.must(!(try app.result().succeeded), "it is gone")
      try s.settle()
      try s.mustRead("a", text)
    },
    Scenario("one of two readers is killed", only: .placeholder) { s in
      let text = try s.released("a")
      let (one, two) = (try s.opener("exec cat a"), s.start("exec cat a"))
      try eventually("both wait") { one.isBlocked && two.isBlocked }
      one.stop()
      try s.must(try s.end(two).output == Array(text.utf8), "the other has it")
    },
    Scenario("read again, the target isn't asked") { s in
      let text = try s.released("a")
      try s.mustRead("a", text)
      let before = s.transfers
      try s.mustRead("a", text)
      try s.must(s.transfers == before, "no transfer")
    },
    Scenario("released, read, released, read") { s in
      let text = try s.released("a")
      for _ in 0..<3 {
        try s.mustRead("a", text)
        s.bench.clock.advance(.seconds(90_000))
        try s.release("a")
      }
      try s.mustRead("a", text)
    },
    Scenario("stat, ls, find and du bring nothing back") { s in
      try s.released("a")
      try s.mustStayStub("a") {
        try s.output("stat a; ls -laR .; find . -size +1k; du -a .; test -s a || true")
      }
    },
    Scenario("O_PATH brings nothing back", only: .placeholder) { s in
      try s.released("a")
      try s.mustStayStub("a") { _ = try s.run("path", on: "a") }
    },
    Scenario("through another mount", only: .placeholder) { s in
      let text = try s.released("a")
      let script = "unshare -m sh -c 'mkdir other && mount --bind . other && cat other/a'"
      try s.must(try s.output(script) == text, "has its content")
      rmdir(s.path("other"))
    },
    Scenario("through a symbolic link of an app's", only: .placeholder) { s in
      let text = try s.released("a")
      try s.must(try s.output("ln -s a b && cat b") == text, "has its content")
    },
    Scenario("a large file") { s in
      let text = String(repeating: "0123456789abcde\n", count: 300_000)
      try s.released("a", text)
      try s.wanted("a")
      try s.must(try s.output("sha256sum <a") == (try s.output("sha256sum <\(s.onNAS("a"))")), "all of it")
    },
    Scenario("a file of one byte") { s in
      try s.released("a", "x")
      try s.mustRead("a", "x")
    },
    Scenario("files that end at a page, and around it") { s in
      for size in [4095, 4096, 4097] {
        let text = String(repeating: "p", count: size)
        try s.released("a\(size)", text)
        try s.mustRead("a\(size)", text)
      }
    },
    Scenario("an empty file is never released") { s in
      try s.archived("a", "")
      s.bench.clock.advance(.seconds(90_000))
      try s.settle()
      try s.mustBe(.archived, "a")
    },
    Scenario("a sparse file") { s in
      try s.output("printf begin >a; truncate -s 60000 a; printf end >>a")
      try s.archive()
      let before = try s.output("sha256sum <a")
      try s.release("a")
      try s.wanted("a")
      try s.must(try s.output("sha256sum <a") == before, "holes and all")
    },
    Scenario("a file of holes only") { s in
      try s.output("truncate -s 60000 a")
      try s.archive()
      let before = try s.output("sha256sum <a")
      if try s.refusal(of: "a") == nil { try s.wanted("a") }
      try s.must(try s.output("sha256sum <a") == before, "as many zeros")
    },
    Scenario("a name with spaces, quotes and a newline") { s in
      let text = try s.released("a \"b\"\n$c")
      try s.mustRead("a \"b\"\n$c", text)
    },
    Scenario("the longest name") { s in
      let name = String(repeating: "n", count: 255)
      let text = try s.released(name)
      try s.mustRead(name, text)
    },
    Scenario("deep below") { s in
      let name = (0..<20).map { "d\($0)/" }.joined() + "a"
      let text = try s.released(name)
      try s.mustRead(name, text)
    },
  ]
}
