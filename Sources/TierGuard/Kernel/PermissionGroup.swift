import CTierLinux
import Glibc
import TierCore
import TierLinux

/// A fanotify group that is asked before files of one file system are opened or read. It lasts as long as any
/// process has a descriptor of it, and so long nobody who waits is let through unanswered.
final class PermissionGroup: Sendable {
  typealias Event = tier_permission_event

  let descriptor: Descriptor
  let mode: GuardMode
  /// What is asked about, and what isn't any more once a file was found resident.
  private let events: UInt64
  private let ignorable: UInt64

  /// Tries what kernel and file system can. `adopting`: a group that another process left; its mark is renewed,
  /// because a file system that was unmounted meanwhile has none.
  init(guarding root: Int32, _ terms: GuardTerms, adopting: Descriptor? = nil) throws(GuardRefusal) {
    let descriptor = if let adopting { adopting } else { try Self.open() }
    let reach = try Self.mark(descriptor, root)
    self.descriptor = descriptor
    events = reach.events
    ignorable = terms.isShared ? reach.events & ~tier_OPEN_PERM : reach.events
    // Nobody waits under this number: a kernel that knows the errno looks for it, one that doesn't is quicker.
    let probe = tier_permission_answer(descriptor.raw, .max - 1, EIO)
    mode = GuardMode(reach: reach, answersErrno: probe == -ENOENT, ignoresResident: !terms.isShared)
  }

  private init(_ descriptor: Descriptor, like group: PermissionGroup) {
    self.descriptor = descriptor
    (mode, events, ignorable) = (group.mode, group.events, group.ignorable)
  }

  /// The same group by another descriptor; this one's is closed.
  func raised(to lowest: Int32) throws(SyscallError) -> PermissionGroup {
    let raised = PermissionGroup(try descriptor.raised(to: lowest), like: self)
    descriptor.close()
    return raised
  }

  /// After a remount, for example.
  func renewMark(_ root: Int32) throws(GuardRefusal) { _ = try Self.mark(descriptor, root) }

  func unmark(_ root: Int32) { _ = tier_permission_unmark(descriptor.raw, events, root) }

  /// Waits for the kernel to open the file, whatever that takes; never for an event.
  func read(into buffer: UnsafeMutablePointer<Event>) -> Int32 {
    tier_permission_read(descriptor.raw, buffer)
  }

  /// False where nobody waits under this number.
  @discardableResult func answer(_ number: Int32, _ answer: GuardAnswer) -> Bool {
    var error = answer.errno
    if error > 0, !mode.answersErrno { error = -1 }
    var result = tier_permission_answer(descriptor.raw, number, error)
    if result == -EINVAL, error > 0 { result = tier_permission_answer(descriptor.raw, number, -1) }
    return result == 0
  }

  func ignore(_ file: Int32) { _ = tier_permission_ignore(descriptor.raw, ignorable, file) }

  /// 0, or an errno.
  func unignore(_ file: Int32) -> Int32 { -tier_permission_unignore(descriptor.raw, ignorable, file) }

  /// Whether a descriptor that came from elsewhere is a group at all.
  static func isGroup(_ descriptor: Int32) -> Bool {
    Descriptor.name(of: descriptor) == Array("anon_inode:[fanotify]".utf8)
  }

  private static func open() throws(GuardRefusal) -> Descriptor {
    let number = tier_permission_group()
    guard number < 0 else { return Descriptor(owning: number) }
    switch -number {
    case ENOSYS: throw GuardRefusal(.kernelLacksFanotify, errno: -number)
    case EINVAL: throw GuardRefusal(.kernelLacksPermissionEvents, errno: -number)
    case EPERM: throw GuardRefusal(.notPermitted, errno: -number)
    case EMFILE: throw GuardRefusal(.tooManyGroups, errno: -number)
    default: throw GuardRefusal(.failed, errno: -number)
    }
  }

  private static func mark(_ descriptor: Descriptor, _ root: Int32) throws(GuardRefusal) -> GuardMode.Reach {
    var result = tier_permission_mark(descriptor.raw, GuardMode.Reach.contents.events, root)
    if result == 0 { return .contents }
    // What kernels before 6.14 and file systems without it say.
    if [-EINVAL, -EOPNOTSUPP].contains(result) {
      result = tier_permission_mark(descriptor.raw, GuardMode.Reach.reads.events, root)
      if result == 0 { return .reads }
    }
    switch -result {
    case EINVAL: throw GuardRefusal(.kernelLacksPermissionEvents, errno: EINVAL)
    case EPERM: throw GuardRefusal(.notPermitted, errno: EPERM)
    case EOPNOTSUPP, ENODEV, EXDEV: throw GuardRefusal(.fileSystemLacksPermissionEvents, errno: -result)
    default: throw GuardRefusal(.failed, errno: -result)
    }
  }
}

extension GuardMode.Reach {
  /// Execution raises an open too, so `FAN_OPEN_EXEC_PERM` would only ask twice.
  fileprivate var events: UInt64 {
    switch self {
    case .reads: tier_OPEN_PERM | tier_ACCESS_PERM
    case .contents: tier_OPEN_PERM | tier_PRE_ACCESS
    }
  }
}

extension GuardedAccess {
  init(_ events: UInt64) {
    self = events & tier_PRE_ACCESS != 0 ? .range : events & tier_ACCESS_PERM != 0 ? .read : .open
  }
}
