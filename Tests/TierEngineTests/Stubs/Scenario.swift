import TierGuardSupport
import TierTestSupport

/// How a released file stands in the cache.
enum Stub: String, CaseIterable, Sendable {
  case placeholder, link
}

/// One thing that may happen to a released file, or to one on its way out or in, and what must hold then. Whatever
/// else it looks at: at its end every content that it has noted is read back by another process, nothing is left in
/// tierd's folders, and nothing is unfinished.
struct Scenario: Sendable {
  typealias Body = @Sendable (Stage) throws -> Void

  let name: String
  let stubs: [Stub]
  let body: Body

  /// For both kinds of stubs, unless one is named.
  init(_ name: String, only stub: Stub? = nil, _ body: @escaping Body) {
    self.name = name
    stubs = stub.map { [$0] } ?? Stub.allCases
    self.body = body
  }

  static let all =
    reading + writing + names + copying + attributes + releasing + unguarded + targetTroubles + restarts
    + rules

  enum Outcome: Equatable {
    case ok
    /// The machine, the file system or the kind of stub has no such thing.
    case notHere
    case failed(String)

    var text: String {
      switch self {
      case .ok: "ok"
      case .notHere: "–"
      case .failed: "**failed**"
      }
    }
  }
}

/// What didn't hold.
struct Broken: Error, CustomStringConvertible {
  let description: String
}

/// The file system has no such thing.
struct NotHere: Error {}
