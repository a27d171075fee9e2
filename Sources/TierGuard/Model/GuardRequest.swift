import TierCore

/// Names one waiting opener, for as long as it waits, also across the guard's own death.
package struct GuardToken: Hashable, Sendable, Comparable {
  package var value: UInt64
  package init(_ value: UInt64) { self.value = value }
  package static func < (left: GuardToken, right: GuardToken) -> Bool { left.value < right.value }
}

/// Which file, as the kernel counts.
package struct FileKey: Hashable, Sendable {
  package var device: UInt64
  package var inode: UInt64

  package init(device: UInt64, inode: UInt64) {
    self.device = device
    self.inode = inode
  }
}

/// What somebody is about to do with a file.
package enum GuardedAccess: UInt8, Sendable {
  case open = 1
  /// A read of what was open before (`GuardMode.Reach.reads`).
  case read = 2
  /// A read, write, mapping or truncation of a range (`.contents`).
  case range = 3
}

/// One opener that waits for a placeholder's content. Several may wait for one file.
package struct GuardRequest: Hashable, Sendable {
  package var token: GuardToken
  /// The event's descriptor in the guard that read it: the kernel knows the waiting one by this number alone.
  package var number: Int32
  /// In the guard's process name space; 0 where it isn't in it.
  package var pid: Int32
  package var access: GuardedAccess
  package var file: FileKey
  /// Of `.range`; 0 else.
  package var offset: Int64
  package var count: Int64
  /// Monotonic time of the machine.
  package var since: Duration

  package init(
    token: GuardToken, number: Int32, pid: Int32, access: GuardedAccess, file: FileKey, offset: Int64 = 0,
    count: Int64 = 0, since: Duration
  ) {
    self.token = token
    self.number = number
    self.pid = pid
    self.access = access
    self.file = file
    self.offset = offset
    self.count = count
    self.since = since
  }
}

/// What is said to one that waits.
package enum GuardAnswer: Hashable, Sendable {
  /// The content is there, and the identity says so: the guard looks again before it lets anybody through.
  case allow
  case deny(GuardErrno)
}

/// What fanotify lets an open fail with.
package enum GuardErrno: Int32, Sendable, CaseIterable {
  case notPermitted = 1
  case inputOutput = 5
  case tryAgain = 11
  case busy = 16
  case textBusy = 26
  case noSpace = 28
  case overQuota = 122

  /// The nearest one to any errno: what it tells an app to do is what counts (give up, try later, make room).
  package init(nearest errno: Int32) {
    self =
      GuardErrno(rawValue: errno)
      ?? {
        switch errno {
        case 13, 30: .notPermitted  // EACCES EROFS
        case 4, 12, 105, 110, 125: .tryAgain  // EINTR ENOMEM ENOBUFS ETIMEDOUT ECANCELED
        case 27: .noSpace  // EFBIG
        default: .inputOutput
        }
      }()
  }
}

/// How long somebody may wait.
package struct GuardBounds: Hashable, Sendable {
  /// In all, whatever the client says.
  package var patience: Duration
  /// Without a sign of life for this request: no client, or one that hangs.
  package var absence: Duration

  package init(patience: Duration = .seconds(300), absence: Duration = .seconds(60)) {
    self.patience = patience
    self.absence = absence
  }
}
