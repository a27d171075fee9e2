import ArgumentParser
import Glibc
import TierCore
import TierDaemon
import TierLinux
import TierObserve
import TierPolicyFile

@main
struct Tierd: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tierd",
    abstract: "Keeps a NAS asleep: archives, releases and restores the files of cached volumes.",
    discussion: """
      tierd run --config /etc/tierd/tierd.yaml    serve until SIGTERM; SIGHUP reads the policies again
      tierd check-policy --config … [FILE …]      say what is wrong with configuration and policies

      tierctl talks to the running daemon.
      """,
    version: Daemon.version, subcommands: [Run.self, CheckPolicy.self])
}

struct ConfigurationOption: ParsableArguments {
  @Option(name: .shortAndLong, help: "The configuration file.")
  var config = "/etc/tierd/tierd.yaml"

  /// Prints what is wrong, and gives up with exit status 78 where it can't be used.
  func load() throws -> Configuration {
    let (configuration, diagnostics) = ConfigurationFile.load(config)
    printErrors(diagnostics)
    guard let configuration, !diagnostics.hasErrors else { throw ExitCode(78) }
    return configuration
  }
}

struct Run: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Serve the configured volumes until SIGTERM or SIGINT.")

  @OptionGroup var options: ConfigurationOption

  func run() async throws {
    let daemon = Daemon(configuration: try options.load())
    do {
      try await daemon.run()
    } catch let error as TierError {
      printError("tierd: \(error)")
      throw ExitCode(error.code == .badConfiguration ? 78 : 1)
    }
  }
}

struct CheckPolicy: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Check the configuration and its policies, or policies that aren't installed yet.",
    discussion: """
      Without FILE the configured policy directory is checked. With FILE each one is checked as if it were there.
      Exit status: 0 when all is well, 78 when something is wrong.
      """)

  @OptionGroup var options: ConfigurationOption
  @Argument(help: ArgumentHelp("Policy files to check.", valueName: "FILE"))
  var files: [String] = []

  func run() throws {
    let configuration = try options.load()
    var diagnostics: [Diagnostic] = []
    if files.isEmpty {
      let (policies, found) = PolicyDirectory.load(configuration.policyDirectory, configuration)
      diagnostics = found
      if let policies, !found.hasErrors {
        let count = policies.policies.count
        print("\(configuration.policyDirectory): \(count) \(count == 1 ? "policy" : "policies"), all well")
      }
    }
    for file in files {
      let found = check(file, configuration)
      diagnostics += found
      if !found.hasErrors { print("\(file): all well") }
    }
    printErrors(diagnostics)
    if diagnostics.hasErrors { throw ExitCode(78) }
  }

  private func check(_ file: String, _ configuration: Configuration) -> [Diagnostic] {
    let bytes: [UInt8]
    do {
      bytes = try SmallFile.read(file, limit: 1 << 20)
    } catch {
      return [Diagnostic(file: file, message: "can't be read: \(errnoText(error.errno))")]
    }
    let name = file.split(separator: "/").last.map(String.init) ?? file
    return PolicyDirectory.check(bytes, as: name, in: configuration.policyDirectory, configuration)
      .map { diagnostic in
        var shown = diagnostic
        shown.file = file
        return shown
      }
  }
}

func printErrors(_ diagnostics: [Diagnostic]) {
  for diagnostic in diagnostics { printError("\(diagnostic)") }
}

func printError(_ text: String) { LineSink.standardError.write(text + "\n") }
