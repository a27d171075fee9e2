import ArgumentParser
import Glibc
import TierAPI
import TierClient
import TierConsole

struct Tierctl: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tierctl",
    abstract: "Ask and command tierd, the daemon that tiers files to a sleeping NAS.",
    discussion: """
      The standard output is data, the standard error the rest. Exit codes: 0 done, 1 failed, 2 partly done, \
      64 usage, 69 the daemon is not reachable, 75 try later, 78 bad configuration.

      Example:
        tierctl status
      """,
    version: TierVersion.current,
    groupedSubcommands: [
      CommandGroup(name: "See", subcommands: [Status.self, List.self, Usage.self, Why.self, Windows.self]),
      CommandGroup(
        name: "Move",
        subcommands: [Flush.self, Restore.self, Release.self, Pin.self, Unpin.self, Undelete.self]),
      CommandGroup(name: "Check", subcommands: [PolicyCommands.self, Verify.self, Fsck.self, Doctor.self]),
      CommandGroup(name: "Other", subcommands: [Completion.self, Version.self]),
    ])

  /// Parses, runs and exits.
  static func run(_ arguments: [String]) -> Never {
    let console = Console()
    do {
      var command = try parseAsRoot(arguments)
      try command.run()
      exit()
    } catch let error as ClientError {
      console.error("\(error)")
      exit(ExitStatus(error))
    } catch let error as NamedPath.Failure {
      console.error("\(error)")
      exit(.usage)
    } catch let error as Console.OutputFailure {
      console.error("\(error)")
      exit(.failed)
    } catch {
      exit(withError: error)
    }
  }

  private static func exit(_ status: ExitStatus) -> Never { Glibc.exit(status.rawValue) }
}

struct Version: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Print tierctl's version.", discussion: "Example:\n  tierctl version")

  func run() throws { try Console().write("tierctl \(TierVersion.current)\n") }
}

struct Completion: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Print a shell's completion script.",
    discussion: """
      Examples:
        tierctl completion bash > /etc/bash_completion.d/tierctl
        tierctl completion zsh > /usr/local/share/zsh/site-functions/_tierctl
        tierctl completion fish > ~/.config/fish/completions/tierctl.fish
      """)

  enum Shell: String, ExpressibleByArgument, CaseIterable { case bash, zsh, fish }

  @Argument(help: "The shell.") var shell: Shell

  func run() throws {
    let kind: CompletionShell =
      switch shell {
      case .bash: .bash
      case .zsh: .zsh
      case .fish: .fish
      }
    try Console().write(Tierctl.completionScript(for: kind) + "\n")
  }
}
