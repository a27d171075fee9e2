import ArgumentParserToolInfo

/// The reference in Markdown and as a manual page, from the binary's own description.
struct HelpDocument {
  let root: CommandInfoV0

  init(_ root: CommandInfoV0) { self.root = root }

  /// Leaves, and groups before theirs; without the parser's own `help`.
  var commands: [CommandInfoV0] {
    func flatten(_ command: CommandInfoV0) -> [CommandInfoV0] {
      [command] + (command.subcommands ?? []).filter { $0.commandName != "help" }.flatMap(flatten)
    }
    return flatten(root)
  }

  var markdown: String {
    var text = """
      <!-- Made from tierctl's own help: TIERD_UPDATE_SNAPSHOTS=1 swift test --filter TierctlTests -->
      # tierctl

      """
    for command in commands {
      let (prose, examples) = parts(of: command)
      if command.superCommands?.isEmpty == false { text += "\n## \(name(of: command))\n" }
      text += "\n\(command.abstract ?? "")\n"
      if !prose.isEmpty { text += "\n\(prose)\n" }
      if command.subcommands?.isEmpty ?? true { text += "\n```\n\(synopsis(of: command))\n```\n" }
      let rows = arguments(of: command).map { "| `\(label($0))` | \(explanation($0)) |\n" }
      if !rows.isEmpty { text += "\n| | |\n|---|---|\n" + rows.joined() }
      if !examples.isEmpty { text += "\n```sh\n" + examples.map { $0 + "\n" }.joined() + "```\n" }
    }
    return text
  }

  var manualPage: String {
    var text = """
      .\\" Made from tierctl's own help: TIERD_UPDATE_SNAPSHOTS=1 swift test --filter TierctlTests
      .TH TIERCTL 1 "" tierd "User Commands"
      .SH NAME
      tierctl \\- \(roff(root.abstract ?? ""))
      .SH SYNOPSIS
      .B tierctl
      \\fIcommand\\fR [\\fIoption\\fR ...] [\\fIpath\\fR ...]
      .SH DESCRIPTION
      \(roff(parts(of: root).prose))
      .SH COMMANDS

      """
    for command in commands where command.subcommands?.isEmpty ?? true {
      let (prose, examples) = parts(of: command)
      text += ".SS \(roff(synopsis(of: command)))\n\(roff(command.abstract ?? ""))\n"
      if !prose.isEmpty { text += ".PP\n\(roff(prose))\n" }
      for argument in arguments(of: command) {
        text += ".TP\n.B \(roff(label(argument)))\n\(roff(explanation(argument)))\n"
      }
      if !examples.isEmpty {
        text += ".PP\n.nf\n" + examples.map { "    \(roff($0))\n" }.joined() + ".fi\n"
      }
    }
    text += ".SH SEE ALSO\nThe project's documentation: docs/tierctl.md, docs/openapi.yaml.\n"
    return text
  }

  private func name(of command: CommandInfoV0) -> String {
    ((command.superCommands ?? []) + [command.commandName]).joined(separator: " ")
  }

  /// The discussion, apart from its examples.
  private func parts(of command: CommandInfoV0) -> (prose: String, examples: [String]) {
    let lines = (command.discussion ?? "").split(separator: "\n", omittingEmptySubsequences: false)
    let head = lines.firstIndex { $0 == "Example:" || $0 == "Examples:" } ?? lines.endIndex
    let prose = lines[..<head].joined(separator: "\n")
    let examples = lines[head...].dropFirst().filter { $0.hasPrefix("  ") }.map { String($0.dropFirst(2)) }
    return (prose.split(separator: "\n").joined(separator: "\n"), examples)
  }

  private func arguments(of command: CommandInfoV0) -> [ArgumentInfoV0] {
    guard command.subcommands?.isEmpty ?? true else { return [] }
    return (command.arguments ?? []).filter { argument in
      argument.shouldDisplay && !["help", "version"].contains(argument.valueName ?? "")
    }
  }

  private func synopsis(of command: CommandInfoV0) -> String {
    let words = arguments(of: command).map { argument in
      let core = argument.kind == .positional ? "<\(argument.valueName ?? "")>" : label(argument, short: true)
      let repeated = core + (argument.isRepeating ? " ..." : "")
      return argument.isOptional ? "[\(repeated)]" : repeated
    }
    return ([name(of: command)] + words).joined(separator: " ")
  }

  private func label(_ argument: ArgumentInfoV0, short: Bool = false) -> String {
    guard argument.kind != .positional else { return "<\(argument.valueName ?? "")>" }
    let names = short ? [argument.preferredName ?? argument.names![0]] : argument.names ?? []
    let text = names.map { ($0.kind == .long ? "--" : "-") + $0.name }.joined(separator: ", ")
    return argument.kind == .option ? "\(text) <\(argument.valueName ?? "value")>" : text
  }

  private func explanation(_ argument: ArgumentInfoV0) -> String {
    var text = argument.abstract ?? ""
    if let values = argument.allValueStrings, !values.isEmpty, argument.kind != .flag {
      text += " One of \(values.joined(separator: ", "))."
    }
    if let value = argument.defaultValue, !value.isEmpty, argument.kind != .flag {
      text += " Default: \(value)."
    }
    return text
  }

  private func roff(_ text: String) -> String {
    text.replacing("\\", with: "\\e").replacing("-", with: "\\-").split(separator: "\n").map {
      $0.hasPrefix(".") || $0.hasPrefix("'") ? "\\&" + $0 : String($0)
    }.joined(separator: "\n")
  }
}
