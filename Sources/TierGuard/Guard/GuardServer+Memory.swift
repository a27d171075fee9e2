import CTierLinux
import Glibc
import TierCore
import TierLinux

// MARK: Before tierd is there

extension GuardServer {
  /// Guards the volumes of the last time, as far as they are mounted; the others when they are. Nothing that was there
  /// at the call is unguarded at the return.
  package func guardRemembered() -> OwnedThread? {
    guard let memory = surroundings.memory else { return nil }
    let mounts = tier_open("/proc/self/mountinfo", O_RDONLY, 0)
    guardAll(in: memory)
    guard mounts >= 0 else { return nil }
    let table = Descriptor(owning: mounts)
    return OwnedThread(name: "guard mounts", stackBytes: 512 << 10) { [self] in
      while true {
        // The kernel tells of every change since the last poll.
        var poll = pollfd(fd: table.raw, events: Int16(POLLPRI), revents: 0)
        if tier_poll(&poll, 1, -1) > 0 { guardAll(in: memory) }
      }
    }
  }

  private func guardAll(in memory: GuardMemory) {
    for volume in memory.all {
      do throws(GuardRefusal) { try guardIfMounted(volume) } catch {
        surroundings.log.write("\(EscapedText.encode(volume.root)): not guarded: \(error.message)")
      }
    }
  }

  /// The folder under a mount that isn't there yet has no such note.
  private func guardIfMounted(_ volume: GuardMemory.Volume) throws(GuardRefusal) {
    let path = String(decoding: volume.root, as: UTF8.self)
    var status = tier_status()
    guard tier_statx(AT_FDCWD, "\(path)/\(PlaceholderNote.path)", &status) == 0 else { return }
    let number = tier_open(path, O_RDONLY | tier_O_DIRECTORY, 0)
    guard number >= 0 else { return }
    _ = try fileSystems.find(Descriptor(owning: number), volume.terms, nil, nil)
  }
}
