import TierCore

/// What the guard can see on one file system, by trying.
package struct GuardMode: Hashable, Sendable {
  /// The finest events that the kernel raises there. Opens are always among them.
  package enum Reach: UInt8, Sendable {
    /// Opens, and reads of what was open before (`FAN_ACCESS_PERM`; FUSE, and Linux before 6.14).
    case reads = 1
    /// Opens, and every read, write, mapping and truncation, by name too, each with its range (`FAN_PRE_ACCESS`).
    case contents = 2
  }

  package var reach: Reach
  /// Who is refused learns why (`EIO`, `ENOSPC` …). Without it every refusal is `EPERM`.
  package var answersErrno: Bool
  /// Whether a file that was found resident is asked about no more until it becomes a stub. Not on file systems that
  /// others change behind this kernel's back.
  package var ignoresResident: Bool

  package init(reach: Reach, answersErrno: Bool, ignoresResident: Bool) {
    self.reach = reach
    self.answersErrno = answersErrno
    self.ignoresResident = ignoresResident
  }

  /// What isn't covered or costs more than it could, one sentence each, for `doctor`.
  package var limits: [String] {
    var limits: [String] = []
    if reach == .reads {
      limits.append(
        "truncate(2) by name is not asked about (this kernel and file system have no FAN_PRE_ACCESS): a placeholder "
          + "cut by it gets the cut's length at the next open")
    }
    if !answersErrno {
      limits.append("refused opens fail with EPERM, whatever the reason (Linux before 6.14)")
    }
    if !ignoresResident {
      limits.append(
        "every open is asked about, also of resident files: others can change this file system unseen")
    }
    return limits
  }
}

/// Why no guard can stand before a file system. `errno` is the kernel's word where it had one.
package struct GuardRefusal: Error, Hashable, Sendable {
  package enum Reason: UInt8, Sendable, CaseIterable {
    case kernelLacksFanotify = 1
    case kernelLacksPermissionEvents
    case notPermitted
    case tooManyGroups
    case fileSystemLacksPermissionEvents
    case holdsTheGuardItself
    case failed
  }

  package var reason: Reason
  package var errno: Int32

  package init(_ reason: Reason, errno: Int32 = 0) {
    self.reason = reason
    self.errno = errno
  }

  /// One sentence for a person, with the way out.
  package var message: String {
    switch reason {
    case .kernelLacksFanotify:
      "this kernel has no fanotify (CONFIG_FANOTIFY): stubs are links here, or use a distribution's kernel"
    case .kernelLacksPermissionEvents:
      "this kernel was built without CONFIG_FANOTIFY_ACCESS_PERMISSIONS (as Raspberry Pi kernels are): stubs are "
        + "links here, or use a kernel of Debian, Ubuntu or Fedora"
    case .notPermitted:
      "tier-guard lacks CAP_SYS_ADMIN in the machine's own user namespace: run it as root, in Kubernetes privileged"
    case .tooManyGroups:
      "too many fanotify groups: raise fs.fanotify.max_user_groups"
    case .fileSystemLacksPermissionEvents:
      "this file system has no permission events: stubs are links here"
    case .holdsTheGuardItself:
      "tier-guard's own program lies on this file system, so a new guard's start would wait for a guard: keep the "
        + "volume on a file system of its own"
    case .failed:
      "the kernel refused to guard this file system"
    }
  }
}
