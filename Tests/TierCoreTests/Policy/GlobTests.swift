import Testing
import TierTestSupport

@testable import TierCore

@Suite struct GlobTests {
  struct Row: CustomTestStringConvertible, Sendable {
    var pattern: String
    var matching: [String]
    var others: [String]
    init(_ pattern: String, _ matching: [String], not others: [String]) {
      (self.pattern, self.matching, self.others) = (pattern, matching, others)
    }
    var testDescription: String { pattern }
  }

  static let rows = [
    // Without a slash: any depth, and everything below a folder of that name.
    Row("a", ["a", "x/a", "x/y/a", "a/b", "x/a/b/c"], not: ["b", "aa", "x/ab"]),
    Row("*.jpg", ["a.jpg", ".jpg", "x/y.z.jpg", "d.jpg/e"], not: ["a.jpg2", "ajpg", "a.JPG", "jpg"]),
    Row("img*", ["img", "img1", "x/img.png", "imgs/a"], not: ["Img", "aimg"]),
    Row("a*c", ["ac", "abc", "abcbc", "x/a.c"], not: ["acb", "a/c", "bac"]),
    Row("*a*b*", ["ab", "xaybz", "aab"], not: ["ba", "a/b"]),
    Row("*", ["a", "a/b"], not: []),
    Row("a?c", ["abc", "aäc", "a€c", "a😀c"], not: ["ac", "abbc", "a/c"]),
    Row("??", ["ab", "äö", "x/€€"], not: ["a", "ä", "abc"]),
    Row("*??", ["ab", "abc", "äö"], not: ["€", "a"]),
    // A slash in the middle or in front: from the policy's folder on.
    Row("/a", ["a", "a/b"], not: ["x/a"]),
    Row("a/b", ["a/b", "a/b/c"], not: ["x/a/b", "a/x/b", "a"]),
    Row("/a/*.log", ["a/x.log"], not: ["a/b/x.log", "b/a/x.log"]),
    Row("*/b", ["a/b", "x/b/c"], not: ["b", "x/y/b"]),
    // A trailing slash: folders only, that is, what lies below them.
    Row("a/", ["a/b", "x/a/b", "a/b/c"], not: ["a", "x/a"]),
    Row("/a/", ["a/b"], not: ["a", "x/a/b"]),
    Row("a/b/", ["a/b/c"], not: ["a/b", "x/a/b/c"]),
    Row("*/", ["a/b", "a/b/c"], not: ["a"]),
    // `**`.
    Row("**", ["a", "a/b/c"], not: []),
    Row("**/a", ["a", "x/a", "x/y/a/z"], not: ["b"]),
    Row("**/a/b", ["a/b", "x/a/b", "x/a/a/b"], not: ["a/x/b"]),
    Row("a/**", ["a/b", "a/b/c"], not: ["a", "x/a/b"]),
    Row("a/**/b", ["a/b", "a/x/b", "a/x/y/b", "a/x/b/c"], not: ["b", "a/x/c", "x/a/b"]),
    Row("a/**/b/**/c", ["a/b/c", "a/x/b/y/c", "a/b/b/c/c"], not: ["a/c/b", "a/b"]),
    Row("**/cache/**", ["cache/a", "x/cache/a/b"], not: ["cache", "x/cache"]),
    Row("a/**/", ["a/b/c"], not: ["a/b", "a"]),
    Row("**/*.tmp/", ["x.tmp/a", "y/x.tmp/a"], not: ["x.tmp"]),
    Row("a/**/*.jpg", ["a/x.jpg", "a/b/x.jpg"], not: ["x.jpg", "a/x.png"]),
    // Sets.
    Row("[abc]", ["a", "x/b"], not: ["d", "ab"]),
    Row("x[a-c0-9]", ["xa", "x5"], not: ["xd", "x", "x-"]),
    Row("[!a]", ["b", "ä"], not: ["a", "bb"]),
    Row("[^a-z]", ["A", "1"], not: ["m"]),
    Row("[]a]", ["]", "a"], not: ["b"]),
    Row("[!]]", ["a"], not: ["]"]),
    Row("[a-]", ["a", "-"], not: ["b"]),
    Row("[äö]x", ["äx", "öx"], not: ["üx", "x"]),
    Row("[α-ω]", ["λ"], not: ["Λ"]),
    Row("*.[jJ][pP][gG]", ["a.jpg", "a.JPG", "a.Jpg"], not: ["a.png"]),
    Row("[\\]]", ["]"], not: ["\\"]),
    // Escapes.
    Row("\\*", ["*"], not: ["a", "\\*"]),
    Row("\\!a", ["!a"], not: ["a"]),
    Row("\\[a]", ["[a]"], not: ["a"]),
    Row("a\\\\b", ["a\\b"], not: ["ab"]),
    Row("a\\x0ab", ["a\nb"], not: ["ab"]),
    Row("caf\\xc3\\xa9", ["café"], not: ["cafe"]),
    Row("#*", ["#a"], not: ["a"]),
    Row(" a ", [" a "], not: ["a"]),
  ]

  @Test(arguments: rows)
  func matchesAsDocumented(_ row: Row) throws {
    let glob = try Glob(row.pattern)
    for text in row.matching { #expect(glob.matches(try #require(RelativePath(text))), "\(text)") }
    for text in row.others { #expect(!glob.matches(try #require(RelativePath(text))), "\(text)") }
    #expect(!glob.matches(.root))
  }

  @Test func bytesThatAreNotTextCountOneEach() throws {
    let path = try #require(RelativePath([0x61, 0xFF, 0xC3, 0x62]))
    #expect(try Glob("a??b").matches(path))
    #expect(try Glob("a\\xff?b").matches(path))
    #expect(try Glob("a[!x][!x]b").matches(path))
    #expect(try !Glob("a?b").matches(path))
    #expect(try !Glob("a[\u{FF}]?b").matches(path))
  }

  @Test(
    arguments: [
      ("", 0, "the pattern is empty"),
      ("/", 0, "names no file; all of them are \"**\""),
      (
        "!a", 0, "\"!\" belongs before a pattern under exclude only; a name that starts so is written \"\\!\""
      ),
      ("a//b", 2, "two slashes in a row"),
      ("//a", 1, "two slashes in a row"),
      ("a/../b", 2, "\".\" and \"..\" match nothing: patterns start at the policy's path"),
      ("./a", 0, "\".\" and \"..\" match nothing: patterns start at the policy's path"),
      ("**.jpg", 0, "\"**\" stands alone between slashes, as in \"a/**/b\"; within one name write \"*\""),
      ("a/b**", 3, "\"**\" stands alone between slashes, as in \"a/**/b\"; within one name write \"*\""),
      ("a/***", 2, "\"**\" stands alone between slashes, as in \"a/**/b\"; within one name write \"*\""),
      ("ab[c", 2, "\"[\" without \"]\"; a bracket itself is written \"\\[\""),
      ("a[]", 1, "\"[\" without \"]\"; a bracket itself is written \"\\[\""),
      ("a[b/c]", 1, "\"[\" without \"]\" before the slash"),
      ("[z-a]", 1, "the range runs backwards"),
      ("[[:digit:]]", 1, "classes like \"[:alpha:]\" aren't known; write \"[a-zA-Z]\""),
      ("ab\\", 2, "a backslash at the end escapes nothing"),
      ("a\\/b", 1, "a slash can't be escaped: no name holds one"),
      ("a\\xg0", 1, "\"\\x\" wants two hexadecimal digits: \"\\xNN\""),
      ("a\\x00", 1, "no name holds this byte"),
      ("a\0", 1, "no name holds a NUL"),
    ] as [(String, Int, String)])
  func refusesWithPlaceAndWayOut(_ text: String, _ position: Int, _ message: String) {
    let error = #expect(throws: GlobError.self) { try Glob(text) }
    #expect(error == GlobError(position: position, description: message))
  }

  /// Exponential or cubic matching would take minutes here.
  @Test func hostilePatternsStayFast() throws {
    let name = String(repeating: "a", count: 255)
    let path = try #require(RelativePath(Array(repeating: name, count: 16).joined(separator: "/")))
    let stars = String(repeating: "*a", count: 60) + "b"
    #expect(try !Glob(stars).matches(path))
    let folders = String(repeating: "**/" + name + "/", count: 10) + "b"
    let start = ContinuousClock.now
    #expect(try !Glob(folders).matches(path))
    #expect(ContinuousClock.now - start < .seconds(2))
  }

  /// The matcher against the definition, written as plainly as possible, on random patterns and paths.
  @Test(arguments: 0..<8)
  func agreesWithThePlainDefinition(_ seed: Int) throws {
    var random = SplitMix(state: UInt64(seed))
    let alphabet = ["a", "b", "*", "?", "/", "**", "[ab]", "a"]
    var tried = 0
    while tried < 2000 {
      let pattern = (0..<Int.random(in: 1...7, using: &random)).map { _ in
        alphabet.randomElement(using: &random)!
      }.joined()
      guard let glob = try? Glob(pattern) else { continue }
      let text = (0..<Int.random(in: 1...4, using: &random)).map { _ in
        (0..<Int.random(in: 1...3, using: &random)).map { _ in Bool.random(using: &random) ? "a" : "b" }
          .joined()
      }.joined(separator: "/")
      tried += 1
      #expect(
        glob.matches(RelativePath(text)!) == PlainGlob(pattern).matches(text), "\(pattern) against \(text)")
    }
  }
}

/// What a pattern means, by recursion over its pieces.
private struct PlainGlob {
  var components: [String]
  var isAnchored: Bool
  var foldersOnly: Bool

  init(_ pattern: String) {
    foldersOnly = pattern.hasSuffix("/")
    var body = Substring(pattern)
    if foldersOnly { body = body.dropLast() }
    isAnchored = body.contains("/") || body == "**"
    if body.hasPrefix("/") { body = body.dropFirst() }
    components = body.split(separator: "/").map(String.init)
    if components.last == "**" {
      if foldersOnly { components.append("*") } else { components.removeLast() }
      foldersOnly = true
    }
  }

  func matches(_ path: String) -> Bool {
    let names = path.split(separator: "/").map(String.init)
    return (0...names.count).contains { end in
      (foldersOnly ? end < names.count : true)
        && (isAnchored ? [0] : Array(0...end)).contains { start in
          folders(components[...], names[start..<end], exactly: !isAnchored)
        }
    }
  }

  private func folders(_ pattern: ArraySlice<String>, _ names: ArraySlice<String>, exactly: Bool) -> Bool {
    guard let first = pattern.first else { return names.isEmpty }
    if first == "**" {
      return (names.startIndex...names.endIndex).contains {
        folders(pattern.dropFirst(), names[$0...], exactly: exactly)
      }
    }
    guard let name = names.first else { return false }
    return characters(Array(first)[...], Array(name)[...])
      && folders(pattern.dropFirst(), names.dropFirst(), exactly: exactly)
  }

  private func characters(_ pattern: ArraySlice<Character>, _ name: ArraySlice<Character>) -> Bool {
    switch pattern.first {
    case nil: name.isEmpty
    case "*": (name.startIndex...name.endIndex).contains { characters(pattern.dropFirst(), name[$0...]) }
    case "?": !name.isEmpty && characters(pattern.dropFirst(), name.dropFirst())
    case "[": !name.isEmpty && characters(pattern.dropFirst(4), name.dropFirst())
    case let character?:
      name.first == character && characters(pattern.dropFirst(), name.dropFirst())
    }
  }
}
