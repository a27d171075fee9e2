import TierCore

/// What the guard does with one question of the kernel's.
package enum OpeningVerdict: Hashable, Sendable {
  /// Let through, and ask again next time.
  case allow
  /// Let through whoever comes, until the file becomes a stub.
  case allowAndIgnore
  /// Wait for the client.
  case hold
  case deny(GuardErrno)
}

/// Who is about to touch a file.
package enum GuardedAsker: Sendable {
  /// tier-guard, or a client: restores write into what everybody else waits for.
  case tierd
  case app
}

/// What a file says of itself.
package enum GuardedContent: Hashable, Sendable {
  /// No identity: a file that tierd has never archived, or no regular file.
  case unmarked
  case marked(IdentityState)
  /// An identity that can't be read, or that this version doesn't know.
  case unreadable
}

extension OpeningVerdict {
  /// The whole of the guard's policy.
  package static func on(_ content: GuardedContent, by asker: GuardedAsker) -> OpeningVerdict {
    switch (asker, content) {
    // An ignore mark counts for everybody, so tierd's own opens never set one.
    case (.tierd, _): .allow
    case (.app, .unmarked): .allowAndIgnore
    case (.app, .marked(let state)): state.withholdsContent ? .hold : .allowAndIgnore
    // It may be a stub: whoever reads now could read zeros.
    case (.app, .unreadable): .deny(.inputOutput)
    }
  }

  /// What a client's "allow" comes to: it is believed only where the file says the same.
  package static func onAllowed(_ content: GuardedContent) -> GuardAnswer {
    switch on(content, by: .app) {
    case .allow, .allowAndIgnore: .allow
    case .hold, .deny: .deny(.inputOutput)
    }
  }
}
