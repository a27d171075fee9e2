import Glibc
import Synchronization
import TierGuard
import TierGuardSupport
import TierLinux
import TierTestSupport

/// A client of the guard in a process of its own, to be stopped and killed (`client SOCKET ROOT restore|wait`: says
/// `protected`, then `waits N` as requests come); and an app that does one thing to a file (`mmap FILE` and so on),
/// and prints what it read.
@main enum GuardTestClient {
  static func main() throws {
    let words = CommandLine.arguments
    switch words[1] {
    case "client": try serve(words[2], root: words[3], words[4] == "restore" ? .restore : .wait)
    case "flood": flood(words[2], count: Int(words[3])!)
    case "readers":
      // FOLDER READERS FILES-EACH SEED
      let line = Readers(of: words[2]).run(
        count: Int(words[3])!, each: Int(words[4])!, seed: UInt64(words[5])!)
      put(Array((line + "\n").utf8))
    case "crowd": crowd(words[2], count: Int(words[3])!)
    case "race": Racer.run(Array(words[2...]))
    default: act(words[1], words[2])
    }
  }

  private static func serve(_ socket: String, root: String, _ conduct: Recaller.Conduct) throws {
    let connection = try GuardConnection(
      socket: socket, program: GuardBench.program("tier-guard"), root: root,
      terms: GuardTerms(isShared: false))
    _ = try connection.protect()
    let recaller = Recaller(connection, conduct)
    put(Array("protected\n".utf8))
    var told = 0
    while true {
      let count = recaller.requests.count
      if count > told { put(Array("waits \(count)\n".utf8)) }
      told = count
      pause(atMost: 10_000)
    }
  }

  private static func act(_ action: String, _ path: String) {
    switch action {
    case "read": put(readAll(opened(path, O_RDONLY)))
    case "mmap":
      let file = opened(path, O_RDONLY)
      let size = lseek(file, 0, SEEK_END)
      guard let memory = mmap(nil, Int(size), PROT_READ, MAP_SHARED, file, 0), memory != MAP_FAILED else {
        fail()
      }
      put(Array(UnsafeRawBufferPointer(start: memory, count: Int(size))))
    case "sendfile":
      let file = opened(path, O_RDONLY)
      while true {
        let count = sendfile(STDOUT_FILENO, file, nil, 1 << 16)
        guard count >= 0 else { fail() }
        if count == 0 { break }
      }
    case "nonblocking": put(readAll(opened(path, O_RDONLY | O_NONBLOCK)))
    case "truncating": _ = opened(path, O_WRONLY | O_TRUNC)
    case "append":
      let file = opened(path, O_WRONLY | O_APPEND)
      guard write(file, "more", 4) == 4 else { fail() }
    case "truncate": guard truncate(path, 10) == 0 else { fail() }
    case "seek":
      let file = opened(path, O_RDONLY)
      put(Array("\(lseek(file, 0, 4)) \(lseek(file, 0, SEEK_END))".utf8))  // SEEK_HOLE
    case "reopened": put(readAll(opened("/proc/self/fd/\(opened(path, 0o10000000))", O_RDONLY)))
    case "path": _ = opened(path, 0o10000000)  // O_PATH
    case "write-mapped":
      let memory = mapped(path, O_RDWR, PROT_READ | PROT_WRITE)
      memcpy(memory, "MAPPED", 6)
      guard msync(memory, 4096, MS_SYNC) == 0 else { fail() }
    case "hold-mapped":
      _ = mapped(path, O_RDONLY, PROT_READ)
      put(Array("open\n".utf8))
      while true { pause(atMost: 100_000) }
    default: exit(64)
    }
  }

  /// Its descriptor is closed.
  private static func mapped(_ path: String, _ flags: Int32, _ protection: Int32) -> UnsafeMutableRawPointer {
    let file = opened(path, flags)
    defer { close(file) }
    guard let memory = mmap(nil, 4096, protection, MAP_SHARED, file, 0), memory != MAP_FAILED else { fail() }
    return memory
  }

  /// Opens and reads `path` in `count` threads at once, and prints how many got its content, EAGAIN, anything else.
  private static func crowd(_ path: String, count: Int) {
    let outcomes = Mutex((whole: 0, refused: 0, other: 0))
    let threads = (0..<count).map { _ in
      OwnedThread(name: "crowd", stackBytes: 64 << 10) {
        let file = open(path, O_RDONLY)
        let isRefused = file < 0 && errno == EAGAIN
        let bytes = file < 0 ? [] : readAll(file)
        let content = Placeholder.content(of: Placeholder.name(path), size: bytes.count)
        outcomes.withLock { outcomes in
          if isRefused {
            outcomes.refused += 1
          } else if !bytes.isEmpty, bytes == content {
            outcomes.whole += 1
          } else {
            outcomes.other += 1
          }
        }
      }
    }
    for thread in threads { thread.join() }
    put(outcomes.withLock { Array("\($0.whole) \($0.refused) \($0.other)".utf8) })
  }

  /// Opens each of `path`0, `path`1 … once, from many threads, and prints how many failed.
  private static func flood(_ path: String, count: Int) {
    let failures = (0..<50).map { part in
      let failed = Failures()
      let thread = OwnedThread(name: "flood", stackBytes: 64 << 10) {
        for number in stride(from: part, to: count, by: 50) {
          let file = open("\(path)\(number)", O_RDONLY)
          if file < 0 { failed.count += 1 } else { close(file) }
        }
      }
      return (failed, thread)
    }
    for (_, thread) in failures { thread.join() }
    put(Array("\(failures.reduce(0) { $0 + $1.0.count }) failed".utf8))
  }

  /// Each is one thread's until that is joined.
  private final class Failures: @unchecked Sendable {
    var count = 0
  }

  private static func opened(_ path: String, _ flags: Int32) -> Int32 {
    let file = open(path, flags)
    guard file >= 0 else { fail() }
    return file
  }

  private static func readAll(_ file: Int32) -> [UInt8] {
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = read(file, &piece, piece.count)
      guard count >= 0 else { fail() }
      if count == 0 { return bytes }
      bytes += piece[..<count]
    }
  }

  /// The errno is the exit status.
  private static func fail() -> Never { exit(errno) }

  private static func put(_ bytes: [UInt8]) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress, $0.count) }
      guard count > 0 else { exit(1) }
      rest = rest.dropFirst(count)
    }
  }
}
