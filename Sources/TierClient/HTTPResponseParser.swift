/// An HTTP/1.1 response, whole.
struct HTTPResponse: Hashable, Sendable {
  var status: Int
  /// The `Server` header.
  var server: String?
  var body: [UInt8]
}

/// Puts a response together from pieces, cut anywhere. Knows what a server may answer to a `Connection: close`
/// request: interim responses, a length, chunks, or a body that ends with the connection. Bounded throughout.
struct HTTPResponseParser {
  enum Step: Hashable {
    case more
    case response(HTTPResponse)
    case malformed(String)
  }

  private enum State {
    case head
    case body(length: Int)
    case bodyUntilClose
    case chunkSize
    case chunk(length: Int)
    case trailer
  }

  private static let headBytesMax = 64 << 10
  private static let lineBytesMax = 1 << 10

  private let bodyBytesMax: Int
  private var state = State.head
  private var pending: [UInt8] = []
  /// How much of `pending` is used up; taken off when a piece is done, so that parsing stays linear.
  private var position = 0
  private var response = HTTPResponse(status: 0, server: nil, body: [])

  init(bodyBytesMax: Int) { self.bodyBytesMax = bodyBytesMax }

  mutating func consume(_ bytes: some Collection<UInt8>) -> Step {
    pending.append(contentsOf: bytes)
    defer {
      pending.removeSubrange(..<position)
      position = 0
    }
    while true {
      if let step = advance() { return step }
    }
  }

  /// The connection was closed.
  mutating func finish() -> Step {
    if case .bodyUntilClose = state { return .response(response) }
    return .malformed(
      response.status == 0 ? "the connection closed without an answer" : "the answer is cut off")
  }

  /// One state's work; nil: go on with the next.
  private mutating func advance() -> Step? {
    switch state {
    case .head:
      guard let head = takeHead() else {
        return pending.count - position > Self.headBytesMax ? .malformed("the head is too long") : .more
      }
      return begin(head)
    case .body(let length):
      guard pending.count - position >= length else { return .more }
      take(length)
      return .response(response)
    case .bodyUntilClose:
      guard response.body.count + pending.count - position <= bodyBytesMax else { return tooLarge }
      take(pending.count - position)
      return .more
    case .chunkSize:
      guard let line = takeLine() else { return lineMissing }
      let digits = line.prefix { $0 != UInt8(ascii: ";") && $0 != UInt8(ascii: " ") }
      guard !digits.isEmpty, digits.count <= 15, digits.first != UInt8(ascii: "+"),
        let length = Int(String(decoding: digits, as: UTF8.self), radix: 16), length >= 0
      else { return .malformed("a chunk has no size") }
      guard length <= bodyBytesMax - response.body.count else { return tooLarge }
      state = length == 0 ? .trailer : .chunk(length: length)
    case .chunk(let length):
      guard pending.count - position >= length + 2 else { return .more }
      take(length)
      guard pending[position] == 13, pending[position + 1] == 10 else {
        return .malformed("a chunk is too long")
      }
      position += 2
      state = .chunkSize
    case .trailer:
      guard let line = takeLine() else { return lineMissing }
      if line.isEmpty { return .response(response) }
    }
    return nil
  }

  private mutating func begin(_ head: ArraySlice<UInt8>) -> Step? {
    var lines = String(decoding: head, as: UTF8.self).split(
      separator: "\r\n", omittingEmptySubsequences: false)[...]
    let first = lines.removeFirst().split(separator: " ", maxSplits: 2)
    guard first.count >= 2, first[0].hasPrefix("HTTP/1."), first[1].utf8.count == 3,
      let status = Int(first[1]),
      status >= 100
    else { return .malformed("it isn't HTTP") }
    // Interim: the real one follows.
    if status < 200 { return nil }
    response.status = status
    var length: Int?
    var isChunked = false
    for line in lines where !line.isEmpty {
      guard let colon = line.firstIndex(of: ":") else { return .malformed("a header has no colon") }
      let value = line[line.index(after: colon)...].trimmed
      switch line[..<colon].lowercased() {
      case "server": response.server = String(value)
      case "content-length":
        guard let number = Int(value), number >= 0, length ?? number == number else {
          return .malformed("its length isn't a number")
        }
        length = number
      case "transfer-encoding":
        guard value.lowercased() == "chunked" else { return .malformed("unknown transfer encoding") }
        isChunked = true
      default: break
      }
    }
    return begin(length: status == 204 || status == 304 ? 0 : length, isChunked: isChunked)
  }

  private mutating func begin(length: Int?, isChunked: Bool) -> Step? {
    if isChunked {
      state = .chunkSize
    } else if let length {
      guard length <= bodyBytesMax else { return tooLarge }
      state = .body(length: length)
    } else {
      state = .bodyUntilClose
    }
    return nil
  }

  private mutating func takeHead() -> ArraySlice<UInt8>? {
    let rest = pending[position...]
    guard rest.count >= 4 else { return nil }
    for end in rest.startIndex...(rest.endIndex - 4)
    where rest[end..<end + 4].elementsEqual([13, 10, 13, 10]) {
      position = end + 4
      return rest[..<end]
    }
    return nil
  }

  private mutating func takeLine() -> ArraySlice<UInt8>? {
    let rest = pending[position...]
    guard let end = rest.prefix(Self.lineBytesMax).firstIndex(of: 10), end > rest.startIndex,
      rest[end - 1] == 13
    else { return nil }
    position = end + 1
    return rest[..<(end - 1)]
  }

  private var lineMissing: Step {
    pending.count - position >= Self.lineBytesMax ? .malformed("a line is too long") : .more
  }

  private var tooLarge: Step { .malformed("the answer is larger than \(bodyBytesMax >> 20) MiB") }

  private mutating func take(_ count: Int) {
    response.body.append(contentsOf: pending[position..<position + count])
    position += count
  }
}

extension Substring {
  fileprivate var trimmed: Substring {
    let front = drop { $0 == " " || $0 == "\t" }
    return front.lastIndex { $0 != " " && $0 != "\t" }.map { front[...$0] } ?? ""
  }
}
