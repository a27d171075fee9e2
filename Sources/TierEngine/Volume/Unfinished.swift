import Synchronization
import TierCore

/// Releases and restores that were cut off and can, for now, be neither finished nor undone: a bad sector, a name that
/// can't be given. Only their own files wait; their intents stay in the journal, their hidden files where they are,
/// until an attempt comes through (`LocalRecovery`).
final class Unfinished: Sendable {
  struct Item: Sendable {
    var intent: Intent
    var error: TierError
  }

  private let items = Mutex<[IntentID: Item]>([:])

  /// The oldest first.
  var all: [Item] {
    items.withLock { $0.sorted { $0.key.value < $1.key.value }.map(\.value) }
  }

  var isEmpty: Bool { items.withLock { $0.isEmpty } }

  func first(where isWanted: (Intent) -> Bool) -> Item? { all.first { isWanted($0.intent) } }

  /// False where the same was known.
  func add(_ intent: Intent, _ error: TierError) -> Bool {
    guard let id = intent.id else { return true }
    return items.withLock { items in
      defer { items[id] = Item(intent: intent, error: error) }
      return items[id]?.error != error
    }
  }

  func remove(_ intent: Intent) {
    guard let id = intent.id else { return }
    items.withLock { $0[id] = nil }
  }
}

extension Unfinished.Item {
  /// As the end of a sentence that begins with the file.
  func words(retried interval: Duration) -> String {
    let change =
      switch intent.kind {
      case .release: "release"
      case .restore: "restore"
      case .rename: "stub's renewal"
      case .archive: "archiving"
      }
    let again = HumanText.duration(seconds: interval.components.seconds)
    return
      "its \(change) was cut off and can't be finished: \(error). Nothing is lost: what it had in hand is "
      + "kept in \(Volume.hiddenFolder), and it is tried again every \(again)"
  }
}

extension Volume {
  /// For people: each file that waits, the first few by name.
  package func unfinishedProblems() throws(TierError) -> [String] {
    let items = unfinished.all
    var lines: [String] = []
    for item in items.prefix(3) {
      let path = absolute(try place(of: item.intent))
      lines.append("\(path): \(item.words(retried: tuning.busyRetry))")
    }
    if items.count > 3 { lines.append("\(items.count - 3) more files wait like that: see the log") }
    return lines
  }

  /// Why the hidden name of a copy can't be had: a file that has this copy is being released (it may linger there)
  /// or restored. It need not be the only one that has it: an app copied the stub.
  func obstacleToHiding(_ id: ArchiveID) throws(TierError) -> String? {
    if let item = unfinished.first(where: { $0.archiveID == id && $0.kind != .rename }) {
      return item.words(retried: tuning.busyRetry)
    }
    let isTaken = try catalog.openIntents(withArchiveID: id).contains {
      $0.kind == .release || $0.kind == .restore
    }
    return isTaken ? "it is being released or restored just now: try again in a few seconds" : nil
  }
}
