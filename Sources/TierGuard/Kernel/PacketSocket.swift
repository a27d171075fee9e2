import CTierLinux
import Glibc
import TierCore
import TierLinux

/// One end of a connection between guard and client: packets with descriptors, never blocking.
final class PacketSocket: Sendable {
  enum Received {
    case packet([UInt8], [Descriptor])
    case nothingYet
    /// The other side is gone.
    case ended
    /// Too long, or too many descriptors.
    case unreadable
  }

  enum Sent { case sent, later, ended }

  let descriptor: Descriptor

  init(_ descriptor: Descriptor) { self.descriptor = descriptor }

  /// Connects without waiting.
  static func connect(to path: String) throws(SyscallError) -> PacketSocket {
    let number = tier_connect_packets(path)
    guard number >= 0 else { throw SyscallError(call: "connect", path: path, errno: -number) }
    return PacketSocket(Descriptor(owning: number))
  }

  func receive() -> Received {
    var numbers: [Int32] = Array(repeating: -1, count: Int(TIER_PACKET_DESCRIPTORS_MAX))
    var count = UInt32(TIER_PACKET_DESCRIPTORS_MAX)
    var size = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: GuardWire.packetBytesMax) { buffer, filled in
      size = tier_receive_packet(descriptor.raw, buffer.baseAddress, buffer.count, &numbers, &count)
      filled = max(0, size)
    }
    switch size {
    case 0 where count == 0, -Int(EBADF): return .ended
    // The other side ended without having read everything; what it had sent before is there still.
    case -Int(ECONNRESET): return receive()
    case -Int(EAGAIN): return .nothingYet
    case ...0:
      for number in numbers.prefix(Int(count)) { _ = tier_close(number) }
      return .unreadable
    default: return .packet(bytes, numbers.prefix(Int(count)).map { Descriptor(owning: $0) })
    }
  }

  func send(_ bytes: [UInt8], _ descriptors: [Int32] = []) -> Sent {
    let result = tier_send_packet(descriptor.raw, bytes, bytes.count, descriptors, UInt32(descriptors.count))
    switch -result {
    case 0: return .sent
    case EAGAIN, ENOBUFS, ENOMEM, ETOOMANYREFS: return .later
    default: return .ended
    }
  }

  /// Waits until there is something to receive (or the end), until `wakeup` is signalled, or, with `toSend`, until
  /// there is room to send. True where there is something to receive.
  func wait(_ wakeup: Wakeup, toSend: Bool, atMost timeout: Duration? = nil) -> Bool {
    let wanted = Int16(POLLIN) | (toSend ? Int16(POLLOUT) : 0)
    var polls = [
      pollfd(fd: descriptor.raw, events: wanted, revents: 0),
      pollfd(fd: wakeup.descriptor, events: Int16(POLLIN), revents: 0),
    ]
    guard tier_poll(&polls, 2, timeout?.nanoseconds ?? -1) > 0 else { return false }
    if polls[1].revents != 0 { wakeup.clear() }
    return polls[0].revents & ~Int16(POLLOUT) != 0
  }
}
