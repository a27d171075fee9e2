import Glibc
import TierLinux

/// A line of `/proc/<pid>/status` such as `VmRSS` or `VmHWM`, in bytes.
func memoryBytes(_ field: String, of pid: String = "self") throws -> Int {
  let text = String(decoding: try bytes(ofFile: "/proc/\(pid)/status"), as: UTF8.self)
  let line = text.split(separator: "\n").first { $0.hasPrefix(field + ":") }
  guard let kibibytes = line?.split(whereSeparator: { !$0.isNumber }).first.flatMap({ Int($0) }) else {
    throw UsageError(description: "no \(field) in /proc/\(pid)/status")
  }
  return kibibytes << 10
}

/// The same in MiB, for tables.
func memoryText(_ field: String, of pid: String = "self") throws -> String {
  mebibytes(try memoryBytes(field, of: pid))
}

func mebibytes(_ bytes: Int) -> String { "\((Double(bytes) / 104857.6).rounded() / 10) MiB" }

/// Of the kernel's own small files.
func bytes(ofFile path: String) throws -> [UInt8] {
  let descriptor = open(path, O_RDONLY)
  guard descriptor >= 0 else { throw SyscallFailure(description: "\(path): \(errnoText(errno))") }
  defer { close(descriptor) }
  var bytes = [UInt8](repeating: 0, count: 64 << 10)
  let count = read(descriptor, &bytes, bytes.count)
  return Array(bytes[..<max(0, count)])
}

struct SyscallFailure: Error, CustomStringConvertible {
  var description: String
}

/// Where the figures come from: they mean little without it.
enum MachineText {
  static var current: String {
    let processor = line(in: "/proc/cpuinfo", "model name") ?? "unknown processor"
    let count = sysconf(Int32(_SC_NPROCESSORS_ONLN))
    let pages = sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE))
    var system = utsname()
    uname(&system)
    let release = withUnsafeBytes(of: &system.release) {
      String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
    }
    let load = String(
      decoding: (try? bytes(ofFile: "/proc/loadavg").prefix { $0 != 10 }) ?? [], as: UTF8.self)
    #if DEBUG
      let build = "DEBUG BUILD: no figure below means anything"
    #else
      let build = "release build"
    #endif
    return "\(count) × \(processor), \(pages >> 30) GiB, Linux \(release), load \(load), \(build)"
  }

  private static func line(in path: String, _ key: String) -> String? {
    guard let text = try? bytes(ofFile: path) else { return nil }
    let line = String(decoding: text, as: UTF8.self).split(separator: "\n").first { $0.hasPrefix(key) }
    return line?.split(separator: ":").last.map { String($0.drop { $0 == " " }) }
  }
}
