import TierTestSupport

/// What an app of the race did, or saw, while it held the file's lock.
struct RaceEvent {
  enum What: Equatable {
    /// Lines, and how many of each.
    case read([RaceHistory.Run])
    case wrote(RaceHistory.Run)
    case appended(String)
    case renamed
    case failed(String)
  }

  let time: Int64
  let file: Int
  let what: What

  /// As `guard-test-client race` prints it.
  init?(_ text: Substring) {
    let words = text.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
    guard words.count >= 3, let time = Int64(words[0]), let file = Int(words[2]) else { return nil }
    self.time = time
    self.file = file
    switch (words[1], words.count) {
    case ("r", 4):
      what = .read(
        words[3].split(separator: ",").map { run in
          let parts = run.split(separator: "*").map(String.init)
          return RaceHistory.Run(line: parts.first ?? "", count: parts.last.flatMap { Int($0) } ?? 0)
        })
    case ("w", 5): what = .wrote(RaceHistory.Run(line: words[3], count: Int(words[4]) ?? 0))
    case ("a", 4): what = .appended(words[3])
    case ("n", 3): what = .renamed
    case ("e", _): what = .failed(words.dropFirst(3).joined(separator: " "))
    default: return nil
    }
  }
}

/// What each file holds, by what was written to it in the order of its locks.
struct RaceHistory {
  struct Run: Equatable {
    var line: String
    var count: Int
  }

  static let firstLine = "w00000000000000"
  private var contents: [[Run]]

  init(files: Int) { contents = Array(repeating: [Run(line: Self.firstLine, count: 500)], count: files) }

  func content(of file: Int) -> String {
    contents[file].map { String(repeating: $0.line + "\n", count: $0.count) }.joined()
  }

  mutating func take(_ events: [RaceEvent]) throws {
    for event in events.sorted(by: { $0.time < $1.time }) {
      switch event.what {
      case .read(let runs):
        guard runs == contents[event.file] else {
          throw Broken(description: "file \(event.file) read \(runs), and held \(contents[event.file])")
        }
      case .wrote(let run): contents[event.file] = [run]
      case .appended(let line): contents[event.file].append(Run(line: line, count: 1))
      case .renamed: break
      case .failed(let error):
        throw Broken(description: "an app's call on file \(event.file) failed: \(error)")
      }
    }
  }
}
