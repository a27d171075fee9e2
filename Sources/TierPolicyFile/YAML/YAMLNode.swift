/// A place in a file, counted from 1, columns in Unicode scalars.
struct Mark: Hashable {
  var line: Int
  var column: Int
}

/// A YAML document as it was written: scalars are texts, nothing is resolved to numbers, dates or booleans.
indirect enum YAMLNode {
  case scalar(YAMLScalar)
  case sequence([YAMLNode], Mark)
  case mapping([YAMLEntry], Mark)
  /// Something that was reported already: readers pass over it.
  case refused(Mark)

  var mark: Mark {
    switch self {
    case .scalar(let scalar): scalar.mark
    case .sequence(_, let mark), .mapping(_, let mark), .refused(let mark): mark
    }
  }

  /// For "expected …, found …".
  var kindText: String {
    switch self {
    case .scalar(let scalar): scalar.isEmpty ? "nothing" : "a text"
    case .sequence: "a list"
    case .mapping: "keys and values"
    case .refused: "something refused"
    }
  }
}

struct YAMLScalar {
  var text: String
  var isQuoted: Bool
  var mark: Mark
  var end: Mark

  /// `key:` with nothing behind it.
  var isEmpty: Bool { text.isEmpty && !isQuoted }

  /// The place of the text's `offset`th scalar; the text's start where escapes or line breaks hide it.
  func mark(at offset: Int) -> Mark {
    let quotes = isQuoted ? 1 : 0
    guard mark.line == end.line, end.column - mark.column == text.unicodeScalars.count + 2 * quotes else {
      return mark
    }
    return Mark(line: mark.line, column: mark.column + quotes + offset)
  }
}

struct YAMLEntry {
  var key: YAMLScalar
  var value: YAMLNode
}
