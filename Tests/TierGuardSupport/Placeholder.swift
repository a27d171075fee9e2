import CTierLinux
import Glibc
import TierCore
import TierLinux
import TierTestSupport

/// Placeholders as a release leaves them, whose content follows from their name: no byte of it is 0.
package enum Placeholder {
  package static func content(of name: String, size: Int) -> [UInt8] {
    if name == "program" { return program }
    var random = SplitMix(state: name.utf8.reduce(7) { $0 &* 31 &+ UInt64($1) })
    return (0..<size).map { _ in UInt8.random(in: 1...255, using: &random) }
  }

  /// One that runs.
  package static let program = (try? SmallFile.read("/bin/echo", limit: 1 << 20)) ?? []

  /// A regular file of full size without content, whose identity says `state`.
  package static func make(_ path: String, size: Int, state: IdentityState = .released) throws {
    let file = try open(path, O_RDWR | O_CREAT | O_TRUNC)
    guard ftruncate(file.raw, off_t(size)) == 0 else { throw failure("ftruncate", path) }
    try mark(file, state, size: size)
  }

  /// The same file with its content, archived.
  package static func makeResident(_ path: String, size: Int, marked: Bool = true) throws {
    let file = try open(path, O_RDWR | O_CREAT | O_TRUNC)
    try write(content(of: name(path), size: size), to: file)
    if marked { try mark(file, .archived, size: size) }
  }

  /// What a release does last.
  package static func free(_ file: Descriptor, size: Int) throws {
    guard ftruncate(file.raw, 0) == 0, ftruncate(file.raw, off_t(size)) == 0 else {
      throw failure("ftruncate", "")
    }
    try mark(file, .released, size: size)
  }

  /// What a recall does. `root`: where the file lies directly, if the opener's mount is read-only.
  package static func restore(_ waiting: Descriptor, root: String? = nil) throws {
    let path = "/proc/self/fd/\(waiting.raw)"
    let file: Descriptor
    do { file = try open(path, O_RDWR) } catch let error as SyscallError {
      guard let root, error.errno == EROFS else { throw error }
      file = try open("\(root)/\(name(try link(path)))", O_RDWR)
    }
    var status = stat()
    guard fstat(file.raw, &status) == 0 else { throw failure("fstat", path) }
    try mark(file, .restoring, size: Int(status.st_size))
    try write(content(of: name(try link(path)), size: Int(status.st_size)), to: file)
    try mark(file, .archived, size: Int(status.st_size))
  }

  package static func mark(_ file: Descriptor, _ state: IdentityState, size: Int) throws {
    let time = FileTime(seconds: 1_795_000_000, nanoseconds: 5)
    let copy = ArchivedCopy(
      archiveID: ArchiveID("00112233445566778899aabbccddeeff")!, target: "nas",
      path: RelativePath("photos/cat.jpg")!,
      size: Int64(size), modified: time, hash: ContentHash([UInt8](repeating: 1, count: 32))!,
      archivedAt: Timestamp(seconds: 0), proof: .proven,
      metadata: FileMetadata(mode: 0o644, owner: 0, group: 0, modified: time, accessed: time))
    try mark(file, IdentityRecord(state: state, epoch: Epoch(1), copy: copy).encoded)
  }

  package static func mark(_ file: Descriptor, _ value: [UInt8]) throws {
    let result = tier_set_attribute(file.raw, AttributeNames.identity, value, value.count)
    guard result == 0 else { throw SyscallError(call: "fsetxattr", path: "", errno: -result) }
  }

  package static func open(_ path: String, _ flags: Int32) throws -> Descriptor {
    let number = tier_open(path, flags, 0o755)
    guard number >= 0 else { throw SyscallError(call: "open", path: path, errno: -number) }
    return Descriptor(owning: number)
  }

  private static func write(_ bytes: [UInt8], to file: Descriptor) throws {
    var done = 0
    while done < bytes.count {
      let count = bytes.withUnsafeBytes { buffer in
        // In pieces: a reader that was let through too early would see part of it.
        tier_pwrite(file.raw, buffer.baseAddress! + done, min(4096, bytes.count - done), Int64(done))
      }
      guard count > 0 else { throw SyscallError(call: "pwrite", path: "", errno: Int32(-count)) }
      done += count
    }
  }

  package static func name(_ path: String) -> String {
    let name = path.split(separator: "/").last.map(String.init) ?? ""
    // As the kernel says of a file that has no name any more.
    return name.hasSuffix(" (deleted)") ? String(name.dropLast(10)) : name
  }

  private static func link(_ path: String) throws -> String {
    var text = [UInt8](repeating: 0, count: 4096)
    let length = readlink(path, &text, text.count)
    guard length > 0 else { throw failure("readlink", path) }
    return String(decoding: text[..<length], as: UTF8.self)
  }

  private static func failure(_ call: String, _ path: String) -> SyscallError {
    SyscallError(call: call, path: path, errno: errno)
  }
}

extension Placeholder {
  package static func identity(of file: Descriptor) throws -> [UInt8] {
    var value = [UInt8](repeating: 0, count: 8192)
    let length = tier_get_attribute(file.raw, AttributeNames.identity, &value, value.count)
    guard length >= 0 else { throw SyscallError(call: "fgetxattr", path: "", errno: Int32(-length)) }
    return Array(value[..<length])
  }
}
