extension YAMLEvents.SyntaxError {
  /// libyaml's words in ours, with the mistake that people make most behind each.
  func explanation(in source: SourceText) -> (message: String, mark: Mark) {
    switch (problem, context) {
    case (_, "while scanning an alias"):
      return ("a text that starts with \"*\" needs quotes; YAML aliases aren't supported", contextMark)
    case (_, "while scanning an anchor"):
      return ("a text that starts with \"&\" needs quotes; YAML anchors aren't supported", contextMark)
    case (_, "while scanning a tag"), (_, "while parsing a tag"):
      return ("a text that starts with \"!\" needs quotes; YAML tags aren't supported", contextMark)
    case ("found undefined tag handle", _):
      return ("a text that starts with \"!\" needs quotes; YAML tags aren't supported", mark)
    case ("found unknown escape character", _):
      return ("unknown escape in double quotes; in single quotes a backslash stands for itself", mark)
    case ("found unexpected end of stream", "while scanning a quoted scalar"):
      return ("the quote that starts here isn't closed", contextMark)
    case ("mapping values are not allowed in this context", _):
      return (
        "\":\" isn't expected here: look for a missing \": \" in the line above, uneven indentation, "
          + "or a text with \": \" in it that needs quotes", mark
      )
    case ("could not find expected ':'", _):
      return ("expected \"key: value\"", contextMark)
    case ("did not find expected key", _):
      return ("expected a key here: indent the keys of one group, and the items of one list, alike", mark)
    case ("did not find expected '-' indicator", _):
      return ("expected \"- \" here: indent the items of one list alike", mark)
    case ("did not find expected ',' or ']'", _):
      return (
        "the list that starts here isn't closed by \"]\"; a text that starts with \"[\" needs quotes",
        contextMark
      )
    case ("did not find expected ',' or '}'", _):
      return (
        "the group that starts here isn't closed by \"}\"; a text that starts with \"{\" needs quotes",
        contextMark
      )
    case ("found incompatible YAML document", _):
      return ("the %YAML line names a version that isn't read; leave the line out", mark)
    case ("did not find expected <document start>", _):
      return ("expected the end of the file", mark)
    case ("found character that cannot start any token", _):
      let character = source.character(at: mark) ?? "\t"
      if character == "\t" { return ("a tab can't indent YAML: use spaces", mark) }
      return ("a text that starts with \"\(character)\" needs quotes", mark)
    default:
      return ("not valid YAML: \(problem)\(context.isEmpty ? "" : " \(context)")", mark)
    }
  }
}
