/// What an identity says of its file: the second word of `trusted.tierd`. The catalog keeps only what lasts
/// (`FileState`); `releasing` and `restoring` are written first and last of all, so that whoever finds them after a
/// crash, or asks while it happens, doesn't take the file's holes for its content.
package enum IdentityState: String, Hashable, Sendable, CaseIterable {
  case resident, archived, releasing, released, restoring

  /// A regular file that says so is a *placeholder*: nothing may be read from it until it says otherwise. (A symbolic
  /// link that says `released` is a stub that can't be read as a file anyway.)
  package var withholdsContent: Bool {
    switch self {
    case .resident, .archived: false
    case .releasing, .released, .restoring: true
    }
  }

  /// The state alone, for whoever decides at every opening of a file. Nil: not what this version of tierd writes.
  /// What it accepts is no whole record yet: `IdentityRecord.parse` tells that.
  package static func peek(_ identity: UnsafeRawBufferPointer) -> IdentityState? {
    allCases.first { state in
      let start = state.start
      return identity.count > start.utf8CodeUnitCount
        && start.withUTF8Buffer { identity.prefix($0.count).elementsEqual($0) }
    }
  }

  /// `tierd1 archived `: static, so that a look allocates nothing.
  private var start: StaticString {
    switch self {
    case .resident: "tierd1 resident "
    case .archived: "tierd1 archived "
    case .releasing: "tierd1 releasing "
    case .released: "tierd1 released "
    case .restoring: "tierd1 restoring "
    }
  }
}
