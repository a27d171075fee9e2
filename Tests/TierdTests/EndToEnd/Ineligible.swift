import Glibc
import Testing
import TierCore
import TierLinux
import TierTestSupport

/// One of each kind of thing that tierd leaves alone, and the sentence that `tierctl why` says of it.
final class Ineligible {
  private(set) var sentences: [RelativePath: String] = [:]
  /// What a window tries and can't have.
  let attempted: Set<RelativePath> = ["kept/open-for-writing", "kept/mapped"]
  /// Archived, but not released.
  let archived: Set<RelativePath> = ["kept/open-for-reading"]
  private let root: String
  private var descriptors: [Int32] = []
  private var mapping: UnsafeMutableRawPointer?

  init(in root: String) throws {
    self.root = root
    let files = try LinuxFileSystem(root: root)
    func file(_ path: RelativePath, _ sentence: String) throws {
      try files.put(path, "content of \(path)")
      sentences[path] = sentence
    }

    let linked = "It has 2 hard links; tierd would break them apart, so it stays as it is until one is left."
    try file("kept/linked", linked)
    try made("kept/linked too", linked) { link("\(root)/kept/linked", $0) }
    try made("kept/pipe", Self.special("named pipe")) { mkfifo($0, 0o640) }
    try made("kept/socket", Self.special("socket"), Self.bindSocket)
    try made("kept/device", Self.special("device")) { mknod($0, S_IFCHR | 0o600, 0x0103) }
    let ownLink = "It is a symbolic link of its own, not a stub of tierd's; links stay in the cache."
    try made("kept/link", ownLink) { symlink("../tree/group0", $0) }
    try made("kept/forged stub", ownLink) { symlink(Self.forgedStub, $0) }
    try made(
      "kept/empty folder", "It is a directory; tierd moves files only and keeps directories, empty ones too."
    ) { mkdir($0, 0o750) }
    try file("kept/excluded/file", "Stays in the cache: policy \"kept\" excludes it by \"excluded/\".")
    try file(
      "kept/download.part", "Stays in the cache: a temporary file by its name (built-in pattern \"*.part\")")
    try file("kept/.nfs000000000000000000000001", "Never touched: a name of the system's or tierd's own")
    try file("nobodys/file", "Stays in the cache: none of the volume's 4 policies is for this path.")
    try file("young/file", "It may be archived in 24 h and will be in 2 d at the latest.")

    let busy = "The last attempt came to nothing: a process has it open for writing, tried again in "
    try file("kept/open-for-writing", busy)
    descriptors.append(open("\(root)/kept/open-for-writing", O_WRONLY | O_APPEND | O_CLOEXEC))
    try file("kept/mapped", busy)
    let mapped = open("\(root)/kept/mapped", O_RDWR | O_CLOEXEC)
    mapping = mmap(nil, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, mapped, 0)
    Glibc.close(mapped)
    try file("kept/open-for-reading", "A later window must find that copy unharmed")
    descriptors.append(open("\(root)/kept/open-for-reading", O_RDONLY | O_CLOEXEC))
    guard !descriptors.contains(-1), mapping != MAP_FAILED else { throw NeverHappened(description: "open") }
  }

  deinit {
    for descriptor in descriptors { Glibc.close(descriptor) }
    if let mapping { munmap(mapping, 4096) }
  }

  func expectSentences(from site: Site) throws {
    for (path, sentence) in sentences {
      let why = try site.tierctl("why", on: path.description)
      #expect(why.status == 0 && why.output.contains("\n  " + sentence), "\(why.output)")
    }
  }

  private func made(_ path: RelativePath, _ sentence: String, _ make: (String) -> Int32) throws {
    guard make("\(root)/\(path)") == 0 else {
      throw SyscallError(call: "make", path: path.description, errno: errno)
    }
    sentences[path] = sentence
  }

  private static func special(_ kind: String) -> String {
    "It is a \(kind), which stays in the cache for ever: only regular files are archived."
  }

  private static let forgedStub = "tierd:nas/vol/tree/group0/-rf#00112233445566778899aabbccddeeff"

  private static func bindSocket(_ path: String) -> Int32 {
    let socket = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    defer { Glibc.close(socket) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    guard path.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else {
      errno = ENAMETOOLONG
      return -1
    }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    return withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
  }
}
