import Testing
import TierTestSupport

@testable import TierCore

@Suite struct StubLinkTests {
  private let id = ArchiveID(high: 1, low: 0xFF)

  private func link(_ path: RelativePath) -> StubLink { StubLink(target: "nas", path: path, archiveID: id) }

  @Test func saysWhereTheContentIs() throws {
    let link = link(RelativePath("photos/a#b.jpg")!)
    #expect(
      try String(decoding: link.text(mountPath: nil), as: UTF8.self)
        == "tierd:nas/photos/a#b.jpg#000000000000000100000000000000ff")
    #expect(
      try String(decoding: link.text(mountPath: "/mnt/nas"), as: UTF8.self) == "/mnt/nas/photos/a#b.jpg")
  }

  @Test func readsBackWhatItWrote() throws {
    var random = SplitMix(state: 31)
    for _ in 0..<2000 {
      let link = StubLink(
        target: "nas", path: .random(using: &random), archiveID: .random(using: &random))
      #expect(StubLink.parse(try link.text(mountPath: nil)) == link)
    }
  }

  @Test(arguments: [
    "", "tierd:", "../a", "/mnt/nas/photos/a", "tierd:nas", "tierd:nas/a", "tierd:nas/a#12",
    "tierd:/a#000000000000000100000000000000ff", "tierd:nas/#000000000000000100000000000000ff",
    "tierd:nas/../a#000000000000000100000000000000ff", "tierd:nas//a#000000000000000100000000000000ff",
    "tierd:nas#a/000000000000000100000000000000ff", "tierd:nas/a#000000000000000100000000000000FF",
    "Tierd:nas/a#000000000000000100000000000000ff", "tierd:nas/a#000000000000000100000000000000ff ",
  ]) func leavesOtherLinksAlone(_ text: String) {
    #expect(StubLink.parse(Array(text.utf8)) == nil)
  }

  @Test func survivesDamage() throws {
    var random = SplitMix(state: 32)
    let text = try link(RelativePath("photos/a.jpg")!).text(mountPath: nil)
    for _ in 0..<20_000 {
      let bytes = damaged(text, using: &random)
      if let parsed = StubLink.parse(bytes) { #expect(try parsed.text(mountPath: nil) == bytes) }
    }
  }

  @Test func saysWhenALinkCannotHoldThePath() throws {
    let overhead = "tierd:nas/".utf8.count + 33
    func path(_ length: Int) -> RelativePath {
      let names = Array(repeatElement(String(repeating: "n", count: 99), count: 50)).joined(separator: "/")
      return RelativePath(Array(names.utf8.prefix(length)))!
    }
    #expect(try link(path(4095 - overhead)).text(mountPath: nil).count == 4095)
    let error = #expect(throws: TierError.self) { try link(path(4096 - overhead)).text(mountPath: nil) }
    #expect(error?.code == .unsupported && error?.message.contains("4096 bytes, 4095 fit") == true)
    #expect(throws: TierError.self) { try link(path(4095)).text(mountPath: "/mnt") }
  }
}
