import TierCore
import TierGuard

/// How a volume's released files are kept, and come back.
package enum StubMode: Sendable {
  /// As placeholders: who opens one waits for its content.
  case placeholders(any VolumeGuard)
  /// As symbolic links: no guard can stand there, and why.
  case links(because: String)

  static let notAsked = "no policy asks for restore.mode guard"

  /// One could stand there, perhaps: nobody has tried.
  var isUntried: Bool {
    if case .links(Self.notAsked) = self { true } else { false }
  }

  package var guardian: (any VolumeGuard)? {
    if case .placeholders(let guardian) = self { guardian } else { nil }
  }
}

/// Who stands before a volume's placeholders: nobody but tierd reads one as long as this lives.
package protocol VolumeGuard: AnyObject, Sendable {
  /// What it can see.
  var mode: GuardMode { get }

  /// Before a file's blocks are freed, and after its identity says `releasing`: when this returns, whoever opens the
  /// file is asked about. An error means that nothing may be freed.
  func stubbing(_ file: any OpenFile) throws(TierError)
}
