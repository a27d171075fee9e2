import CTierLinux
import Glibc
import TierCore

package struct SystemClock: TierClock {
  package init() {}

  package var now: Timestamp {
    let time = read(CLOCK_REALTIME)
    return FileTime(seconds: Int64(time.tv_sec), nanoseconds: UInt32(time.tv_nsec)).timestamp
  }

  package var monotonic: Duration {
    let time = read(CLOCK_MONOTONIC)
    return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
  }

  private func read(_ clock: clockid_t) -> timespec {
    var time = timespec()
    clock_gettime(clock, &time)
    return time
  }
}
