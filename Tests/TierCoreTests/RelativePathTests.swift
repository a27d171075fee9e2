import Testing

@testable import TierCore

@Suite struct RelativePathTests {
  @Test(arguments: ["", "a", "a/b", "-x", "a\nb", ".tierd", "..a"])
  func acceptsWhatTheKernelAccepts(_ text: String) {
    #expect(RelativePath(text)?.bytes == Array(text.utf8))
  }

  @Test(arguments: ["/a", "a/", "a//b", ".", "..", "a/../b", "a/./b", "a\0b"])
  func refusesWhatCouldEscape(_ text: String) {
    #expect(RelativePath(text) == nil)
  }

  @Test func ancestryGoesByComponents() throws {
    let photos = try #require(RelativePath("photos"))
    #expect(RelativePath("photos/2026/a.jpg")?.relative(to: photos)?.escaped == "2026/a.jpg")
    #expect(RelativePath("photos2/a.jpg")?.isWithin(photos) == false)
    #expect(RelativePath("photos")?.relative(to: photos)?.isRoot == true)
  }

  @Test(
    arguments: [
      ([0x61, 0x0A, 0x62], #"a\x0ab"#), ([0x5C], #"\\"#), ([0xFF, 0x61], #"\xffa"#),
      (Array("grün".utf8), "grün"), (Array("a\u{202E}b".utf8), #"a\xe2\x80\xaeb"#),
    ] as [([UInt8], String)])
  func escapedTextReadsBack(_ bytes: [UInt8], _ text: String) {
    #expect(EscapedText.encode(bytes) == text)
    #expect(EscapedText.decode(text) == bytes)
  }
}
