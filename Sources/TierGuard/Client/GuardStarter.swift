import CTierLinux
import Glibc
import TierCore
import TierLinux

/// Finds the guard, and starts one where none is and nobody else does.
struct GuardStarter: Sendable {
  let socket: String
  let program: String?
  /// So long a supervisor is given to start one.
  let patience: Duration

  /// Nil: nobody listens (yet).
  func connect() throws(SyscallError) -> PacketSocket? {
    do throws(SyscallError) {
      return try PacketSocket.connect(to: socket)
    } catch {
      guard [ENOENT, ECONNREFUSED, EAGAIN].contains(error.errno) else { throw error }
      return nil
    }
  }

  /// In a session of its own and no child of ours: it goes on when tierd ends. It ends by itself where another one
  /// was quicker. What it has to say goes where this process's errors go.
  func start() throws(SyscallError) {
    guard let program else { return }
    let own = strdup(program)!
    var arguments = [own, strdup(socket), nil]
    var environment: [UnsafeMutablePointer<CChar>?] = [nil]
    defer { for argument in arguments { free(argument) } }
    let result = arguments.withUnsafeMutableBufferPointer { arguments in
      environment.withUnsafeMutableBufferPointer { environment in
        var command = tier_command(
          program: own, arguments: arguments.baseAddress, environment: environment.baseAddress,
          directory: nil,
          output: 2, errors: 2)
        return tier_spawn_detached(&command)
      }
    }
    guard result == 0 else { throw SyscallError(call: "exec", path: program, errno: -result) }
  }
}
