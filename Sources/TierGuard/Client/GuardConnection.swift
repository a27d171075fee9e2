import Glibc
import Synchronization
import TierCore
import TierLinux

/// Somebody who waits for a placeholder's content, and the file.
package struct WaitingOpener: Sendable {
  package let request: GuardRequest
  /// Opened for reading by the guard, where the opener sees it: that mount may be read-only (a container's, an
  /// overlay's). So find the file by `request.file` to write its content; this process is let through at once. (By the
  /// guard, so that any access of its own can fail with EAGAIN or EPERM in the moment in which
  /// the guard dies: repeat it.) Closed when its last reference goes.
  package let file: Descriptor

  /// It has no name any more.
  package var isDeleted: Bool {
    var status = stat()
    return fstat(file.raw, &status) == 0 && status.st_nlink == 0
  }

  /// As its identity says now; then the guard lets the opener through when told so.
  package func hasContent(_ identity: IdentityName) -> Bool {
    let value = GuardedContent.attributeRoom()
    defer { value.deallocate() }
    return OpeningVerdict.onAllowed(GuardedContent(of: file.raw, identity.attribute, value)) == .allow
  }
}

/// tierd's side of the guard: one connection for each guarded file system (two volumes on one file system share it).
///
/// It keeps a descriptor of the guard's group and the files of those who wait. So whatever happens to the guard,
/// nobody is let through, and a new one goes on where the old one ended. Any thread may call; the calls that wait say
/// so.
package final class GuardConnection: Sendable {
  private let link: GuardClientLink

  /// `root`: any directory of the file system. `program`: started, apart from this process, where nothing listens on
  /// the socket for as long as `patience`; nil: nobody but a supervisor starts one. `log` gets a line when the guard is lost and found again.
  package init(
    socket: String, program: String?, patience: Duration = .zero, root: String, terms: GuardTerms,
    log: @escaping @Sendable (String) -> Void = { _ in }
  ) throws(TierError) {
    do throws(SyscallError) {
      link = try GuardClientLink(
        GuardStarter(socket: socket, program: program, patience: patience), root: root, terms: terms, log: log
      )
    } catch {
      throw TierError(error)
    }
  }

  /// From the return on, nobody but this process reads a placeholder of the file system. Waits for the guard's start,
  /// up to half a minute; call it before anything on the file system is opened, and again after the file system was
  /// mounted anew. `.volumeUnavailable`: there is a guard, and it doesn't answer.
  package func protect() throws(TierError) -> GuardMode { try link.protect() }

  /// The next one who waits, oldest first; each is told once. Waits; nil after `close`, or after `timeout`. For one
  /// thread.
  package func next(atMost timeout: Duration? = nil) -> WaitingOpener? { link.next(atMost: timeout) }

  /// Each waiting one is answered once. Allowed is only whose file's identity says that its content is there; else
  /// the guard refuses with EIO.
  package func answer(_ token: GuardToken, _ answer: GuardAnswer) { link.answer(token, answer) }

  /// More often than `GuardBounds.absence`, for each that is being worked for.
  package func stillWorking(_ token: GuardToken) { link.say(.stillWorking(token)) }

  /// Before a file's blocks are freed, and after its identity says `releasing`. When this returns, whoever opens the
  /// file is asked about, and the guard has no decision under way that it took on an older identity. (Who was let
  /// through before may still be on his way to the file: that is what the release's lease and its linger find out.)
  /// `file`: a descriptor of the open file, valid during the call. Waits; an error means that nothing may be freed.
  package func stubbing(_ file: Int32) throws(TierError) { try link.stubbing(file) }

  /// When the file system holds no placeholder any more. Waits.
  package func unprotect() throws(TierError) { try link.unprotect() }

  /// The file system stays guarded: openers of placeholders wait for the next client, up to `GuardBounds.absence`.
  package func close() { link.close() }
}
