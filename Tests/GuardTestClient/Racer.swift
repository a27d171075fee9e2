import Glibc
import TierLinux
import TierTestSupport

/// Apps that race with tierd for a few files: each reads, writes over, appends to, replaces and renames them, under the
/// files' own locks, and prints what it did and saw, with the moment at which it held the lock. Whoever sorts the lines
/// of all racers by time knows what each file held at every one of them.
///
/// A file has one of two names, `f3` or `g3`. Its content is lines of 16 bytes, each naming the operation that wrote
/// it. Printed: `TIME r FILE LINE*COUNT,…`, `TIME w FILE LINE COUNT`, `TIME a FILE LINE`, `TIME n FILE`,
/// `TIME e FILE ERRNO`.
struct Racer {
  let folder: String
  /// One that nobody archives: who renames or replaces a file has its lock there.
  let locks: String
  let files: Int

  private static let lineBytes = 16
  private static let patience = Duration.seconds(60)

  static func run(_ words: [String]) {
    let racer = Racer(folder: words[0], locks: words[1], files: Int(words[2])!)
    let seed = UInt64(words[3])!
    let threads = (0..<3).map { number in
      OwnedThread(name: "racer", stackBytes: 256 << 10) {
        var random = SplitMix(state: seed &+ UInt64(number))
        for step in 0..<5 {
          let id = (Int(seed % 1_000_000_000) * 10 + number) * 10 + step
          print(racer.act(id, &random))
        }
      }
    }
    for thread in threads { thread.join() }
  }

  private func act(_ id: Int, _ random: inout SplitMix) -> String {
    let file = Int.random(in: 0..<files, using: &random)
    let count = Int.random(in: 1...2000, using: &random)
    let isMapped = Int.random(in: 0..<4, using: &random) == 0
    let digits = String(id)
    let line = "w" + String(repeating: "0", count: 14 - digits.count) + digits + "\n"
    do throws(Failed) {
      switch Int.random(in: 0..<10, using: &random) {
      case 0..<4: return try read(file, isMapped)
      case 4, 5: return try write(file, line, count, isMapped)
      case 6, 7: return try append(file, line)
      case 8: return try replace(file, line, count)
      default: return try rename(file)
      }
    } catch { return "\(Self.now) e \(file) \(error.number) \(error.call)" }
  }

  private struct Failed: Error {
    let call: String
    let number: Int32
    init(_ call: String) { (self.call, number) = (call, errno) }
  }

  // MARK: Operations

  private func read(_ file: Int, _ isMapped: Bool) throws(Failed) -> String {
    let opened = try open(file, O_RDONLY, LOCK_SH)
    defer { close(opened.number) }
    let time = Self.now
    let bytes = isMapped ? try mapped(opened.number) : try plain(opened.number)
    return "\(time) r \(file) \(Self.summary(bytes))"
  }

  private func write(_ file: Int, _ line: String, _ count: Int, _ isMapped: Bool) throws(Failed) -> String {
    let opened = try open(file, O_RDWR, LOCK_EX)
    defer { close(opened.number) }
    let time = Self.now
    let content = Array(String(repeating: line, count: count).utf8)
    if isMapped {
      guard ftruncate(opened.number, off_t(content.count)) == 0,
        let memory = mmap(nil, content.count, PROT_READ | PROT_WRITE, MAP_SHARED, opened.number, 0),
        memory != MAP_FAILED
      else { throw Failed("mmap") }
      content.withUnsafeBytes { _ = memcpy(memory, $0.baseAddress!, content.count) }
      munmap(memory, content.count)
    } else {
      try put(content, opened.number)
      guard ftruncate(opened.number, off_t(content.count)) == 0 else { throw Failed("ftruncate") }
    }
    return "\(time) w \(file) \(line.dropLast()) \(count)"
  }

  private func append(_ file: Int, _ line: String) throws(Failed) -> String {
    let opened = try open(file, O_WRONLY | O_APPEND, LOCK_EX)
    defer { close(opened.number) }
    let time = Self.now
    guard Glibc.write(opened.number, line, Self.lineBytes) == Self.lineBytes else { throw Failed("write") }
    return "\(time) a \(file) \(line.dropLast())"
  }

  /// As editors do: aside, then renamed over it.
  private func replace(_ file: Int, _ line: String, _ count: Int) throws(Failed) -> String {
    let lock = try sideLock(file)
    defer { close(lock) }
    let aside = "\(folder)/t\(line.dropLast())"
    let new = Glibc.open(aside, O_WRONLY | O_CREAT | O_EXCL, 0o644)
    guard new >= 0 else { throw Failed("create") }
    defer { close(new) }
    try put(Array(String(repeating: line, count: count).utf8), new)
    let opened = try open(file, O_RDONLY, LOCK_EX)
    defer { close(opened.number) }
    let time = Self.now
    guard Glibc.rename(aside, opened.path) == 0 else { throw Failed("rename") }
    return "\(time) w \(file) \(line.dropLast()) \(count)"
  }

  /// Whatever stands there: a stub, too.
  private func rename(_ file: Int) throws(Failed) -> String {
    let lock = try sideLock(file)
    defer { close(lock) }
    let names = names(file)
    guard Glibc.rename(names[0], names[1]) == 0 || Glibc.rename(names[1], names[0]) == 0 else {
      throw Failed("rename")
    }
    return "\(Self.now) n \(file)"
  }

  // MARK: Opening

  private func names(_ file: Int) -> [String] { ["\(folder)/f\(file)", "\(folder)/g\(file)"] }

  private func sideLock(_ file: Int) throws(Failed) -> Int32 {
    let lock = Glibc.open("\(locks)/\(file)", O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    guard lock >= 0, flock(lock, LOCK_EX) == 0 else { throw Failed("lock") }
    return lock
  }

  /// The file that has one of the names while it is locked. A link leads nowhere until tierd brings the file back.
  private func open(_ file: Int, _ flags: Int32, _ lock: Int32) throws(Failed) -> (
    number: Int32, path: String
  ) {
    let end = SystemClock().monotonic + Self.patience
    while SystemClock().monotonic < end {
      for path in names(file) {
        let number = Glibc.open(path, flags | O_CLOEXEC)
        if number < 0 {
          guard errno == ENOENT else { throw Failed("open") }
          continue
        }
        guard flock(number, lock) == 0 else { throw Failed("flock") }
        if let path = names(file).first(where: { isSame(number, $0) }) { return (number, path) }
        close(number)
      }
      pause(atMost: 4000)
    }
    errno = ETIMEDOUT
    throw Failed("open")
  }

  private func isSame(_ number: Int32, _ path: String) -> Bool {
    var (opened, named) = (stat(), stat())
    return fstat(number, &opened) == 0 && lstat(path, &named) == 0 && opened.st_ino == named.st_ino
  }

  // MARK: Bytes

  private func put(_ bytes: [UInt8], _ number: Int32) throws(Failed) {
    guard pwrite(number, bytes, bytes.count, 0) == bytes.count else { throw Failed("pwrite") }
  }

  private func plain(_ number: Int32) throws(Failed) -> [UInt8] {
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 1 << 14)
    while true {
      let count = Glibc.read(number, &piece, piece.count)
      guard count >= 0 else { throw Failed("read") }
      if count == 0 { return bytes }
      bytes += piece[..<count]
    }
  }

  private func mapped(_ number: Int32) throws(Failed) -> [UInt8] {
    let size = Int(lseek(number, 0, SEEK_END))
    if size == 0 { return [] }
    guard let memory = mmap(nil, size, PROT_READ, MAP_SHARED, number, 0), memory != MAP_FAILED else {
      throw Failed("mmap")
    }
    defer { munmap(memory, size) }
    return Array(UnsafeRawBufferPointer(start: memory, count: size))
  }

  /// `w…1*5,w…2*1`. Anything else than whole lines is told as it is.
  private static func summary(_ bytes: [UInt8]) -> String {
    var runs: [(line: ArraySlice<UInt8>, count: Int)] = []
    for start in stride(from: 0, to: bytes.count, by: lineBytes) {
      let line = bytes[start..<min(start + lineBytes, bytes.count)]
      if let last = runs.last, last.line.elementsEqual(line) {
        runs[runs.count - 1].count += 1
      } else {
        runs.append((line, 1))
      }
    }
    return runs.map { run in
      let isWhole = run.line.count == lineBytes && run.line.last == 10 && run.line.first == UInt8(ascii: "w")
      let text = isWhole ? String(decoding: run.line.dropLast(), as: UTF8.self) : "BAD:\(hex(run.line))"
      return "\(text)*\(run.count)"
    }.joined(separator: ",")
  }

  private static func hex(_ bytes: ArraySlice<UInt8>) -> String {
    bytes.map { String($0, radix: 16) }.joined(separator: ".")
  }

  private static var now: Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }
}
