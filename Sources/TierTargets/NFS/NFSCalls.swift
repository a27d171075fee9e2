import CLibNFS
import Glibc
import TierCore

/// NFSv3's procedures, as far as tierd needs them. Each queues one call and returns; `then` runs within `turn`.
extension NFSConnection {
  typealias Answer<Value> = Result<Value, NFSRefusal>

  func fileSystemLimits(_ root: NFSHandle, then: @escaping (Answer<NFSLimits>) -> Void) {
    root.withHandle { handle in
      var arguments = FSINFO3args(fsroot: handle)
      call("FSINFO", FSINFO3res.self, { rpc_nfs3_fsinfo_async($0, nfsAnswered, &arguments, $1) }) { reply in
        then(
          Self.answer("FSINFO", reply.pointee.status) { NFSLimits(reply.pointee.FSINFO3res_u.resok) })
      }
    }
  }

  func attributes(_ file: NFSHandle, then: @escaping (Answer<NFSAttributes>) -> Void) {
    file.withHandle { handle in
      var arguments = GETATTR3args(object: handle)
      call("GETATTR", GETATTR3res.self, { rpc_nfs3_getattr_async($0, nfsAnswered, &arguments, $1) }) {
        reply in
        then(
          Self.answer("GETATTR", reply.pointee.status) {
            NFSAttributes(reply.pointee.GETATTR3res_u.resok.obj_attributes)
          })
      }
    }
  }

  struct Found {
    var handle: NFSHandle
    var attributes: NFSAttributes
  }

  /// Nil where nothing has that name.
  func lookup(_ name: FileName, in directory: NFSHandle, then: @escaping (Answer<Found?>) -> Void) {
    directory.with(name) { place in
      var arguments = LOOKUP3args(what: place)
      call("LOOKUP", LOOKUP3res.self, { rpc_nfs3_lookup_async($0, nfsAnswered, &arguments, $1) }) {
        [unowned self] reply in
        if NFSStatus(reply.pointee.status) == .noEntry { return then(.success(nil)) }
        let found = Self.answer("LOOKUP", reply.pointee.status) {
          (
            NFSHandle(reply.pointee.LOOKUP3res_u.resok.object),
            NFSAttributes(reply.pointee.LOOKUP3res_u.resok.obj_attributes)
          )
        }
        switch found {
        case .failure(let refusal): then(.failure(refusal))
        case .success((nil, _)): then(.failure(NFSRefusal(procedure: "LOOKUP", status: .badHandle)))
        case .success((let handle?, let attributes?)):
          then(.success(Found(handle: handle, attributes: attributes)))
        case .success((let handle?, nil)):
          attributes(handle) { then($0.map { Found(handle: handle, attributes: $0) }) }
        }
      }
    }
  }

  func create(
    _ name: FileName, in directory: NFSHandle, mode: UInt16, then: @escaping (Answer<NFSHandle>) -> Void
  ) {
    directory.with(name) { place in
      var arguments = CREATE3args()
      arguments.where = place
      arguments.how.mode = GUARDED
      arguments.how.createhow3_u.g_obj_attributes = NFSChanges(mode: mode).sattr
      call("CREATE", CREATE3res.self, { rpc_nfs3_create_async($0, nfsAnswered, &arguments, $1) }) {
        [unowned self] reply in
        made("CREATE", name, in: directory, then) {
          Self.answer("CREATE", reply.pointee.status) { NFSHandle(reply.pointee.CREATE3res_u.resok.obj) }
        }
      }
    }
  }

  func makeDirectory(
    _ name: FileName, in directory: NFSHandle, mode: UInt16, then: @escaping (Answer<NFSHandle>) -> Void
  ) {
    directory.with(name) { place in
      var arguments = MKDIR3args(where: place, attributes: NFSChanges(mode: mode).sattr)
      call("MKDIR", MKDIR3res.self, { rpc_nfs3_mkdir_async($0, nfsAnswered, &arguments, $1) }) {
        [unowned self] reply in
        made("MKDIR", name, in: directory, then) {
          Self.answer("MKDIR", reply.pointee.status) { NFSHandle(reply.pointee.MKDIR3res_u.resok.obj) }
        }
      }
    }
  }

  struct Written {
    /// Bytes that the server took.
    var count: Int
    var verifier: UInt64
    /// True where they need no COMMIT.
    var isDurable: Bool
  }

  /// libnfs copies `data` before it returns. `durably` asks the server to answer when the data is on its disk.
  func write(
    _ data: UnsafeRawBufferPointer, to file: NFSHandle, offset: Int64, durably: Bool,
    then: @escaping (Answer<Written>) -> Void
  ) {
    file.withHandle { handle in
      var arguments = WRITE3args()
      arguments.file = handle
      arguments.offset = UInt64(offset)
      arguments.count = UInt32(data.count)
      arguments.stable = durably ? FILE_SYNC : UNSTABLE
      arguments.data.data_len = UInt32(data.count)
      arguments.data.data_val = UnsafeMutablePointer(
        mutating: data.baseAddress!.assumingMemoryBound(to: CChar.self))
      call("WRITE", WRITE3res.self, { rpc_nfs3_write_async($0, nfsAnswered, &arguments, $1) }) { reply in
        then(
          Self.answer("WRITE", reply.pointee.status) {
            let taken = reply.pointee.WRITE3res_u.resok
            return Written(
              count: Int(taken.count), verifier: verifier(taken.verf), isDurable: taken.committed == FILE_SYNC
            )
          })
      }
    }
  }

  /// Makes all of the file durable; `then` gets the write verifier.
  func commit(_ file: NFSHandle, then: @escaping (Answer<UInt64>) -> Void) {
    file.withHandle { handle in
      var arguments = COMMIT3args(file: handle, offset: 0, count: 0)
      call("COMMIT", COMMIT3res.self, { rpc_nfs3_commit_async($0, nfsAnswered, &arguments, $1) }) { reply in
        then(Self.answer("COMMIT", reply.pointee.status) { verifier(reply.pointee.COMMIT3res_u.resok.verf) })
      }
    }
  }

  struct Piece {
    /// Alive only during the call to `then`.
    var bytes: UnsafeRawBufferPointer
    var isLast: Bool
    var attributes: NFSAttributes?
  }

  func read(_ file: NFSHandle, offset: Int64, count: Int, then: @escaping (Answer<Piece>) -> Void) {
    file.withHandle { handle in
      var arguments = READ3args(file: handle, offset: UInt64(offset), count: UInt32(count))
      call("READ", READ3res.self, { rpc_nfs3_read_async($0, nfsAnswered, &arguments, $1) }) { reply in
        then(
          Self.answer("READ", reply.pointee.status) {
            let read = reply.pointee.READ3res_u.resok
            return Piece(
              bytes: UnsafeRawBufferPointer(start: read.data.data_val, count: Int(read.data.data_len)),
              isLast: read.eof != 0, attributes: NFSAttributes(read.file_attributes))
          })
      }
    }
  }

  /// `then` gets the file as it is afterwards, where the server tells: it may do less than it was asked for.
  func change(_ file: NFSHandle, _ changes: NFSChanges, then: @escaping (Answer<NFSAttributes?>) -> Void) {
    file.withHandle { handle in
      var arguments = SETATTR3args()
      arguments.object = handle
      arguments.new_attributes = changes.sattr
      call("SETATTR", SETATTR3res.self, { rpc_nfs3_setattr_async($0, nfsAnswered, &arguments, $1) }) {
        reply in
        then(
          Self.answer("SETATTR", reply.pointee.status) {
            NFSAttributes(reply.pointee.SETATTR3res_u.resok.obj_wcc.after)
          })
      }
    }
  }

  /// Replaces what has the new name.
  func rename(
    _ name: FileName, in directory: NFSHandle, to newName: FileName, in newDirectory: NFSHandle,
    then: @escaping (Answer<Void>) -> Void
  ) {
    directory.with(name) { from in
      newDirectory.with(newName) { to in
        var arguments = RENAME3args(from: from, to: to)
        call("RENAME", RENAME3res.self, { rpc_nfs3_rename_async($0, nfsAnswered, &arguments, $1) }) {
          then(Self.answer("RENAME", $0.pointee.status) {})
        }
      }
    }
  }

  func remove(_ name: FileName, in directory: NFSHandle, then: @escaping (Answer<Void>) -> Void) {
    directory.with(name) { place in
      var arguments = REMOVE3args(object: place)
      call("REMOVE", REMOVE3res.self, { rpc_nfs3_remove_async($0, nfsAnswered, &arguments, $1) }) {
        then(Self.answer("REMOVE", $0.pointee.status) {})
      }
    }
  }

  func removeDirectory(_ name: FileName, in directory: NFSHandle, then: @escaping (Answer<Void>) -> Void) {
    directory.with(name) { place in
      var arguments = RMDIR3args(object: place)
      call("RMDIR", RMDIR3res.self, { rpc_nfs3_rmdir_async($0, nfsAnswered, &arguments, $1) }) {
        then(Self.answer("RMDIR", $0.pointee.status) {})
      }
    }
  }

  /// One page of a directory.
  struct Page {
    struct Entry {
      var name: FileName
      /// Both may be left out by the server.
      var handle: NFSHandle?
      var attributes: NFSAttributes?
    }
    var entries: [Entry] = []
    var cookie: UInt64 = 0
    var cookieVerifier: cookieverf3 = (0, 0, 0, 0, 0, 0, 0, 0)
    var isLast = false
  }

  /// The page after `page`; an empty one starts.
  func list(_ directory: NFSHandle, after page: Page, then: @escaping (Answer<Page>) -> Void) {
    directory.withHandle { handle in
      var arguments = READDIRPLUS3args(
        dir: handle, cookie: page.cookie, cookieverf: page.cookieVerifier, dircount: 32 << 10,
        maxcount: 128 << 10)
      call(
        "READDIRPLUS", READDIRPLUS3res.self, { rpc_nfs3_readdirplus_async($0, nfsAnswered, &arguments, $1) }
      ) {
        reply in
        then(
          Self.answer("READDIRPLUS", reply.pointee.status) {
            Page(reply.pointee.READDIRPLUS3res_u.resok, startingAt: page.cookie)
          })
      }
    }
  }

  // MARK: Machinery

  private func call<Reply>(
    _ procedure: String, _: Reply.Type, _ start: (OpaquePointer, UnsafeMutableRawPointer) -> Int32,
    _ body: @escaping (UnsafePointer<Reply>) -> Void
  ) {
    issue(procedure, start) { data in
      // libnfs has decoded a reply, or reported an error instead.
      guard let data else { return }
      body(UnsafePointer(data.assumingMemoryBound(to: Reply.self)))
    }
  }

  private static func answer<Value>(_ procedure: String, _ status: nfsstat3, _ value: () -> Value) -> Answer<
    Value
  > {
    status == NFS3_OK
      ? .success(value()) : .failure(NFSRefusal(procedure: procedure, status: NFSStatus(status)))
  }

  /// A server may leave the new object's handle out of its answer: then it is looked up.
  private func made(
    _ procedure: String, _ name: FileName, in directory: NFSHandle,
    _ then: @escaping (Answer<NFSHandle>) -> Void,
    _ answer: () -> Answer<NFSHandle?>
  ) {
    switch answer() {
    case .failure(let refusal): then(.failure(refusal))
    case .success(let handle?): then(.success(handle))
    case .success(nil):
      lookup(name, in: directory) { answer in
        then(
          answer.flatMap {
            $0.map { .success($0.handle) } ?? .failure(NFSRefusal(procedure: procedure, status: .noEntry))
          })
      }
    }
  }
}

/// What the server takes and gives at once; bytes.
struct NFSLimits: Hashable {
  var readSize: Int
  var writeSize: Int

  /// More than this at once gains nothing, and less would be no server.
  private static let sizes = 4096...(1 << 20)

  init(_ reply: FSINFO3resok) {
    readSize = min(max(Int(reply.rtmax), Self.sizes.lowerBound), Self.sizes.upperBound)
    writeSize = min(max(Int(reply.wtmax), Self.sizes.lowerBound), Self.sizes.upperBound)
  }
}

extension NFSConnection.Page {
  init(_ reply: READDIRPLUS3resok, startingAt cookie: UInt64) {
    self.cookie = cookie
    cookieVerifier = reply.cookieverf
    isLast = reply.reply.eof != 0
    var next = reply.reply.entries
    while let entry = next?.pointee {
      next = entry.nextentry
      self.cookie = entry.cookie
      guard let text = entry.name else { continue }
      // `.` and `..` are no file names, and a server that sends a slash gets no hearing.
      guard let name = FileName(Array(UnsafeRawBufferPointer(start: text, count: strlen(text)))) else {
        continue
      }
      entries.append(
        Entry(
          name: name, handle: NFSHandle(entry.name_handle), attributes: NFSAttributes(entry.name_attributes)))
    }
  }
}
