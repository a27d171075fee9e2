import Testing

@testable import TierCore

@Suite struct TargetLayoutTests {
  @Test func formatOfThisVersionIsAccepted() throws {
    try TargetLayout.checkFormat(TargetLayout.formatText, at: "nas")
  }

  @Test(arguments: [
    "", "tierd", "tierd target format", "tierd target format x\n", "hello\n", "tierd target format 0",
  ])
  func whatIsNoFormatIsCorrupt(_ text: String) {
    let error = #expect(throws: TierError.self) { try TargetLayout.checkFormat(Array(text.utf8), at: "nas") }
    #expect(error?.code == .corruptRecord)
    #expect(error?.path == "nas/.tierd/format")
  }

  @Test(arguments: ["tierd target format 2\nmore", "tierd target format 99 with=more"])
  func aNewerFormatIsRefusedWithTheWayOut(_ text: String) {
    let error = #expect(throws: TierError.self) { try TargetLayout.checkFormat(Array(text.utf8), at: "nas") }
    #expect(error?.code == .unsupported)
    #expect(error?.message.contains("upgrade tierd") == true)
  }

  @Test(arguments: [
    ("a/b", "vol/a/b"), ("a/@eaDir/b", "vol/a/@eaDir_/b"), ("@eaDir", "vol/@eaDir_"),
    ("@eaDir_/@eaDir/x", "vol/@eaDir__/@eaDir_/x"), ("@eaDirs/a@eaDir/@eadir", "vol/@eaDirs/a@eaDir/@eadir"),
  ])
  func noCopyLiesWhereANASKeepsItsPreviews(path: String, place: String) throws {
    let path = try #require(RelativePath(path))
    #expect(TargetLayout.place(of: path, in: FileName("vol")!).escaped == place)
  }

  @Test func conflictNamesFitIntoAComponent() throws {
    let short = try #require(RelativePath("photos/a.jpg"))
    #expect(TargetLayout.conflictPath(of: short, suffix: "T").escaped == "photos/a.jpg.conflict-T")
    #expect(
      TargetLayout.conflictPath(of: short, suffix: "T", attempt: 2).escaped == "photos/a.jpg.conflict-T-2")
    let long = try #require(RelativePath("d/" + String(repeating: "ü", count: 127)))
    let path = TargetLayout.conflictPath(of: long, suffix: "20261123T105800Z")
    let name = try #require(path.name)
    #expect(name.bytes.count <= 255 && name.bytes.count > 250)
    #expect(String(validating: name.bytes, as: UTF8.self) != nil)
  }
}
