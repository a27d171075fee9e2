import Glibc
import Synchronization
import TierCore
import TierLinux

/// A program in another process, as apps are, that runs while the test goes on. It is killed with its last reference.
package final class App: Sendable {
  private final class Shared: Sendable {
    struct Value {
      var pid: Int32 = 0
      var lines: [String] = []
      var result: Result<ChildResult, SyscallError>?
      var isStopping = false
    }
    let value = Mutex(Value())
  }

  private let shared: Shared
  private let thread: OwnedThread
  private static let path = ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"]

  package init(_ program: String, _ arguments: [String], keptBytes: Int = 1 << 20) {
    let shared = Shared()
    self.shared = shared
    thread = OwnedThread(name: "app") {
      let command = ChildCommand(program, arguments, environment: Self.path)
      let result = Result { () throws(SyscallError) in
        let child = try ChildProcess(command, keptBytes: keptBytes)
        shared.value.withLock { $0.pid = child.pid }
        return child.wait(
          deadline: .seconds(120), checkInterval: .milliseconds(10),
          shouldStop: { shared.value.withLock(\.isStopping) },
          onLine: { _, line in
            shared.value.withLock { $0.lines.append(String(decoding: line.prefix(200), as: UTF8.self)) }
          })
      }
      shared.value.withLock { $0.result = result }
    }
  }

  /// `script` is the shell's, `$1` and on its arguments.
  package convenience init(script: String, _ arguments: String...) {
    self.init("/bin/sh", ["-c", script, "app"] + arguments)
  }

  /// One of guard-test-client's actions.
  package convenience init(_ action: String, on path: String, _ more: String...) {
    self.init(GuardBench.program("guard-test-client"), [action, path] + more)
  }

  package convenience init(reading path: String) { self.init("/bin/cat", [path]) }

  package var pid: Int32 { shared.value.withLock(\.pid) }
  package var lines: [String] { shared.value.withLock(\.lines) }
  package var hasEnded: Bool { shared.value.withLock { $0.result != nil } }

  /// Held by the guard, or by the kernel on its behalf.
  package var isBlocked: Bool {
    let pid = pid
    guard pid > 0, !hasEnded, let text = try? SmallFile.read("/proc/\(pid)/stat", limit: 4096) else {
      return false
    }
    let state = String(decoding: text, as: UTF8.self).split(separator: ")").last?.split(separator: " ").first
    return state == "D"
  }

  package func stop() {
    shared.value.withLock { $0.isStopping = true }
    thread.join()
  }

  /// Waits for the end.
  package func result() throws -> ChildResult {
    thread.join()
    return try shared.value.withLock { try $0.result!.get() }
  }

  deinit {
    shared.value.withLock { $0.isStopping = true }
    thread.join()
  }
}
