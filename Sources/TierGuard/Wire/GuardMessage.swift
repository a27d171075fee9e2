import TierCore

/// Which identity attribute a file system's files carry.
package enum IdentityName: UInt8, Sendable {
  case trusted = 1
  case user = 2
}

/// How a client wants a file system guarded.
package struct GuardTerms: Hashable, Sendable {
  package var identity: IdentityName
  /// Others change files on it that this kernel isn't told of: nothing may be remembered of an open.
  package var isShared: Bool
  package var bounds: GuardBounds

  package init(identity: IdentityName = .trusted, isShared: Bool, bounds: GuardBounds = GuardBounds()) {
    self.identity = identity
    self.isShared = isShared
    self.bounds = bounds
  }
}

/// Names a group across connections; 0 is none.
package struct GroupID: Hashable, Sendable {
  package var value: UInt64
  package init(_ value: UInt64) { self.value = value }
}

/// What a client says. A connection is about one file system, and begins with `protect`, `giveBack`s, `resume`.
package enum ClientMessage: Hashable, Sendable {
  /// With the volume's root, and the group's descriptor where the client has one.
  case protect(GuardTerms, group: GroupID?)
  /// With the opened file: a request of a guard that has died since, or of this one.
  case giveBack(GuardRequest)
  case resume
  case answer(GuardToken, GuardAnswer)
  case stillWorking(GuardToken)
  /// With the file: nobody may open it unasked from `ready` on.
  case stubbing(UInt64)
  /// There are no placeholders any more.
  case unprotect
}

/// What the guard says.
package enum GuardMessage: Hashable, Sendable {
  /// With the group's descriptor, for the client to keep.
  case protected(GuardMode, group: GroupID)
  case refused(GuardRefusal)
  /// With the file that somebody waits for, opened for reading.
  case request(GuardRequest)
  /// Nobody waits under this name any more: the client may forget it.
  case settled(GuardToken)
  /// 0, or why asking couldn't be switched on again.
  case ready(UInt64, errno: Int32)
  case unprotected
}

/// Packets: version, kind, then the fields in fixed sizes, little-endian. Anything else is refused whole.
package enum GuardWire {
  package static let version: UInt8 = 1
  /// More than any message is long.
  package static let packetBytesMax = 128

  package struct Unreadable: Error, Hashable, Sendable {
    package init() {}
  }
}

private enum Kind: UInt8 {
  case protect = 1, giveBack, resume, answer, stillWorking, stubbing, unprotect
  case protected = 65, refused, request, settled, ready, unprotected
}

extension PacketWriter {
  fileprivate init(_ kind: Kind) {
    self.init()
    put(GuardWire.version)
    put(kind.rawValue)
  }

  fileprivate mutating func put(_ request: GuardRequest) {
    put(request.token.value)
    put(request.number)
    put(request.pid)
    put(request.access.rawValue)
    put(request.file.device)
    put(request.file.inode)
    put(request.offset)
    put(request.count)
    put(request.since.nanoseconds)
  }
}

extension PacketReader {
  fileprivate mutating func kind() -> Kind? {
    guard take(UInt8.self) == GuardWire.version else { return nil }
    return Kind(rawValue: take())
  }

  fileprivate mutating func request() -> GuardRequest? {
    let token = GuardToken(take())
    let (number, pid) = (take(Int32.self), take(Int32.self))
    let access = GuardedAccess(rawValue: take())
    let file = FileKey(device: take(), inode: take())
    let (offset, count, since) = (take(Int64.self), take(Int64.self), take(Int64.self))
    guard let access, number >= 0, pid >= 0, since >= 0 else { return nil }
    return GuardRequest(
      token: token, number: number, pid: pid, access: access, file: file, offset: offset, count: count,
      since: .nanoseconds(since))
  }

  fileprivate mutating func duration() -> Duration? {
    let milliseconds = take(UInt32.self)
    return milliseconds > 0 ? .milliseconds(milliseconds) : nil
  }

  fileprivate mutating func boolean() -> Bool? {
    switch take(UInt8.self) {
    case 0: false
    case 1: true
    default: nil
    }
  }
}

extension Duration {
  fileprivate var wireMilliseconds: UInt32 { UInt32(clamping: max(1, nanoseconds / 1_000_000)) }
}

extension ClientMessage {
  package var encoded: [UInt8] {
    var writer: PacketWriter
    switch self {
    case .protect(let terms, let group):
      writer = PacketWriter(.protect)
      writer.put(terms.identity.rawValue)
      writer.put(terms.isShared ? 1 as UInt8 : 0)
      writer.put(terms.bounds.patience.wireMilliseconds)
      writer.put(terms.bounds.absence.wireMilliseconds)
      writer.put(group?.value ?? 0)
    case .giveBack(let request):
      writer = PacketWriter(.giveBack)
      writer.put(request)
    case .resume: writer = PacketWriter(.resume)
    case .answer(let token, let answer):
      writer = PacketWriter(.answer)
      writer.put(token.value)
      writer.put(answer.errno)
    case .stillWorking(let token):
      writer = PacketWriter(.stillWorking)
      writer.put(token.value)
    case .stubbing(let id):
      writer = PacketWriter(.stubbing)
      writer.put(id)
    case .unprotect: writer = PacketWriter(.unprotect)
    }
    return writer.bytes
  }

  package init(_ packet: [UInt8]) throws(GuardWire.Unreadable) {
    var reader = PacketReader(packet[...])
    let kind = reader.kind()
    let message: ClientMessage? =
      switch kind {
      case .protect: Self.protect(&reader)
      case .giveBack: reader.request().map { .giveBack($0) }
      case .resume: .resume
      case .answer: Self.answer(&reader)
      case .stillWorking: .stillWorking(GuardToken(reader.take()))
      case .stubbing: .stubbing(reader.take())
      case .unprotect: .unprotect
      default: nil
      }
    guard let message, reader.isWhole else { throw GuardWire.Unreadable() }
    self = message
  }

  private static func protect(_ reader: inout PacketReader) -> ClientMessage? {
    let identity = IdentityName(rawValue: reader.take())
    let isShared = reader.boolean()
    let (patience, absence) = (reader.duration(), reader.duration())
    let group = reader.take(UInt64.self)
    guard let identity, let isShared, let patience, let absence else { return nil }
    let bounds = GuardBounds(patience: patience, absence: absence)
    return .protect(
      GuardTerms(identity: identity, isShared: isShared, bounds: bounds),
      group: group == 0 ? nil : GroupID(group))
  }

  private static func answer(_ reader: inout PacketReader) -> ClientMessage? {
    let token = GuardToken(reader.take())
    return GuardAnswer(errno: reader.take()).map { .answer(token, $0) }
  }
}

extension GuardMessage {
  package var encoded: [UInt8] {
    var writer: PacketWriter
    switch self {
    case .protected(let mode, let group):
      writer = PacketWriter(.protected)
      writer.put(mode.reach.rawValue)
      writer.put(mode.answersErrno ? 1 as UInt8 : 0)
      writer.put(mode.ignoresResident ? 1 as UInt8 : 0)
      writer.put(group.value)
    case .refused(let refusal):
      writer = PacketWriter(.refused)
      writer.put(refusal.reason.rawValue)
      writer.put(refusal.errno)
    case .request(let request):
      writer = PacketWriter(.request)
      writer.put(request)
    case .settled(let token):
      writer = PacketWriter(.settled)
      writer.put(token.value)
    case .ready(let id, let errno):
      writer = PacketWriter(.ready)
      writer.put(id)
      writer.put(errno)
    case .unprotected: writer = PacketWriter(.unprotected)
    }
    return writer.bytes
  }

  package init(_ packet: [UInt8]) throws(GuardWire.Unreadable) {
    var reader = PacketReader(packet[...])
    let kind = reader.kind()
    let message: GuardMessage? =
      switch kind {
      case .protected: Self.protected(&reader)
      case .refused: Self.refused(&reader)
      case .request: reader.request().map { .request($0) }
      case .settled: .settled(GuardToken(reader.take()))
      case .ready: .ready(reader.take(), errno: reader.take())
      case .unprotected: .unprotected
      default: nil
      }
    guard let message, reader.isWhole else { throw GuardWire.Unreadable() }
    self = message
  }

  private static func protected(_ reader: inout PacketReader) -> GuardMessage? {
    let reach = GuardMode.Reach(rawValue: reader.take())
    let (answersErrno, ignoresResident) = (reader.boolean(), reader.boolean())
    let group = reader.take(UInt64.self)
    guard let reach, let answersErrno, let ignoresResident, group != 0 else { return nil }
    let mode = GuardMode(reach: reach, answersErrno: answersErrno, ignoresResident: ignoresResident)
    return .protected(mode, group: GroupID(group))
  }

  private static func refused(_ reader: inout PacketReader) -> GuardMessage? {
    let reason = GuardRefusal.Reason(rawValue: reader.take())
    let errno = reader.take(Int32.self)
    return reason.map { .refused(GuardRefusal($0, errno: errno)) }
  }
}

extension GuardAnswer {
  /// 0 allows.
  var errno: Int32 {
    switch self {
    case .allow: 0
    case .deny(let errno): errno.rawValue
    }
  }

  init?(errno: Int32) {
    if errno == 0 {
      self = .allow
    } else if let known = GuardErrno(rawValue: errno) {
      self = .deny(known)
    } else {
      return nil
    }
  }
}
