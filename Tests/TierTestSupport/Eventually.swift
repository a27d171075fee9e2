import Glibc
import TierCore
import TierLinux

package struct NeverHappened: Error, CustomStringConvertible {
  package let description: String
  package init(description: String) { self.description = description }
}

/// Waits until `condition` holds, looking every few milliseconds; throws when it doesn't within `limit`. The
/// limit is only for failing tests, so be generous: the machine may be busy.
package func eventually(
  within limit: Duration = .seconds(30), _ what: String = "the condition", _ condition: () throws -> Bool
) throws {
  let clock = SystemClock()
  let end = clock.monotonic + limit
  while !(try condition()) {
    guard clock.monotonic < end else { throw NeverHappened(description: "\(what): not within \(limit)") }
    usleep(2_000)
  }
}

/// Paces an app that a test plays; never waits for something to have happened.
package func pause(atMost microseconds: UInt32) { usleep(.random(in: 0..<microseconds)) }
