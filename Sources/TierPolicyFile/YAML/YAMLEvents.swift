import CLibYAML

/// libyaml's parser as a source of events, one document's text at a time.
///
/// Events and not a tree, because a tree has already followed its aliases: a few hundred bytes of nested ones
/// keep a tree's builder busy for hours.
final class YAMLEvents {
  enum Event {
    case documentStart, documentEnd, streamEnd
    case alias(String)
    case scalar(YAMLScalar)
    case sequenceStart, sequenceEnd, mappingStart, mappingEnd
  }

  struct Item {
    var event: Event
    var mark: Mark
    var anchor: String?
    var tag: String?
  }

  struct SyntaxError: Error {
    var problem: String
    var context: String
    var mark: Mark
    var contextMark: Mark
  }

  /// On the heap: libyaml keeps pointers into it.
  private let parser: UnsafeMutablePointer<yaml_parser_t>
  private let input: UnsafeMutableBufferPointer<UInt8>

  /// `bytes` must be valid UTF-8.
  init(_ bytes: [UInt8]) {
    parser = .allocate(capacity: 1)
    input = .allocate(capacity: bytes.count)
    _ = input.initialize(from: bytes)
    precondition(yaml_parser_initialize(parser) == 1, "out of memory")
    yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
    yaml_parser_set_input_string(parser, input.baseAddress, input.count)
  }

  deinit {
    yaml_parser_delete(parser)
    parser.deallocate()
    input.deallocate()
  }

  func next() throws(SyntaxError) -> Item {
    while true {
      var event = yaml_event_t()
      guard yaml_parser_parse(parser, &event) == 1 else { throw syntaxError() }
      defer { yaml_event_delete(&event) }
      if let item = Self.item(event) { return item }
    }
  }

  private static func item(_ event: yaml_event_t) -> Item? {
    let mark = Mark(event.start_mark)
    switch event.type {
    case YAML_DOCUMENT_START_EVENT: return Item(event: .documentStart, mark: mark)
    case YAML_DOCUMENT_END_EVENT: return Item(event: .documentEnd, mark: mark)
    // libyaml has no event but "none" behind the stream's end.
    case YAML_STREAM_END_EVENT, YAML_NO_EVENT: return Item(event: .streamEnd, mark: mark)
    case YAML_SEQUENCE_END_EVENT: return Item(event: .sequenceEnd, mark: mark)
    case YAML_MAPPING_END_EVENT: return Item(event: .mappingEnd, mark: mark)
    case YAML_ALIAS_EVENT: return Item(event: .alias(text(event.data.alias.anchor) ?? ""), mark: mark)
    case YAML_SEQUENCE_START_EVENT:
      let start = event.data.sequence_start
      return Item(event: .sequenceStart, mark: mark, anchor: text(start.anchor), tag: text(start.tag))
    case YAML_MAPPING_START_EVENT:
      let start = event.data.mapping_start
      return Item(event: .mappingStart, mark: mark, anchor: text(start.anchor), tag: text(start.tag))
    case YAML_SCALAR_EVENT:
      let start = event.data.scalar
      let scalar = YAMLScalar(
        text: String(decoding: UnsafeBufferPointer(start: start.value, count: start.length), as: UTF8.self),
        isQuoted: start.style != YAML_PLAIN_SCALAR_STYLE, mark: mark, end: Mark(event.end_mark))
      return Item(event: .scalar(scalar), mark: mark, anchor: text(start.anchor), tag: text(start.tag))
    default: return nil
    }
  }

  private static func text(_ pointer: UnsafePointer<UInt8>?) -> String? {
    pointer.map { String(cString: $0) }
  }

  private func syntaxError() -> SyntaxError {
    SyntaxError(
      problem: parser.pointee.problem.map { String(cString: $0) } ?? "out of memory",
      context: parser.pointee.context.map { String(cString: $0) } ?? "",
      mark: Mark(parser.pointee.problem_mark), contextMark: Mark(parser.pointee.context_mark))
  }
}

extension Mark {
  fileprivate init(_ mark: yaml_mark_t) {
    self.init(line: Int(mark.line) + 1, column: Int(mark.column) + 1)
  }
}
