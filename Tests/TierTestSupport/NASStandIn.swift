import Glibc
import Synchronization
import TierLinux

/// A NAS of the test's own: a real NFSv3 server (nfs-ganesha), a real rsync daemon and sshd, on a loop-device disk
/// in private namespaces (`Tests/NAS/nas-stand-in.sh`). Starts in half a second; any number can run at once; gone
/// with `close`, with the last reference, or with the test process, however that ends.
package final class NASStandIn: Sendable {
  package enum Disk: String, Sendable { case ext4, btrfs }

  /// What CI installs.
  package static let debianPackages = [
    "nfs-ganesha", "nfs-ganesha-vfs", "rpcbind", "rsync", "openssh-server", "openssh-client", "btrfs-progs",
    "e2fsprogs", "iproute2", "util-linux",
  ]

  /// Why no stand-in can run here; nil where it can. For `.enabled(if: NASStandIn.obstacle == nil, …)`.
  package static let obstacle: String? = {
    guard geteuid() == 0 else { return "a NAS stand-in needs root (namespaces, loop devices)" }
    let programs = [
      "ganesha.nfsd", "rpcbind", "rsync", "sshd", "ssh-keygen", "mkfs.ext4", "mkfs.btrfs", "ip", "ss",
    ]
    let places = ["/usr/sbin/", "/usr/bin/", "/sbin/", "/bin/"]
    let missing = programs.filter { program in !places.contains { access($0 + program, X_OK) == 0 } }
    guard missing.isEmpty else {
      return "a NAS stand-in lacks \(missing.joined(separator: ", ")): "
        + "apt-get install \(debianPackages.joined(separator: " "))"
    }
    return nil
  }()

  package static var isAvailable: Bool { obstacle == nil }
  /// For the trait's comment.
  package static var skipReason: String { obstacle ?? "" }

  package let address: String
  package let nfsExport = "/volume1/tier"
  /// Everyone is mapped to uid 1024, gid 100; any client port will do.
  package let squashedExport = "/volume1/squash"
  /// `tierd` may write; `rsyncPassword` is what goes into its password file.
  package let rsyncModule = "NetBackup"
  package let rsyncReadOnlyModule = "readonly"
  package let rsyncUser = "tierd"
  package let rsyncPassword = "s3cret"

  /// The NAS's own view of the disk, as local paths that the test may read and write.
  package let volumeFolder: String
  package var nfsFolder: String { volumeFolder + "/tier" }
  package var squashedFolder: String { volumeFolder + "/squash" }
  package var rsyncFolder: String { volumeFolder + "/NetBackup" }
  /// With `ssh: true`: root's key, and the known-hosts file that names the server.
  package let sshIdentityFile: String
  package let sshKnownHostsFile: String

  private let process: String
  private let box: Mutex<ScriptBox>

  package init(disk: Disk = .ext4, diskMiB: Int = 8192, ssh: Bool = false) throws {
    let box = try ScriptBox(
      "NAS/nas-stand-in.sh", [disk.rawValue, String(diskMiB)] + (ssh ? ["ssh"] : []))
    let words = try box.answer().split(separator: " ").map(String.init)
    guard words.count == 3 else { throw BoxFailure(description: "unexpected greeting: \(words)") }
    address = words[1]
    process = "/proc/\(words[0])"
    let root = "\(process)/root/run/nas"
    volumeFolder = root + "/volume1"
    sshIdentityFile = root + "/ssh/identity"
    sshKnownHostsFile = root + "/ssh/known_hosts"
    self.box = Mutex(box)
  }

  /// SIGKILL to the NFS server; its port is closed on return.
  package func kill() throws { try command("kill") }
  /// After `kill`. Listens again on return; a new instance, with a new write verifier.
  package func start() throws { try command("start") }
  /// A crash and a new start.
  package func restart() throws {
    try kill()
    try start()
  }
  /// SIGSTOP: the server accepts connections, but answers nothing.
  package func freeze() throws { try command("freeze") }
  package func thaw() throws { try command("thaw") }
  /// Pulls the network cable, and puts it back.
  package func setLink(up: Bool) throws { try command("link \(up ? "up" : "down")") }

  package enum Squash: String, Sendable {
    case none = "No_Root_Squash"
    case root = "Root_Squash"
    case all = "All_Squash"
  }
  /// These three restart the server.
  package func setSquash(_ squash: Squash) throws { try command("squash \(squash.rawValue)") }
  package func setReadOnly(_ isReadOnly: Bool) throws { try command("access \(isReadOnly ? "RO" : "RW")") }
  package func setPrivilegedPort(required: Bool) throws { try command("privileged \(required)") }

  /// Fills the disk until about `bytes` are free.
  package func fillDisk(leaving bytes: Int) throws { try command("fill \(bytes)") }
  package func emptyDisk() throws { try command("unfill") }
  /// A new, empty disk in place of the old one: every file handle is stale.
  package func replaceDisk() throws { try command("reformat") }
  package func sync() throws { try command("sync") }

  /// Of the NAS's disk, since it was made.
  package struct BlockCounters: Hashable, Sendable {
    package var readBytes: Int
    package var writtenBytes: Int
    package var flushes: Int
  }
  package func counters() throws -> BlockCounters {
    let fields = try command("counters").split(separator: " ").compactMap { Int($0) }
    guard fields.count >= 7 else { throw BoxFailure(description: "unexpected counters: \(fields)") }
    return BlockCounters(
      readBytes: fields[2] * 512, writtenBytes: fields[6] * 512, flushes: fields.count > 15 ? fields[15] : 0)
  }

  /// Established TCP connections to the NAS.
  package func connections() throws -> Int {
    guard let count = Int(try command("connections")) else { throw BoxFailure(description: "no number") }
    return count
  }

  /// TCP connections that it ever accepted, however short they were.
  package func acceptedConnections() throws -> Int {
    let text = String(decoding: try SmallFile.read("\(process)/net/snmp", limit: 1 << 20), as: UTF8.self)
    let lines = text.split(separator: "\n").filter { $0.hasPrefix("Tcp:") }.map { $0.split(separator: " ") }
    guard lines.count == 2, let index = lines[0].firstIndex(of: "PassiveOpens"),
      let count = Int(lines[1][index])
    else { throw BoxFailure(description: "no count of connections") }
    return count
  }

  /// Ends it. A second call does nothing.
  package func close() { box.withLock { $0.close() } }

  @discardableResult
  private func command(_ text: String) throws -> String { try box.withLock { try $0.command(text) } }
}
