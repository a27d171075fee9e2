import Glibc

/// What this machine permits, for tests' `.enabled(if:)`: what can't run is skipped with a reason.
package enum Machine {
  package static let isRoot = geteuid() == 0

  /// Root that may mount, and a loop device driver.
  package static let hasLoopDevices = isRoot && access("/dev/loop-control", R_OK | W_OK) == 0

  package static func has(_ program: String) -> Bool {
    let path = getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin"
    let places = path.split(separator: ":").map(String.init) + ["/usr/sbin", "/sbin"]
    return places.contains { access("\($0)/\(program)", X_OK) == 0 }
  }
}
