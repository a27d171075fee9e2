import CTierLinux
import Glibc
import Synchronization
import TierCore
import TierLinux

/// One client's connection, with a thread of its own. It is about one file system.
final class GuardLink: Sendable {
  private let socket: PacketSocket
  private let pid: Int32
  private let fileSystems: GuardedFileSystems
  private let surroundings: GuardSurroundings
  private let wakeup: Wakeup
  private let outgoing = Mutex(Outgoing())

  private struct Outgoing {
    var messages: [GuardMessage] = []
    var isClosed = false
  }

  /// A client that doesn't read for so long isn't there.
  private static let outgoingMax = 100_000

  init(
    _ socket: PacketSocket, pid: Int32, _ fileSystems: GuardedFileSystems, _ surroundings: GuardSurroundings
  )
    throws(SyscallError)
  {
    self.socket = socket
    self.pid = pid
    self.fileSystems = fileSystems
    self.surroundings = surroundings
    wakeup = try Wakeup(lowest: surroundings.numbers.ownLowest)
  }

  /// From any thread.
  func wake() { wakeup.signal() }

  func send(_ message: GuardMessage) {
    outgoing.withLock { outgoing in
      if outgoing.messages.count < Self.outgoingMax {
        outgoing.messages.append(message)
      } else {
        outgoing.isClosed = true
      }
    }
    wakeup.signal()
  }

  func close() {
    outgoing.withLock { $0.isClosed = true }
    wakeup.signal()
  }

  /// Until the connection ends, on the calling thread.
  func run() {
    surroundings.clients.add(pid)
    defer { surroundings.clients.remove(pid) }
    var session = GuardSession(fileSystems, surroundings)
    defer { session.end(self) }
    var hasBacklog = false
    while !outgoing.withLock(\.isClosed) {
      if socket.wait(wakeup, toSend: hasBacklog) {
        guard receive(&session) else { return }
      }
      switch flush(session.fileSystem) {
      case .sent: hasBacklog = false
      case .later: hasBacklog = true
      case .ended: return
      }
    }
  }

  /// Everything that is there. False at the end.
  private func receive(_ session: inout GuardSession) -> Bool {
    while true {
      switch socket.receive() {
      case .nothingYet: return true
      case .ended: return false
      case .unreadable: return refuse("a packet is too long or brings too many descriptors")
      case .packet(let bytes, let descriptors):
        guard let message = try? ClientMessage(bytes) else { return refuse("a packet can't be read") }
        do throws(GuardSession.Failure) {
          try session.take(message, descriptors, for: self) { reply, file in
            // The first message on the connection, but for `settled`s: there is room, or something is wrong.
            if socket.send(reply.encoded, file.map { [$0] } ?? []) != .sent { close() }
          }
        } catch {
          return refuse(error.description)
        }
      }
    }
  }

  private func refuse(_ why: String) -> Bool {
    surroundings.log.write("the connection of pid \(pid) was closed: \(why)")
    return false
  }

  private func flush(_ fileSystem: GuardedFileSystem?) -> PacketSocket.Sent {
    while let message = outgoing.withLock({ $0.messages.first }) {
      let sent = socket.send(message.encoded)
      guard sent == .sent else { return sent }
      outgoing.withLock { _ = $0.messages.removeFirst() }
    }
    guard let fileSystem else { return .sent }
    while let sent = fileSystem.tellNext(
      self, { request, file in socket.send(GuardMessage.request(request).encoded, [file]) })
    {
      guard sent == .sent else { return sent }
    }
    return .sent
  }
}
