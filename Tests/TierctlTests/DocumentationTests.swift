import ArgumentParserToolInfo
import FoundationEssentials
import Testing
import TierControlSupport
import TierTestSupport

/// `docs/tierctl.md` and the manual page are what the binary says of itself.
@Suite struct DocumentationTests {
  private func tool() async throws -> CommandInfoV0 {
    let run = try await TierctlRun.alone(["--experimental-dump-help"])
    return try JSONDecoder().decode(ToolInfoV0.self, from: Data(run.output.utf8)).command
  }

  @Test func reference() async throws {
    try expectSnapshot(HelpDocument(try await tool()).markdown, "docs/tierctl.md")
  }

  @Test func manualPage() async throws {
    try expectSnapshot(HelpDocument(try await tool()).manualPage, "docs/man/tierctl.1")
  }

  @Test func eachCommandHasAnExample() async throws {
    for command in HelpDocument(try await tool()).commands {
      #expect(command.discussion?.contains("Example") == true, "\(command.commandName)")
      #expect(command.abstract?.hasSuffix(".") == true, "\(command.commandName)")
    }
  }

  /// An example with an option that is gone is worse than none.
  @Test func examplesParse() async throws {
    for command in HelpDocument(try await tool()).commands {
      for line in (command.discussion ?? "").split(separator: "\n") where line.hasPrefix("  tierctl ") {
        var words = line.split(separator: " ").dropFirst().map(String.init)
        // Not what the shell would take away.
        if let redirection = words.firstIndex(where: { $0 == ">" || $0 == "<" }) {
          words.removeSubrange(redirection...)
        }
        if words.contains("--watch") || words.contains("check") { continue }
        let run = try await TierctlRun.with(RecordingControl(), words)
        #expect(run.status == 0 || words == ["doctor"], "\(line): \(run.errors)")
      }
    }
  }
}

@Suite struct CompletionTests {
  // One test each: of a test with arguments, a case that is left out isn't told.
  @Test func bashTakesIt() async throws { try await expectThatItParses("bash") }

  @Test(.enabled(if: Machine.has("zsh"), "zsh is missing: scripts/install-packages.sh test"))
  func zshTakesIt() async throws { try await expectThatItParses("zsh") }

  @Test(.enabled(if: Machine.has("fish"), "fish is missing: scripts/install-packages.sh test"))
  func fishTakesIt() async throws { try await expectThatItParses("fish") }

  private func expectThatItParses(_ shell: String) async throws {
    let script = try await TierctlRun.alone(["completion", shell])
    #expect(script.status == 0)
    #expect(script.output.contains("tierctl"))
    let run = try await TierctlRun.shell("'\(TierctlRun.program)' completion \(shell) | \(shell) -n")
    #expect(run.status == 0 && run.errors == "", "\(run.errors)")
  }

  @Test func policyNamesComeFromTheDaemon() async throws {
    let run = try await TierctlRun.with(
      RecordingControl(),
      ["---completion", "restore", "--", "--app", "0", "0", "tierctl", "restore", "--app"])
    #expect(run.output.contains("photos") && run.output.contains("media"), "\(run.output) \(run.errors)")
  }
}
