import ArgumentParser
import Glibc
import TierAPI
import TierClient
import TierConsole
import TierCore

extension OutputFormat: ExpressibleByArgument {}

/// Where the daemon is, and how its answer is shown: every command's.
struct SharedOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The daemon's control socket (default: $TIERD_SOCKET, else /run/tierd/tierd.sock).", valueName: "path"),
    completion: .file())
  var socket: String?

  @Option(
    name: [.customShort("o"), .customLong("output")], help: ArgumentHelp("How to print.", valueName: "format")
  )
  var format: OutputFormat = .table

  var client: ControlClient { ControlClient(socket: Self.socketPath(socket)) }

  static func socketPath(_ given: String?) -> String {
    if let given { return given }
    let fromEnvironment = getenv("TIERD_SOCKET").map { String(cString: $0) } ?? ""
    return fromEnvironment.isEmpty ? "/run/tierd/tierd.sock" : fromEnvironment
  }

  func renderer(_ console: Console) -> Renderer { Renderer(format: format, style: console.style) }

  func print(_ report: some Presentable) throws {
    let console = Console()
    try console.write(renderer(console).render(report))
  }

  /// A document for each path.
  func print(_ paths: [TypedPath], _ report: (AbsolutePath) throws -> some Presentable) throws {
    for (index, path) in paths.enumerated() {
      if index > 0, format == .yaml { try Console().write("---\n") }
      try print(report(path.resolved()))
    }
  }
}

struct WatchOptions: ParsableArguments {
  @Flag(help: "Show it again every two seconds, until interrupted.") var watch = false

  func show(_ shared: SharedOptions, _ report: () throws -> some Presentable) throws {
    guard watch else { return try shared.print(report()) }
    let console = Console()
    while true {
      try console.refresh(shared.renderer(console).render(report()))
      sleep(2)
    }
  }
}

struct WaitOptions: ParsableArguments {
  @Flag(inversion: .prefixedNo, help: "Wait until it has ended (an interrupted wait leaves it running).")
  var wait = true
}

/// A path as typed, any bytes.
struct TypedPath: ExpressibleByArgument {
  let bytes: [UInt8]

  init?(argument: String) { bytes = ArgumentBytes.decode(argument) }

  static var defaultCompletionKind: CompletionKind { .file() }

  func resolved() throws -> AbsolutePath { try NamedPath.resolve(bytes) }
}

/// `2d`, `1h30m`.
struct Span: ExpressibleByArgument {
  let seconds: Int64

  init?(argument: String) {
    guard let duration = try? Duration(unitText: argument), duration > .zero else { return nil }
    seconds = duration.components.seconds
  }
}

/// The files that a restore or release is about.
struct FileSelection: ParsableArguments {
  @Argument(help: "Files; a directory stands for all below it.") var paths: [TypedPath] = []

  @Option(
    help: ArgumentHelp("All files of this policy instead.", valueName: "policy"),
    completion: .custom { _, _, _ in PolicyNames.known })
  var app: String?

  func validate() throws {
    guard paths.isEmpty != (app == nil) else {
      throw ValidationError(
        app == nil ? "name files, or a policy with --app" : "give paths or --app, not both")
    }
  }

  func resolved() throws -> [AbsolutePath]? { app == nil ? try paths.map { try $0.resolved() } : nil }
}

struct PathList: ParsableArguments {
  @Argument(help: "Files; a directory stands for all below it.") var paths: [TypedPath]

  func resolved() throws -> [AbsolutePath] { try paths.map { try $0.resolved() } }
}

enum PolicyNames {
  /// For completion: nothing where the daemon isn't there.
  static var known: [String] {
    let client = ControlClient(socket: SharedOptions.socketPath(nil), timeout: .seconds(5))
    return (try? client.policies().policies.map(\.name)) ?? []
  }
}
