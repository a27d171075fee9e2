import ArgumentParser
import TierAPI
import TierConsole

struct Flush: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Archive now what is waiting, without regard to its deadline.",
    discussion: """
      Opens a window and archives what is governed by a policy and changed, however young; everything else that \
      waits for the same NAS rides along. Files that are open for writing stay.

      Examples:
        tierctl flush
        tierctl flush --app photos --wait
        tierctl flush /srv/cache/photos/2026
      """)

  @OptionGroup var shared: SharedOptions

  @Option(
    help: ArgumentHelp("Only this policy's files.", valueName: "policy"),
    completion: .custom { _, _, _ in PolicyNames.known })
  var app: String?

  @Option(help: ArgumentHelp("Only this volume's files.", valueName: "name")) var volume: String?
  @Argument(help: "Only these files; a directory stands for all below it.") var paths: [TypedPath] = []
  @Flag(help: "Wait until it has ended (an interrupted wait leaves it running).") var wait = false

  func validate() throws {
    guard [app != nil, volume != nil, !paths.isEmpty].count(where: { $0 }) <= 1 else {
      throw ValidationError("give one of --app, --volume and paths")
    }
  }

  func run() throws {
    let named = paths.isEmpty ? nil : try paths.map { try $0.resolved() }
    let client = shared.client
    let request = try client.flush(FlushBody(policy: app, volume: volume, paths: named))
    try RequestFollower(client: client, shared: shared).finish(request, wait: wait)
  }
}

struct Restore: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Bring released files back into the cache.",
    discussion: """
      Wakes the NAS if it sleeps. No reader ever sees a partial file.

      Examples:
        tierctl restore /srv/cache/photos/2026
        tierctl restore --plan /srv/cache/photos/2026
        tierctl restore --app photos --pin 2d
      """)

  @OptionGroup var shared: SharedOptions
  @OptionGroup var selection: FileSelection
  @OptionGroup var waiting: WaitOptions

  @Flag(name: [.customLong("plan"), .customLong("dry-run")], help: "Say what would be done; do nothing.")
  var plan = false

  @Option(
    name: .customLong("pin"),
    help: ArgumentHelp("Keep them in the cache so long: 90s, 4h, 2d, 1w.", valueName: "time"))
  var pin: Span?

  func run() throws {
    let client = shared.client
    let body = RestoreBody(
      paths: try selection.resolved(), policy: selection.app, planOnly: plan, pinSeconds: pin?.seconds)
    try RequestFollower(client: client, shared: shared).finish(client.restore(body), wait: waiting.wait)
  }
}

struct Release: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Free the cache's space of files that are safe on the NAS.",
    discussion: """
      A link with the file's name stays. Only what is archived, unchanged and proven goes, and not what its policy \
      keeps in the cache.

      Examples:
        tierctl release --plan /srv/cache/photos/2019
        tierctl release /srv/cache/photos/2019
      """)

  @OptionGroup var shared: SharedOptions
  @OptionGroup var selection: FileSelection
  @OptionGroup var waiting: WaitOptions

  @Flag(name: [.customLong("plan"), .customLong("dry-run")], help: "Say what would be done; do nothing.")
  var plan = false

  func run() throws {
    let client = shared.client
    let body = ReleaseBody(paths: try selection.resolved(), policy: selection.app, planOnly: plan)
    try RequestFollower(client: client, shared: shared).finish(client.release(body), wait: waiting.wait)
  }
}

struct Pin: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Keep files in the cache.",
    discussion: """
      They are archived as ever, but not released. Released files are not brought back: see restore --pin.

      Examples:
        tierctl pin /srv/cache/photos/2026
        tierctl pin --for 2d /srv/cache/photos/2026
      """)

  @OptionGroup var shared: SharedOptions
  @OptionGroup var list: PathList

  @Option(
    name: .customLong("for"),
    help: ArgumentHelp("So long: 90s, 4h, 2d, 1w (default: until unpinned).", valueName: "time"))
  var span: Span?

  func run() throws {
    try shared.print(try shared.client.pin(PinBody(paths: list.resolved(), untilSeconds: span?.seconds)))
  }
}

struct Unpin: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Let pinned files be released again.",
    discussion: "Example:\n  tierctl unpin /srv/cache/photos/2026")

  @OptionGroup var shared: SharedOptions
  @OptionGroup var list: PathList

  func run() throws { try shared.print(try shared.client.unpin(PathsBody(paths: list.resolved()))) }
}

struct Undelete: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Bring deleted files back from the NAS's trash.",
    discussion: """
      The trash keeps what apps deleted or replaced for the policy's keepDeleted.

      Examples:
        tierctl undelete --list /srv/cache/photos
        tierctl undelete /srv/cache/photos/2026/IMG_0001.jpg
      """)

  @OptionGroup var shared: SharedOptions
  @OptionGroup var waiting: WaitOptions
  @Flag(help: "Only show what could be brought back.") var list = false
  @Argument(help: "A deleted file, or the directory that it was in.") var path: TypedPath

  func run() throws {
    let client = shared.client
    let report = try client.undelete(UndeleteBody(path: path.resolved(), listOnly: list))
    if !list, report.removed.isEmpty {
      Console().error(
        "\(try path.resolved()): nothing that was deleted there is kept in the NAS's trash")
      throw ExitCode(ExitStatus.failed.rawValue)
    }
    guard let request = report.request else { return try shared.print(report) }
    try RequestFollower(client: client, shared: shared).finish(request, wait: waiting.wait)
  }
}
