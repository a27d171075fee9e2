import Glibc
import Synchronization
import TierLinux

/// A GlusterFS volume of the test's own, on two bricks of one machine (`Tests/Gluster/gluster-volume.sh`): the real
/// glusterd and glusterfsd in private namespaces, FUSE clients in ours. Starts in two to three seconds; any number can
/// run at once; gone with `close`, with the last reference, or with the test process, however that ends.
package final class GlusterVolume: Sendable {
  package enum Kind: String, Sendable {
    /// Each file is on both bricks.
    case replica
    /// Each file is on one of the two.
    case distribute
  }

  package static let debianPackages = [
    "glusterfs-server", "glusterfs-client", "e2fsprogs", "iproute2", "util-linux",
  ]

  /// Why none can run here; nil where one can. For `.enabled(if: GlusterVolume.obstacle == nil, …)`.
  package static let obstacle: String? = {
    guard Machine.isRoot else { return "a GlusterFS volume needs root (namespaces, FUSE, loop devices)" }
    let programs = ["glusterd", "glusterfs", "gluster", "mkfs.ext4", "ip", "setpriv"]
    let missing = programs.filter { !Machine.has($0) }
    guard missing.isEmpty else {
      return "a GlusterFS volume lacks \(missing.joined(separator: ", ")): "
        + "apt-get install --no-install-recommends \(debianPackages.joined(separator: " "))"
    }
    guard Machine.hasLoopDevices else { return "a GlusterFS volume needs loop devices for its bricks" }
    return access("/dev/fuse", R_OK | W_OK) == 0 ? nil : "a GlusterFS volume needs /dev/fuse: modprobe fuse"
  }()

  package static var skipReason: String { obstacle ?? "" }

  /// Where tierd finds the volume.
  package var path: String { folder.path(Client.tierd.rawValue) }
  /// Another client, as another node or a pod has one: what happens through it, nobody here is told of. Mounted by
  /// `mount(.other)`.
  package var otherPath: String { folder.path(Client.other.rawValue) }

  package enum Client: String, Sendable { case tierd, other }

  /// What each brick's own disk holds, from outside.
  package let bricks: [String]
  private let folder: TemporaryDirectory
  private let box: Mutex<ScriptBox>

  package init(_ kind: Kind = .replica, brickMiB: Int = 1024) throws {
    folder = try TemporaryDirectory()
    let box = try ScriptBox("Gluster/gluster-volume.sh", [kind.rawValue, folder.path, String(brickMiB)])
    let process = try box.answer()
    bricks = [1, 2].map { "/proc/\(process)/root/run/bricks/\($0)/brick" }
    self.box = Mutex(box)
    try mount(.tierd)
  }

  deinit { close() }

  /// A new FUSE client; connected to all bricks that run on return.
  package func mount(_ client: Client) throws { try command("mount \(client.rawValue)") }
  /// As an administrator does it: fails while something is open below it.
  package func unmount(_ client: Client) throws { try command("unmount \(client.rawValue)") }
  /// SIGKILL to the FUSE client: the mount stays, and every call on it fails with `ENOTCONN`.
  package func killClient(_ client: Client) throws { try command("kill-client \(client.rawValue)") }
  /// `umount -l`.
  package func detach(_ client: Client) throws { try command("detach \(client.rawValue)") }

  /// SIGKILL to the brick's process; 1 or 2.
  package func killBrick(_ number: Int) throws { try command("kill-brick \(number)") }
  /// Those that were killed run again, and all clients are connected to them on return.
  package func startBricks() throws { try command("start-bricks") }

  package func set(_ option: String, to value: String) throws { try command("set \(option) \(value)") }

  /// Ends it. A second call does nothing.
  package func close() { box.withLock { $0.close() } }

  private func command(_ text: String) throws { try box.withLock { _ = try $0.command(text) } }
}
