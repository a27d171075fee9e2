import CLibNFS
import Glibc
import TierCore

/// The MOUNT protocol: where an export's root handle comes from.
extension NFSConnection {
  func mount(_ export: String, then: @escaping (Result<NFSHandle, MountRefusal>) -> Void) {
    var path = Array(export.utf8CString)
    issue("MNT", { rpc_mount3_mnt_async($0, nfsAnswered, &path, $1) }) { data in
      guard let reply = data?.assumingMemoryBound(to: mountres3.self) else { return }
      guard reply.pointee.fhs_status == MNT3_OK else {
        return then(.failure(MountRefusal(status: reply.pointee.fhs_status.rawValue)))
      }
      let handle = reply.pointee.mountres3_u.mountinfo.fhandle
      let bytes = Array(UnsafeRawBufferPointer(start: handle.fhandle3_val, count: Int(handle.fhandle3_len)))
      then(NFSHandle(bytes).map { .success($0) } ?? .failure(MountRefusal(status: MountRefusal.noHandle)))
    }
  }

  /// The paths that the server exports.
  func exports(then: @escaping ([String]) -> Void) {
    issue("EXPORT", { rpc_mount3_export_async($0, nfsAnswered, $1) }) { data in
      var paths: [String] = []
      var next = data?.assumingMemoryBound(to: UnsafeMutablePointer<exportnode>?.self).pointee
      while let node = next?.pointee, paths.count < 20 {
        if let path = node.ex_dir { paths.append(EscapedText.encode(Array(String(cString: path).utf8))) }
        next = node.ex_next
      }
      then(paths)
    }
  }
}

/// `mountstat3`.
struct MountRefusal: Error, Hashable {
  var status: UInt32

  static let noHandle: UInt32 = 10_000
  static let noSuchExport = MountRefusal(status: 2)
  static let denied = MountRefusal(status: 13)

  func error(_ export: String, exports: [String], hasPrivilegedPort: Bool, at address: String) -> TierError {
    let offer = exports.isEmpty ? "" : " (it exports \(exports.joined(separator: ", ")))"
    let privileged = hasPrivilegedPort ? "" : "; or " + NFSServer.privilegedPort
    let isOffered = exports.contains(export)
    let message =
      switch status {
      case 1, 13:
        isOffered || exports.isEmpty
          ? "the server denies this export to this host: add the host's address to the export's NFS rules\(privileged)"
          : "the server denies this export to this host, or doesn't know it\(offer): check `export`"
      case 2, 20: "the server has no export of this path\(offer): check `export`"
      default: "the server refuses to mount the export"
      }
    return TierError(
      status == 1 || status == 13 ? .targetDenied : .targetFailed, message, path: address,
      cause: "MNT: status \(status)", disposition: .retry)
  }
}
