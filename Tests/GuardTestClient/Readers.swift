import Glibc
import Synchronization
import TierCore
import TierGuardSupport
import TierLinux
import TierTestSupport

/// Many readers of files with known content, each in a thread of its own.
struct Readers {
  /// What became of all opens together. Printed as one line.
  private struct Outcomes {
    var whole = 0
    /// EAGAIN and EPERM: try again.
    var refused = 0
    /// EIO, above all.
    var failed = 0
    var wrong = 0
    var slowest = Duration.zero
    /// The quickest of those that failed.
    var firstFailure = Duration.seconds(9999)

    var line: String {
      "\(whole) \(refused) \(failed) \(wrong) \(slowest.nanoseconds / 1_000_000) \(firstFailure.nanoseconds / 1_000_000)"
    }
  }

  private let folder: String
  private let names: [String]
  private let contents: [String: KnownContent]
  private let outcomes = Shared()
  private let clock = SystemClock()

  private final class Shared: Sendable {
    let value = Mutex(Outcomes())
  }

  /// Of the files in `folder` whose name ends in their size.
  init(of folder: String) {
    self.folder = folder
    var names: [String] = []
    if let directory = opendir(folder) {
      while let entry = readdir(directory) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) {
          $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        if KnownContent.size(of: name) != nil { names.append(name) }
      }
      closedir(directory)
    }
    self.names = names.sorted()
    contents = Dictionary(uniqueKeysWithValues: names.map { ($0, KnownContent(of: $0)) })
  }

  /// `each`: so many files for each reader, in its own order; those of several readers overlap.
  func run(count: Int, each: Int, seed: UInt64) -> String {
    let threads = (0..<count).map { number in
      OwnedThread(name: "reader", stackBytes: 256 << 10) {
        var random = SplitMix(state: seed &* 1000 &+ UInt64(number))
        for name in names.shuffled(using: &random).prefix(each) { read(name) }
      }
    }
    for thread in threads { thread.join() }
    return outcomes.value.withLock(\.line)
  }

  private func read(_ name: String) {
    let begun = clock.monotonic
    let failure = failure(of: name)
    let time = clock.monotonic - begun
    outcomes.value.withLock { outcomes in
      outcomes.slowest = max(outcomes.slowest, time)
      switch failure {
      case 0: outcomes.whole += 1
      case EAGAIN, EPERM: outcomes.refused += 1
      case -1: outcomes.wrong += 1
      default:
        outcomes.failed += 1
        outcomes.firstFailure = min(outcomes.firstFailure, time)
      }
    }
  }

  /// 0, an errno, or -1 for content that isn't the file's.
  private func failure(of name: String) -> Int32 {
    let file = open("\(folder)/\(name)", O_RDONLY)
    guard file >= 0 else { return errno }
    defer { close(file) }
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    var offset = 0
    while true {
      let count = buffer.withUnsafeMutableBytes { Glibc.read(file, $0.baseAddress, $0.count) }
      if count < 0 { return errno }
      if count == 0 { break }
      let isRight = buffer.withUnsafeBytes {
        contents[name]!.matches(UnsafeRawBufferPointer(rebasing: $0[..<count]), at: offset)
      }
      if !isRight { return -1 }
      offset += count
    }
    return offset == KnownContent.size(of: name) ? 0 : -1
  }
}
