import CTierLinux
import Glibc
import Synchronization
import TierCore
import TierLinux

/// The guard as a whole: takes connections on a socket until it is told to end.
package final class GuardServer: Sendable {
  /// Not in tierd's directory, which systemd removes when tierd is stopped.
  package static let defaultSocket = "/run/tierd-guard/guard.sock"

  /// One for each volume of a node, and those that come before old ones have ended.
  private static let linksMax = 128

  private let socketPath: String
  let surroundings: GuardSurroundings
  let fileSystems: GuardedFileSystems
  private let listener: Descriptor
  /// Locked as long as this process lives: nobody else listens there.
  private let lock: Descriptor
  private let links = Atomic(0)

  /// Binds the socket; its directory is made with mode 0700 where it is missing. `.fileBusy`: another guard has it.
  /// `memory`: a directory that outlives the machine's restart, for what is to be guarded after that.
  package init(socketPath: String, memory: String?) throws(TierError) {
    self.socketPath = socketPath
    let memory = try memory.map { (path) throws(TierError) in try GuardMemory(directory: path) }
    let descriptors = tier_raise_descriptor_limit(GuardSurroundings.descriptorsMax)
    do throws(SyscallError) {
      surroundings = try GuardSurroundings(descriptors: descriptors, memory: memory)
      lock = try Self.lock(socketPath).raised(to: surroundings.numbers.ownLowest)
      listener = try Self.listen(socketPath).raised(to: surroundings.numbers.ownLowest)
    } catch {
      throw Self.explained(error, socketPath)
    }
    fileSystems = GuardedFileSystems(surroundings)
  }

  /// Serves until the process ends.
  package func start() -> [OwnedThread] {
    [
      surroundings.log.start(),
      OwnedThread(name: "guard listener", stackBytes: 256 << 10) { [self] in accept() },
    ]
  }

  /// Before an exit that was asked for: the file systems that would be unguarded by it, and whose waiting openers
  /// would be let through.
  package var lostByExit: [String] { fileSystems.withoutClient }

  package func log(_ line: String) {
    surroundings.log.write(line)
    surroundings.log.flush()
  }

  private func accept() {
    while true {
      var poll = pollfd(fd: listener.raw, events: Int16(POLLIN), revents: 0)
      guard tier_poll(&poll, 1, -1) > 0 else { continue }
      let number = tier_accept(listener.raw)
      guard number >= 0 else {
        // Out of descriptors or memory: not for long, and nothing is lost.
        if number != -EAGAIN { surroundings.log.write("accept: \(errnoText(-number))") }
        _ = tier_poll(nil, 0, 10_000_000)
        continue
      }
      serve(Descriptor(owning: number))
    }
  }

  private func serve(_ connection: Descriptor) {
    var (pid, user) = (Int32(0), UInt32.max)
    guard tier_peer(connection.raw, &pid, &user) == 0, user == 0 || user == geteuid() else {
      return surroundings.log.write("a connection of user \(user) was refused")
    }
    guard links.load(ordering: .relaxed) < Self.linksMax else {
      return surroundings.log.write("a connection of pid \(pid) was refused: \(Self.linksMax) are open")
    }
    do throws(SyscallError) {
      let socket = PacketSocket(try connection.raised(to: surroundings.numbers.ownLowest))
      connection.close()
      let link = try GuardLink(socket, pid: pid, fileSystems, surroundings)
      links.add(1, ordering: .relaxed)
      _ = OwnedThread(name: "guard link", stackBytes: 512 << 10) { [links = self] in
        link.run()
        links.links.subtract(1, ordering: .relaxed)
      }
    } catch {
      surroundings.log.write("a connection of pid \(pid) failed: \(error.call): \(errnoText(error.errno))")
    }
  }

  private static func lock(_ path: String) throws(SyscallError) -> Descriptor {
    let directory = path.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(
      separator: "/")
    if !directory.isEmpty {
      let made = tier_make_directory(AT_FDCWD, directory, 0o700)
      guard made == 0 || made == -EEXIST else {
        throw SyscallError(call: "mkdir", path: directory, errno: -made)
      }
    }
    let number = tier_open(path + ".lock", O_RDWR | O_CREAT, 0o600)
    guard number >= 0 else { throw SyscallError(call: "open", path: path + ".lock", errno: -number) }
    let lock = Descriptor(owning: number)
    let result = tier_lock(number)
    guard result == 0 else { throw SyscallError(call: "flock", path: path + ".lock", errno: -result) }
    return lock
  }

  private static func listen(_ path: String) throws(SyscallError) -> Descriptor {
    var status = tier_status()
    // A guard that has ended left it; anything else at this name isn't ours.
    if tier_statx(AT_FDCWD, path, &status) == 0 {
      guard status.mode & UInt32(S_IFMT) == UInt32(S_IFSOCK) else {
        throw SyscallError(call: "bind", path: path, errno: EADDRINUSE)
      }
      _ = tier_unlink(AT_FDCWD, path, 0)
    }
    let number = tier_listen_packets(path)
    guard number >= 0 else { throw SyscallError(call: "bind", path: path, errno: -number) }
    return Descriptor(owning: number)
  }

  private static func explained(_ error: SyscallError, _ path: String) -> TierError {
    switch error.errno {
    case EWOULDBLOCK where error.call == "flock":
      TierError(.fileBusy, "another tier-guard serves this socket", path: path, disposition: .retry)
    case EADDRINUSE: TierError(.badConfiguration, "there is a file that is no socket: remove it", path: path)
    case ENAMETOOLONG, EINVAL: TierError(.badConfiguration, "a socket's path has 1 to 107 bytes", path: path)
    default: TierError(error)
    }
  }
}
