import Glibc
import TierCore
import TierLinux
import TierTestSupport

@testable import TierTargets

extension TargetKind {
  static let nfsKinds: [TargetKind] =
    NASStandIn.isAvailable
    ? [
      TargetKind(testDescription: "nfs", make: { try NFSBench.make() }),
      TargetKind(
        testDescription: "nfs on btrfs", make: { try NFSBench.make(NFSBench.sharedOnBtrfs.get()) }),
    ] : []
}

enum NFSBench {
  /// For tests that leave the server itself alone: they share one, each in a folder of its own.
  static let shared = Result { try NASStandIn() }
  static let sharedOnBtrfs = Result { try NASStandIn(disk: .btrfs) }

  /// `change` may point the share elsewhere, after the folder was made on the NAS.
  static func make(
    _ nas: NASStandIn? = nil, squashed: Bool = false, timeout: Duration = .seconds(30),
    notices: Notices = Notices(),
    change: (inout Configuration.NFS) -> Void = { _ in }
  ) throws -> TargetBench {
    let nas = try nas ?? shared.get()
    let name = "target-\(UInt64.random(in: 0 ... .max))"
    let folder = "\(squashed ? nas.squashedFolder : nas.nfsFolder)/\(name)"
    guard mkdir(folder, 0o777) == 0, chmod(folder, 0o777) == 0 else {
      throw SyscallError(call: "mkdir", path: folder, errno: errno)
    }
    var share = Configuration.NFS(
      host: nas.address, export: squashed ? nas.squashedExport : nas.nfsExport, folder: RelativePath(name)!)
    change(&share)
    return try TargetBench(folder: folder, keeping: [nas]) { memory, _ in
      NFSTarget(name: "nas", share: share, timeout: timeout, memory: memory, notice: { notices.add($0) })
    }
  }
}

extension TargetBench {
  /// The same target and memory, reached through a proxy.
  func through(_ proxy: RPCProxy, _ nas: NASStandIn) -> NFSTarget {
    let name = folder.split(separator: "/").last!
    // The memory's key holds the host: what was learned directly is given to the proxy's name too.
    let known = memory.load("nfs.root:\(nas.address):\(nas.nfsExport)")
    memory.store("nfs.root:127.0.0.1:\(nas.nfsExport)", known)
    return NFSTarget(
      name: "nas",
      share: Configuration.NFS(
        host: "127.0.0.1", export: nas.nfsExport, folder: RelativePath(String(name))!, port: proxy.port),
      timeout: .seconds(30), memory: memory)
  }
}
