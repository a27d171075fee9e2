import Testing

@testable import TierClient

@Suite struct HTTPResponseParserTests {
  static let whole = [
    "HTTP/1.1 200 OK\r\nServer: tierd/0.1.0\r\nContent-Length: 5\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\nserver:tierd/0.1.0 \r\ntransfer-encoding: Chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nA: b\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200\r\nServer: tierd/0.1.0\r\ncontent-length: 5\r\n\r\nhello",
  ]

  /// The answer may be cut anywhere: each split into two pieces, and byte by byte.
  @Test(arguments: whole) func anySplit(text: String) {
    let bytes = Array(text.utf8)
    let expected = HTTPResponseParser.Step.response(
      HTTPResponse(status: 200, server: "tierd/0.1.0", body: Array("hello".utf8)))
    for cut in 0..<bytes.count {
      var parser = HTTPResponseParser(bodyBytesMax: 5)
      #expect(parser.consume(bytes[..<cut]) == .more)
      #expect(parser.consume(bytes[cut...]) == expected)
    }
    var parser = HTTPResponseParser(bodyBytesMax: 5)
    for byte in bytes.dropLast() { #expect(parser.consume([byte]) == .more) }
    #expect(parser.consume([bytes.last!]) == expected)
  }

  @Test func endsWithTheConnection() {
    var parser = HTTPResponseParser(bodyBytesMax: 100)
    #expect(parser.consume(Array("HTTP/1.0 500 No\r\n\r\nhel".utf8)) == .more)
    #expect(parser.consume(Array("lo".utf8)) == .more)
    #expect(parser.finish() == .response(HTTPResponse(status: 500, server: nil, body: Array("hello".utf8))))
  }

  @Test func noContent() {
    var parser = HTTPResponseParser(bodyBytesMax: 100)
    let step = parser.consume(Array("HTTP/1.1 204 No Content\r\n\r\n".utf8))
    #expect(step == .response(HTTPResponse(status: 204, server: nil, body: [])))
  }

  @Test(arguments: [
    ("", "the connection closed without an answer"),
    ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", "the answer is cut off"),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", "the answer is cut off"),
  ])
  func cutOff(text: String, reason: String) {
    var parser = HTTPResponseParser(bodyBytesMax: 100)
    #expect(parser.consume(Array(text.utf8)) == .more)
    #expect(parser.finish() == .malformed(reason))
  }

  @Test(arguments: [
    ("SSH-2.0-OpenSSH\r\n\r\n", "it isn't HTTP"),
    ("HTTP/1.1 20 OK\r\n\r\n", "it isn't HTTP"),
    ("HTTP/1.1 200 OK\r\nbroken\r\n\r\n", "a header has no colon"),
    ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "its length isn't a number"),
    ("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", "its length isn't a number"),
    ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "its length isn't a number"),
    ("HTTP/1.1 200 OK\r\nContent-Length: 2097153\r\n\r\n", "the answer is larger than 2 MiB"),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "unknown transfer encoding"),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "a chunk has no size"),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", "a chunk has no size"),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n", "a chunk has no size"),
    (
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\n",
      "the answer is larger than 2 MiB"
    ),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabcd", "a chunk is too long"),
    (
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + String(repeating: "0", count: 1024),
      "a line is too long"
    ),
    (String(repeating: "x", count: 70_000), "the head is too long"),
  ])
  func malformed(text: String, reason: String) {
    var parser = HTTPResponseParser(bodyBytesMax: 2 << 20)
    #expect(parser.consume(Array(text.utf8)) == .malformed(reason))
  }

  @Test func boundedWithoutALength() {
    var parser = HTTPResponseParser(bodyBytesMax: 1 << 20)
    #expect(parser.consume(Array("HTTP/1.1 200 OK\r\n\r\n".utf8)) == .more)
    #expect(parser.consume([UInt8](repeating: 1, count: 1 << 20)) == .more)
    #expect(parser.consume([1]) == .malformed("the answer is larger than 1 MiB"))
  }
}
