import Glibc
import Testing
import TierAPI
import TierConsole
import TierCore
import TierTestSupport

@Suite struct NamedPathTests {
  let directory: TemporaryDirectory
  let root: String

  init() throws {
    directory = try TemporaryDirectory()
    root = directory.path
    #expect(mkdir("\(root)/real", 0o700) == 0)
    #expect(mkdir("\(root)/real/sub", 0o700) == 0)
    #expect(symlink("real", "\(root)/link") == 0)
    #expect(symlink("tierd:nas/x", "\(root)/real/stub") == 0)
    #expect(symlink("loop", "\(root)/loop") == 0)
  }

  private func resolve(_ text: String) throws(NamedPath.Failure) -> String {
    try NamedPath.resolve(Array(text.utf8)).description
  }

  @Test func parentsAreFollowedAndTheLastIsNot() throws {
    #expect(try resolve("\(root)/link/stub") == "\(root)/real/stub")
    #expect(try resolve("\(root)/link") == "\(root)/link")
    #expect(try resolve("\(root)/link/") == "\(root)/real")
    #expect(try resolve("\(root)/link/.") == "\(root)/real")
    #expect(try resolve("\(root)/link/sub/..") == "\(root)/real")
    #expect(try resolve("\(root)//real///sub/../stub") == "\(root)/real/stub")
    #expect(try resolve("/") == "/")
    #expect(try resolve("/..") == "/")
  }

  @Test func whatWasDeletedKeepsItsName() throws {
    #expect(try resolve("\(root)/link/gone") == "\(root)/real/gone")
    #expect(try resolve("\(root)/link/gone/deeper/./file") == "\(root)/real/gone/deeper/file")
    #expect(try resolve("\(root)/link/gone/") == "\(root)/real/gone")
    #expect(throws: NamedPath.Failure.self) { try resolve("\(root)/gone/../real") }
  }

  @Test func relativePathsStartHere() throws {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    let here = String(cString: getcwd(&buffer, buffer.count))
    #expect(try resolve("no such name") == "\(here)/no such name")
    #expect(try resolve(".") == here)
    #expect(try resolve("./-x") == "\(here)/-x")
  }

  @Test func anyBytes() throws {
    let bytes = Array("\(root)/real/".utf8) + [0xFF, 0x0A, 0x5C]
    #expect(try NamedPath.resolve(bytes).bytes == bytes)
  }

  @Test func impossible() {
    for text in ["", "\(root)/loop/x", "a\u{0}b"] {
      #expect(throws: NamedPath.Failure.self) { try resolve(text) }
    }
  }
}

@Suite struct ArgumentBytesTests {
  @Test(arguments: [
    [], Array("plain".utf8), Array("Größe 日本".utf8), [0xFF], [0xC3], [0x61, 0xC3, 0x28, 0x62],
    [0xED, 0xA0, 0x80],
    Array("\u{10FFFE}".utf8), Array("\u{10FF00}".utf8), [0xF4, 0x8F, 0xBF, 0xBF, 0xFE],
  ])
  func roundTrip(bytes: [UInt8]) {
    #expect(ArgumentBytes.decode(ArgumentBytes.encode(bytes)) == bytes)
  }

  @Test func textStaysText() { #expect(ArgumentBytes.encode(Array("--app=Größe".utf8)) == "--app=Größe") }

  @Test func randomBytes() {
    var generator = SystemRandomNumberGenerator()
    for _ in 0..<2000 {
      let bytes = (0..<Int.random(in: 0...12, using: &generator)).map { _ in UInt8.random(in: 0...255) }
      #expect(ArgumentBytes.decode(ArgumentBytes.encode(bytes)) == bytes)
    }
  }
}

@Suite struct ConsoleTests {
  private func style(_ environment: [String: String]) -> TextStyle { Console { environment[$0] }.style }

  @Test func localeDecidesAboutUnicode() {
    #expect(style(["LANG": "de_DE.UTF-8"]).isUnicode)
    #expect(style(["LC_ALL": "en_US.utf8", "LANG": "C"]).isUnicode)
    #expect(!style(["LC_ALL": "C", "LANG": "de_DE.UTF-8"]).isUnicode)
    #expect(style(["LC_ALL": "", "LC_CTYPE": "C.UTF-8"]).isUnicode)
    #expect(!style([:]).isUnicode)
  }
}
