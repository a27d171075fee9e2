import Glibc
import TierCore
import TierLinux

extension Restorer {
  /// Room for one more file besides those promised, if need be by releasing colder ones. `patience`: on the machine's
  /// monotonic clock.
  func reserve(
    _ bytes: Int64, besides promised: Int64, on volume: Volume, _ path: RelativePath, until patience: Duration
  ) throws(TierError) {
    let needed = promised + bytes + volume.tuning.reserve
    var space = try freeSpace(of: volume)
    if space.available < needed {
      run.engine.makeRoom(needed - space.available, on: volume)
      while space.available < needed, SystemClock().monotonic < patience {
        usleep(100_000)
        space = try freeSpace(of: volume)
      }
    }
    guard space.available >= needed else {
      throw TierError(
        .volumeFull,
        "the volume has \((space.available - promised) >> 20) MiB free, too little for \(bytes >> 20) MiB, and nothing "
          + "else may be released: release other files (tierctl release PATH) or lower highWatermark",
        path: volume.absolute(path), disposition: .retry)
    }
  }

  private func freeSpace(of volume: Volume) throws(TierError) -> FileSystemSpace {
    try wrapping("while asking for free space") { () throws(SyscallError) in
      try volume.files.space(at: "restore.space")
    }
  }
}
