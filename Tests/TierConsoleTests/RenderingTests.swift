import Testing
import TierAPI
import TierConsole
import TierControlSupport
import TierCore

/// Every report in every format, as files that can be read: `Snapshots/<report>.<format>`.
@Suite struct RenderingTests {
  static let reports: [(name: String, value: any Presentable & Sendable)] = [
    ("status", Samples.status), ("windows", Samples.windows), ("why", Samples.why), ("usage", Samples.usage),
    ("plan", Samples.plan), ("request-done", Samples.done(.restore)), ("request-running", Samples.running),
    ("request-partly", Samples.partly), ("policies", Samples.policies), ("explain", Samples.explain),
    ("check", Samples.check), ("doctor", Samples.doctor), ("undelete", Samples.undelete),
    ("pin", Samples.pin),
  ]

  @Test(arguments: reports.indices, OutputFormat.allCases)
  func report(index: Int, format: OutputFormat) throws {
    let (name, report) = Self.reports[index]
    let text = try Renderer(format: format, style: TextStyle()).render(report)
    try expectSnapshot(text, "Tests/TierConsoleTests/Snapshots/\(name).\(format.rawValue)")
  }

  /// Two pages line up, and together they are one document.
  @Test(arguments: OutputFormat.allCases) func listing(format: OutputFormat) throws {
    let base = AbsolutePath("/srv/cache/photos")!
    var listing = FileListing(
      renderer: Renderer(format: format, style: TextStyle()), now: Samples.now, base: base)
    var text = try listing.page(Array(Samples.files.entries.prefix(1)))
    text += try listing.page([])
    text += try listing.page(Array(Samples.files.entries.dropFirst(1)))
    text += listing.end()
    try expectSnapshot(text, "Tests/TierConsoleTests/Snapshots/listing.\(format.rawValue)")
  }

  @Test(arguments: OutputFormat.allCases) func emptyListing(format: OutputFormat) throws {
    var listing = FileListing(
      renderer: Renderer(format: format, style: TextStyle()), now: Samples.now, base: nil)
    let text = try listing.page([]) + listing.end()
    switch format {
    case .table, .wide: #expect(text.isEmpty)
    case .json: #expect(text == "{\n\"entries\" : [],\n\"now\" : \"2026-11-23T10:58:00Z\"\n}\n")
    case .yaml: #expect(text == "entries: []\nnow: \"2026-11-23T10:58:00Z\"\n")
    }
  }

  @Test func colorsOnlyWhereWanted() throws {
    let plain = try Renderer(format: .table, style: TextStyle()).render(Samples.doctor)
    let colored = try Renderer(format: .table, style: TextStyle(hasColor: true)).render(Samples.doctor)
    #expect(!plain.contains("\u{1B}"))
    #expect(colored.contains("\u{1B}[31mproblem\u{1B}[0m"))
    let json = try Renderer(format: .json, style: TextStyle(hasColor: true)).render(Samples.doctor)
    #expect(!json.contains("\u{1B}"))
  }

  @Test func asciiTerminal() throws {
    var report = Samples.why
    report.sentences = ["Größe"]
    let text = try Renderer(format: .table, style: TextStyle(isUnicode: false)).render(report)
    #expect(text.contains("Gr\\xc3\\xb6\\xc3\\x9fe"))
  }

  @Test func everythingArchived() {
    var status = Samples.status
    status.targets[0].pending = PendingReport()
    #expect(
      status.text(TextStyle()).hasPrefix(
        "tierd 0.1.0, up 3 d. Every governed file has its copy on its target.\n"))
    status.isReady = false
    #expect(
      status.text(TextStyle()).hasPrefix("tierd 0.1.0, up 3 d. Starting: not every volume is watched yet.\n"))
  }
}

@Suite struct HumanTextTests {
  static let sizes: [(Int64, String)] = [
    (0, "0 B"), (1, "1 B"), (999, "999 B"), (1000, "1.0 kB"), (1049, "1.0 kB"), (1050, "1.1 kB"),
    (9949, "9.9 kB"), (9950, "10 kB"), (999_499, "999 kB"), (999_500, "1.0 MB"), (1_400_000_000, "1.4 GB"),
    (140_000_000_000, "140 GB"), (-1500, "-1.5 kB"), (Int64.max, "9.2 EB"), (Int64.min, "-9.2 EB"),
  ]

  @Test(arguments: sizes) func bytes(count: Int64, text: String) { #expect(HumanText.bytes(count) == text) }

  static let durations: [(Int64, String)] = [
    (0, "0 s"), (89, "89 s"), (90, "2 min"), (5399, "90 min"), (5400, "2 h"), (3 * 3600, "3 h"),
    (36 * 3600, "2 d"), (999 * 86_400, "999 d"), (3650 * 86_400, "10 years"), (-45, "45 s"),
    (Int64.min, "292271023045 years"),
  ]

  @Test(arguments: durations) func duration(seconds: Int64, text: String) {
    #expect(HumanText.duration(seconds: seconds) == text)
  }

  @Test func relative() {
    let now = Samples.now
    func text(_ seconds: Int64) -> String {
      HumanText.relative(UTCTime(now.timestamp + .seconds(seconds)), to: now)
    }
    #expect(text(0) == "now")
    #expect(text(-3 * 3600) == "3 h ago")
    #expect(text(2 * 3600) == "in 2 h")
    #expect(HumanText.relative(UTCTime(.distantFuture), to: now) == "never")
  }

  @Test(arguments: [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567"), (-1000, "-1,000")])
  func count(count: Int, text: String) { #expect(HumanText.count(count) == text) }

  @Test func wholes() {
    #expect(HumanText.files(1) == "1 file")
    #expect(HumanText.files(0) == "0 files")
    #expect(HumanText.percent(5, of: 0) == "-")
    #expect(HumanText.percent(999, of: 1000) == "99 %")
  }
}

@Suite struct ProgressBarTests {
  @Test(arguments: [10, 40, 80, 200], [true, false]) func fits(width: Int, isUnicode: Bool) {
    let bar = ProgressBar(style: TextStyle(isUnicode: isUnicode), width: width)
    for request in [Samples.running, Samples.done(.restore), Samples.partly] {
      let line = bar.line(request)
      #expect(line.displayWidth <= max(20, width - 1))
      #expect(!line.contains("\n"))
      #expect(isUnicode || line.utf8.allSatisfy { $0 < 0x80 })
    }
  }

  @Test func looks() {
    var request = Samples.running
    let bar = ProgressBar(style: TextStyle(), width: 100)
    #expect(
      bar.line(request)
        == "restore [███████░░░░░░░░░░░░░░░░░░░░░░░]  25 % 3 of 10 files, 12 MB of 48 MB: copies from nas")
    request.bytesTotal = nil
    request.filesTotal = nil
    #expect(bar.line(request) == "restore 3 files, 12 MB: copies from nas")
    request.filesTotal = 4
    let ascii = ProgressBar(style: TextStyle(isUnicode: false), width: 100)
    #expect(
      ascii.line(request).hasPrefix("restore [######################........]  75 % 3 of 4 files, 12 MB"))
  }

  /// Totals that shrink or were guessed too low.
  @Test func neverBeyondTheEnds() {
    var request = Samples.running
    request.bytesDone = 100_000_000
    #expect(ProgressBar(style: TextStyle(), width: 100).line(request).contains("] 100 %"))
    request.bytesDone = -1
    #expect(ProgressBar(style: TextStyle(), width: 100).line(request).contains("]   0 %"))
  }
}

@Suite struct TableTests {
  @Test func alignsByDisplayWidth() {
    var table = Table([.init("NAME"), .init("SIZE", .right), .init("LAST")])
    table.add(["日本", "1", "x"])
    table.add(["e\u{301}", "22", ""])
    #expect(table.text(TextStyle()) == "NAME  SIZE  LAST\n日本     1  x\ne\u{301}       22\n")
  }

  @Test func cutsWholeCharacters() {
    #expect("日本語".cut(to: 5) == "日本")
    #expect("e\u{301}e\u{301}".cut(to: 1) == "e\u{301}")
    #expect("abc".cut(to: 3) == "abc")
  }
}
