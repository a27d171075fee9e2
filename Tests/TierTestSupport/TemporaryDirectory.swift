import Glibc
import TierCore
import TierLinux

/// A fresh directory, removed with everything in it when the last reference goes.
package final class TemporaryDirectory: Sendable {
  package let path: String
  private let isBorrowed: Bool

  /// `parent` chooses the file system.
  package init(in parent: String? = nil) throws {
    var template = Array("\(parent ?? Self.base)/tierd-test-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else {
      throw SyscallError(call: "mkdtemp", path: parent ?? Self.base, errno: errno)
    }
    isBorrowed = false
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// One that is another process's to remove.
  package init(borrowing path: String) {
    self.path = path
    isBorrowed = true
  }

  /// The directory as a volume.
  package func fileSystem() throws -> LinuxFileSystem { try LinuxFileSystem(root: path) }

  package func path(_ name: String) -> String { "\(path)/\(name)" }

  deinit {
    guard !isBorrowed else { return }
    // One file system: what a test mounted below and forgot is not emptied.
    let remove = ChildCommand("/bin/rm", ["-rf", "--one-file-system", path])
    _ = try? ChildProcess.run(remove, deadline: .seconds(60))
  }

  private static var base: String { getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp" }
}
