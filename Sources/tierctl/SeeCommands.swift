import ArgumentParser
import TierAPI
import TierConsole

struct Status: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show volumes, targets, what waits and what is wrong.",
    discussion: """
      The first line answers whether everything is on its target.

      Examples:
        tierctl status
        tierctl status --watch
        tierctl status -o json
      """)

  @OptionGroup var shared: SharedOptions
  @OptionGroup var watching: WatchOptions

  func run() throws { try watching.show(shared) { try shared.client.status() } }
}

struct List: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ls",
    abstract: "List files with their state and size, released ones with the size that they have.",
    discussion: """
      The NAS is not asked. Names are shown as escaped text: \\xNN is a byte that can't be printed.

      Examples:
        tierctl ls
        tierctl ls -R --state released /srv/cache/photos
        tierctl ls -o wide /srv/cache/photos
      """)

  @OptionGroup var shared: SharedOptions

  @Flag(name: [.customShort("R"), .long], help: "Everything below, not only what is directly in it.")
  var recursive = false

  @Option(help: "Only files in this state.") var state: FileEntry.State?

  @Flag(help: "Only files whose copy on the target is missing or wrong.") var lost = false

  @Argument(help: "Files or directories.") var paths: [TypedPath] = []

  func run() throws {
    let console = Console()
    let places = try (paths.isEmpty ? [TypedPath(argument: ".")!] : paths).map { try $0.resolved() }
    var listing: FileListing?
    for place in places {
      var after: String?
      repeat {
        let page = try shared.client.files(in: place, recursive: recursive, after: after, limit: 1000)
        var shown =
          listing
          ?? FileListing(
            renderer: shared.renderer(console), now: page.now, base: places.count == 1 ? place : nil)
        try console.write(shown.page(page.entries.filter(isWanted)))
        listing = shown
        after = page.next
      } while after != nil
    }
    if let listing { try console.write(listing.end()) }
  }

  private func isWanted(_ entry: FileEntry) -> Bool {
    (!lost || entry.isLost) && (state == nil || state == entry.state && entry.kind != .directory)
  }
}

extension FileEntry.State: ExpressibleByArgument {}

struct Usage: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "du",
    abstract: "Sum up what is in the cache and what was released.",
    discussion: """
      A line for each directory directly below, and one for all.

      Example:
        tierctl du /srv/cache/photos
      """)

  @OptionGroup var shared: SharedOptions
  @Argument(help: "Directories.") var paths: [TypedPath] = []

  func run() throws {
    try shared.print(paths.isEmpty ? [TypedPath(argument: ".")!] : paths) { try shared.client.usage(of: $0) }
  }
}

struct Why: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Say why a file is where it is, and what happens next.",
    discussion: """
      The state, the policy and rule that decide, what comes next and when, and what blocks it.

      Example:
        tierctl why /srv/cache/photos/2026/IMG_0001.jpg
      """)

  @OptionGroup var shared: SharedOptions
  @Argument(help: "Files.") var paths: [TypedPath]

  func run() throws { try shared.print(paths) { try shared.client.why($0) } }
}

struct Windows: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "List the windows: when the NAS was talked to, why and for what.",
    discussion: """
      Examples:
        tierctl windows
        tierctl windows --target nas --limit 100 -o wide
      """)

  @OptionGroup var shared: SharedOptions
  @OptionGroup var watching: WatchOptions
  @Option(help: "Only this target's.") var target: String?
  @Option(help: "At most so many, the newest first (1 to 1000).") var limit = 20

  func validate() throws {
    guard (1...1000).contains(limit) else { throw ValidationError("--limit is 1 to 1000") }
  }

  func run() throws {
    try watching.show(shared) { try shared.client.windows(target: target, limit: limit) }
  }
}
