import TierCore
import TierLinux

/// What an end of rsync means, by its exit code and its words (a client's of ours, hence English; a server's of
/// any age).
struct RsyncTrouble {
  /// Nil where the run was good, perhaps but for single files.
  let error: TierError?

  init(_ code: Int32, _ lines: [[UInt8]], settings: Configuration.Rsync, address: String) {
    let text = lines.map { EscapedText.encode($0) }.joined(separator: "\n")
    let known = Self.table.first { rule in
      (rule.codes.isEmpty || rule.codes.contains(code))
        && (rule.words.isEmpty || rule.words.contains(where: text.contains))
    }
    if Self.partial.contains(code), known?.endsEvenPartialRuns != true {
      error = nil
      return
    }
    let said = lines.prefix(4).map { EscapedText.encode($0) }.joined(separator: "; ")
    error = TierError(
      known?.code ?? .targetFailed, (known?.message ?? { _ in "rsync failed" })(settings), path: address,
      cause: said.isEmpty ? "rsync exit code \(code)" : said, disposition: known?.disposition ?? .retry)
  }

  /// Done; done but for some files; files vanished at the source; the deletion limit.
  private static let partial: Set<Int32> = [0, 23, 24, 25]

  static func cannotStart(_ error: SyscallError) -> TierError {
    TierError(
      .unsupported, "the rsync program can't be started: install it (apt-get install rsync)",
      path: error.path,
      cause: errnoText(error.errno), disposition: .retry)
  }

  /// One file's own trouble, from the lines that name it.
  static func ofFile(_ path: RelativePath, _ lines: [[UInt8]], otherwise message: String) -> TierError {
    let said = lines.first { line in path.name.map { RsyncText.unescape(line).contains($0.bytes) } ?? false }
    let text = said.map { EscapedText.encode($0) }
    if let text, ["Permission denied (13)", "Operation not permitted (1)"].contains(where: text.contains) {
      return TierError(
        .targetDenied, "the rsync server may not write it: let its user write there", path: path.escaped,
        cause: text, disposition: .retry)
    }
    return TierError(.targetFailed, message, path: path.escaped, cause: text, disposition: .retry)
  }

  private struct Rule {
    /// Empty: any.
    var codes: Set<Int32> = []
    /// One of them is said. Empty: whatever is said.
    var words: [String] = []
    var code: TierError.Code
    var disposition = Disposition.retry
    /// The whole session's, even where rsync takes it for single files'.
    var endsEvenPartialRuns = false
    var message: @Sendable (Configuration.Rsync) -> String
  }

  /// The first that fits.
  private static let table: [Rule] = [
    Rule(
      words: ["No space left on device (28)", "Disk quota exceeded (122)"], code: .targetFull,
      endsEvenPartialRuns: true,
      message: { _ in "the target is full: free some space there, or shorten keepDeleted (its .tierd/trash)" }
    ),
    Rule(
      words: ["Read-only file system (30)", "module is read only"], code: .targetDenied,
      endsEvenPartialRuns: true,
      message: { _ in "the target is read-only: set `read only = no` for the module, or remount its disk" }),
    Rule(
      words: ["Input/output error (5)", "Stale file handle (116)"], code: .targetUnreachable,
      endsEvenPartialRuns: true, message: { _ in "the server's disk reports an error: see the server's log" }),
    Rule(
      words: ["password file must", "could not open password file"], code: .badConfiguration,
      disposition: .permanent,
      message: { _ in
        "the secrets file must exist, hold the password alone, and be tierd's own with mode 0600 (chmod 600)"
      }),
    Rule(
      words: ["@ERROR: auth failed"], code: .targetDenied, disposition: .permanent,
      message: { settings in
        "the rsync server refuses the login: check user (\(settings.user ?? "none is set")) and secretsFile "
          + "against the server's `auth users` and `secrets file` (on a Synology: the rsync account)"
      }),
    Rule(
      words: ["@ERROR: Unknown module"], code: .targetDenied, disposition: .permanent,
      message: { settings in
        "the rsync server has no such module: `rsync rsync://\(settings.host)/` lists what it has"
      }),
    Rule(
      words: ["@ERROR: access denied"], code: .targetDenied, disposition: .permanent,
      message: { _ in "the rsync server doesn't let this machine in: see `hosts allow` in its rsyncd.conf" }),
    Rule(
      words: ["@ERROR: max connections"], code: .targetUnreachable,
      message: { _ in "the rsync server has too many clients: see `max connections` in its rsyncd.conf" }),
    Rule(
      words: ["@ERROR: chdir failed", "@ERROR: chroot failed"], code: .targetUnreachable,
      message: { _ in "the module's folder is missing on the server: is its disk mounted there?" }),
    Rule(
      words: ["configured to refuse", "unknown option"], code: .unsupported, disposition: .permanent,
      message: { _ in
        "the rsync server refuses an option that tierd needs: see `refuse options` in its rsyncd.conf; it must be "
          + "rsync 3.0.0 or newer"
      }),
    Rule(
      words: [
        "Host key verification failed", "No ED25519 host key is known",
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
      ],
      code: .targetDenied, disposition: .permanent,
      message: { settings in
        "ssh doesn't know the server's key: compare and add it (ssh-keyscan \(settings.host) >> the known hosts "
          + "file)"
      }),
    Rule(
      words: [
        "Permission denied (publickey", "Permission denied, please try again",
        "Too many authentication failures",
      ],
      code: .targetDenied, disposition: .permanent,
      message: { settings in
        "the ssh server refuses the login: put the public half of identityFile into "
          + "~\(settings.user ?? "")/.ssh/authorized_keys there"
      }),
    Rule(
      words: ["UNPROTECTED PRIVATE KEY FILE", "Load key"], code: .badConfiguration, disposition: .permanent,
      message: { _ in "ssh can't use identityFile: it must be a private key of tierd's own with mode 0600" }),
    Rule(
      words: ["rsync: command not found", "rsync: not found", "No such file or directory: rsync"],
      code: .unsupported, disposition: .permanent,
      message: { _ in
        "there is no rsync on the server: install it there (on a Synology: enable the rsync service)"
      }),
    Rule(
      words: ["Failed to exec ssh"], code: .unsupported, disposition: .permanent,
      message: { _ in "there is no ssh on this machine: apt-get install openssh-client" }),
    Rule(
      words: [
        "Name or service not known", "Could not resolve hostname", "Temporary failure in name resolution",
      ],
      code: .targetUnreachable,
      message: { settings in "the name \(settings.host) can't be resolved: check host, and this machine's DNS"
      }),
    Rule(
      words: ["Connection refused"], code: .targetUnreachable,
      message: { settings in
        switch settings.transport {
        case .daemon(let port, _, _):
          "nothing listens on port \(port) of \(settings.host): start the rsync service there"
        case .ssh(let port, _, _, _):
          "nothing listens on port \(port) of \(settings.host): start the ssh service there"
        }
      }),
    Rule(
      words: ["No route to host", "Network is unreachable", "Host is down"], code: .targetUnreachable,
      message: { settings in "\(settings.host) can't be reached: is it switched on and in this network?" }),
    Rule(
      codes: [30, 35], code: .targetTimeout,
      message: { settings in
        "\(settings.host) didn't answer in time: is it overloaded or just waking? Raise the target's timeout"
      }),
    Rule(
      words: ["Connection timed out", "timed out waiting"], code: .targetTimeout,
      message: { settings in
        "\(settings.host) didn't answer in time: is it switched on? A firewall in between?"
      }),
    Rule(
      codes: [3, 11, 23], words: ["change_dir", "mkdir"], code: .targetUnreachable,
      message: { settings in
        "the target's folder is missing on \(settings.host): make it there, or mend the target's path; is its disk "
          + "mounted?"
      }),
    Rule(
      codes: [10, 12, 255], code: .targetUnreachable,
      message: { settings in "the connection to \(settings.host) broke: see the server's log" }),
    Rule(
      codes: [1, 2, 4], code: .unsupported, disposition: .permanent,
      message: { _ in
        "the two rsync programs don't understand each other: the server must be rsync 3.0.0 or newer"
      }
    ),
  ]
}

extension [UInt8] {
  fileprivate func contains(_ part: [UInt8]) -> Bool {
    guard let first = part.first, count >= part.count else { return part.isEmpty }
    return indices.prefix(count - part.count + 1).contains { start in
      self[start] == first && self[start..<start + part.count].elementsEqual(part)
    }
  }
}
