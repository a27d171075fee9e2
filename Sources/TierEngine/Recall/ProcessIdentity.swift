import TierCore
import TierLinux

/// Who opens a file, as the kernel says; nothing that the process could say of itself but its name.
struct ProcessIdentity: CustomStringConvertible {
  let pid: Int32
  /// At most 15 bytes.
  let name: [UInt8]
  /// Its place in the unified hierarchy; empty where there is none.
  let cgroup: [UInt8]

  /// What has ended, or is in another process name space, has no name.
  init(_ pid: Int32) {
    self.pid = pid
    name = Self.read("/proc/\(pid)/comm").filter { $0 != UInt8(ascii: "\n") }
    let groups = Self.read("/proc/\(pid)/cgroup").split(separator: UInt8(ascii: "\n"))
    let unified = groups.first { $0.starts(with: "0::".utf8) }
    cgroup = unified.map { Array($0.dropFirst(3)) } ?? []
  }

  var description: String {
    name.isEmpty ? "pid \(pid)" : "\(EscapedText.encode(name)) (pid \(pid))"
  }

  private static func read(_ path: String) -> [UInt8] { (try? SmallFile.read(path, limit: 4096)) ?? [] }
}
