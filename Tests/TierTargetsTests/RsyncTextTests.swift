import Testing
import TierCore

@testable import TierTargets

@Suite struct RsyncTextTests {
  @Test(
    arguments: [
      ("-rw-r--r--          1234 2026/11/23 11:25:55 vol/a b", "vol/a b", 1234, 1_795_433_155, true),
      ("-rw-r--r--             0 1970/01/01 00:00:00  x", " x", 0, 0, true),
      ("-rwsr-xr-x 1234567890123456 1969/12/31 23:59:58 a", "a", 1_234_567_890_123_456, -2, true),
      ("drwxr-xr-x          4096 2000/02/29 12:00:00 d", "d", 4096, 951_825_600, false),
      ("lrwxrwxrwx            10 2100/03/01 00:00:00 l", "l", 10, 4_107_542_400, false),
      (
        ##"-rw-r--r--             1 2026/11/23 11:25:55 a\#012\#134#012"##, "a\n\\#012", 1, 1_795_433_155,
        true
      ),
    ] as [(String, String, Int64, Int64, Bool)])
  func listingsAreRead(_ line: String, _ path: String, _ size: Int64, _ seconds: Int64, _ isRegular: Bool) {
    let listed = RsyncText.listed(Array(line.utf8))
    #expect(listed?.path == Array(path.utf8))
    #expect(
      listed?.status
        == TargetStatus(
          size: size, modified: FileTime(seconds: seconds, nanoseconds: 0), isRegular: isRegular))
    #expect(listed?.isDirectory == line.hasPrefix("d"))
  }

  @Test(arguments: [
    "", "receiving file list ...", "-rw-r--r-- x 2026/11/23 11:25:55 a", "-rw-r--r-- 1 a b c",
  ])
  func otherLinesAreNoListings(_ line: String) { #expect(RsyncText.listed(Array(line.utf8)) == nil) }

  @Test func itemizedLinesNameWhatWouldBeSent() {
    #expect(RsyncText.sent(Array(##"<f+++++++++ vol/a\#012b"##.utf8)) == RelativePath("vol/a\nb"))
    #expect(RsyncText.sent(Array("<fc.T...... -x".utf8)) == RelativePath("-x"))
    #expect(RsyncText.sent(Array("cd+++++++++ vol/".utf8)) == nil)
    #expect(RsyncText.sent(Array("*deleting   vol/a".utf8)) == nil)
  }

  /// Of rsync 3.0 and 3.1, of 3.5, of a daemon.
  @Test(arguments: [
    #"rsync: link_stat "/x" (in nas) failed: No such file or directory (2)"#,
    #"rsync: [sender] link_stat "/a b/x" failed: Not a directory (20)"#,
    #"rsync: [sender] link_stat "d/x" (in nas) failed: Too many levels of symbolic links (40)"#,
    #"rsync: change_dir#3 "/gone" (in nas) failed: No such file or directory (2)"#,
  ])
  func whatIsMissingIsNoComplaint(_ line: String) {
    #expect(RsyncText.isAboutMissing(Array(line.utf8)))
    #expect(
      !RsyncText.isAboutMissing(Array(line.replacing("(2)", with: "(13)").replacing("0)", with: "3)").utf8)))
  }
}

@Suite struct RsyncTroubleTests {
  let settings = Configuration.Rsync(
    host: "nas", user: "tierd", transport: .daemon(port: 873, module: "tier", secretsFile: nil))

  /// What servers and clients of several ages say; the whole table.
  @Test(
    arguments: [
      (
        11, #"rsync: write failed on "/a" (in nas): No space left on device (28)"#, "targetFull",
        "free some space"
      ),
      (
        23, #"rsync: mkstemp ".tierd/tmp/.a.X" failed: Disk quota exceeded (122)"#, "targetFull",
        "free some space"
      ),
      (
        23, #"rsync: mkstemp "a" (in nas) failed: Read-only file system (30)"#, "targetDenied",
        "read only = no"
      ),
      (1, "ERROR: module is read only", "targetDenied", "read only = no"),
      (23, "rsync: read errors mapping: Input/output error (5)", "targetUnreachable", "server's log"),
      (1, "ERROR: password file must not be other-accessible", "badConfiguration", "chmod 600"),
      (5, "@ERROR: auth failed on module tier", "targetDenied", "user (tierd)"),
      (5, "@ERROR: Unknown module 'tier'", "targetDenied", "rsync rsync://nas/"),
      (5, "@ERROR: access denied to tier from pi (10.0.0.2)", "targetDenied", "hosts allow"),
      (5, "@ERROR: max connections (4) reached -- try again later", "targetUnreachable", "max connections"),
      (5, "@ERROR: chdir failed", "targetUnreachable", "disk mounted"),
      (4, "rsync: The server is configured to refuse --delete", "unsupported", "refuse options"),
      (12, "rsync: on remote machine: --backup-dir: unknown option", "unsupported", "3.0.0 or newer"),
      (255, "Host key verification failed.", "targetDenied", "ssh-keyscan nas"),
      (
        255, "tierd@nas: Permission denied (publickey,password).", "targetDenied",
        "~tierd/.ssh/authorized_keys"
      ),
      (
        255, "Permissions 0644 are too open. WARNING: UNPROTECTED PRIVATE KEY FILE!", "badConfiguration",
        "mode 0600"
      ),
      (12, "bash: line 1: rsync: command not found", "unsupported", "no rsync on the server"),
      (12, "sh: rsync: not found", "unsupported", "no rsync on the server"),
      (14, "rsync: Failed to exec ssh: No such file or directory (2)", "unsupported", "openssh-client"),
      (
        10, "rsync: getaddrinfo: nas 873: Name or service not known", "targetUnreachable", "can't be resolved"
      ),
      (
        255, "ssh: Could not resolve hostname nas: Name or service not known", "targetUnreachable",
        "this machine's DNS"
      ),
      (10, "rsync: failed to connect to nas: Connection refused (111)", "targetUnreachable", "port 873"),
      (10, "rsync: failed to connect to nas: No route to host (113)", "targetUnreachable", "switched on"),
      (
        30, "rsync error: timeout in data send/receive (code 30)", "targetTimeout",
        "Raise the target's timeout"
      ),
      (35, "rsync error: timeout waiting for daemon connection (code 35)", "targetTimeout", "Raise"),
      (255, "ssh: connect to host nas port 22: Connection timed out", "targetTimeout", "switched on"),
      (
        3, #"rsync: change_dir "/gone" failed: No such file or directory (2)"#, "targetUnreachable",
        "make it there"
      ),
      (12, "rsync: connection unexpectedly closed (0 bytes received so far)", "targetUnreachable", "broke"),
      (2, "protocol version mismatch -- is your shell clean?", "unsupported", "3.0.0 or newer"),
      (77, "something new", "targetFailed", "rsync failed"),
    ] as [(Int32, String, String, String)])
  func everyTroubleNamesTheWayOut(_ code: Int32, _ line: String, _ expected: String, _ words: String) throws {
    let error = try #require(
      RsyncTrouble(code, [Array(line.utf8)], settings: settings, address: "rsync://nas").error)
    #expect(error.code.rawValue == expected)
    #expect(error.message.contains(words), "\(error)")
    #expect(error.path == "rsync://nas")
  }

  @Test(arguments: [0, 23, 24, 25] as [Int32])
  func singleFilesTroubleEndsNoWindow(_ code: Int32) {
    let line = #"rsync: mkstemp "a" (in nas) failed: Permission denied (13)"#
    #expect(RsyncTrouble(code, [Array(line.utf8)], settings: settings, address: "").error == nil)
    let error = RsyncTrouble.ofFile("d/a", [Array(line.utf8)], otherwise: "")
    #expect(error.code == .targetDenied && error.path == "d/a")
  }
}
