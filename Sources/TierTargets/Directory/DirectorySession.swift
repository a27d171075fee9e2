import CTierLinux
import Glibc
import Synchronization
import TierCore
import TierLinux

/// One window on a directory.
final class DirectorySession: TargetSession {
  /// Nil once closed.
  private var opened: (any FileSystem)?
  let address: String
  /// Below the root, known to exist.
  var knownDirectories: Set<RelativePath> = [.root]

  /// Files in flight: their fsyncs share the file system's commits.
  private static let filesInFlight = 8

  init(root: any FileSystem, address: String) {
    opened = root
    self.address = address
  }

  var instance: UInt64? { nil }

  func close() { opened = nil }

  func root() throws(TierError) -> any FileSystem {
    guard let opened else {
      throw TierError(.internalFault, "this window on the target is closed", path: address)
    }
    return opened
  }

  // MARK: Staging

  func stage(_ uploads: [Upload], report: (Upload, StageOutcome) -> Void) throws(TierError) {
    let root = try root()
    // Large files one after the other, each on three threads; small ones beside each other.
    let isSmall = { (upload: Upload) in upload.size <= Int64(Content.pieceBytes) }
    try inParallel(uploads.filter(isSmall), width: Self.filesInFlight) {
      Self.stage($0, in: root)
    } onResult: {
      upload, result throws(TierError) in
      try Self.conclude(upload, result, report)
    }
    for upload in uploads where !isSmall(upload) {
      try Self.conclude(upload, Self.stage(upload, in: root), report)
    }
  }

  private static func conclude(
    _ upload: Upload, _ result: Result<ContentHash, DirectoryFailure>,
    _ report: (Upload, StageOutcome) -> Void
  ) throws(TierError) {
    switch result {
    case .success(let hash): report(upload, .staged(hash))
    case .failure(let failure): report(upload, .failed(try failure.ofFile()))
    }
  }

  private static func stage(_ upload: Upload, in root: any FileSystem) -> Result<
    ContentHash, DirectoryFailure
  > {
    let temporary = TargetLayout.temporary.appending(upload.archiveID.fileName)
    do throws(SyscallError) {
      let file = try create(temporary, in: root)
      defer { file.close() }
      let hash: ContentHash
      do throws(Content.Failure) {
        hash = try Content.copyDurably(upload.source, to: file, size: upload.size) {
          () throws(SyscallError) in
          try apply(upload.metadata, to: file)
          try file.sync(at: "directory.stage.sync")
        }
      } catch {
        try? root.unlink(temporary, at: "directory.stage.discard")
        return .failure(DirectoryFailure(error, path: upload.path))
      }
      _ = tier_drop_cache(file.rawDescriptor)
      return .success(hash)
    } catch {
      return .failure(DirectoryFailure(error))
    }
  }

  /// A leftover of that name is from a crash: it goes.
  private static func create(_ path: RelativePath, in root: any FileSystem) throws(SyscallError)
    -> any OpenFile
  {
    do throws(SyscallError) {
      return try root.open(path, .create(mode: 0o600), at: "directory.stage.create")
    } catch {
      guard error.errno == EEXIST else { throw error }
      try root.unlink(path, at: "directory.stage.replace")
      return try root.open(path, .create(mode: 0o600), at: "directory.stage.create")
    }
  }

  /// As far as the target's file system and tierd's rights go: the manifest has it all. Owner before mode, since
  /// a change of owner takes setuid away; times last.
  private static func apply(_ metadata: FileMetadata, to file: any OpenFile) throws(SyscallError) {
    do throws(SyscallError) {
      try file.setOwner(metadata.owner, group: metadata.group, at: "directory.stage.owner")
    } catch { try tolerate(error) }
    do throws(SyscallError) {
      try file.setMode(metadata.mode, at: "directory.stage.mode")
    } catch { try tolerate(error) }
    for attribute in metadata.attributes {
      do throws(SyscallError) {
        try file.setAttribute(attribute.name, to: attribute.value, at: "directory.stage.attribute")
      } catch { try tolerate(error) }
    }
    try file.setTimes(
      modified: metadata.modified, accessed: metadata.accessed, at: "directory.stage.times")
  }

  /// Lets pass what a target may be unable to keep.
  private static func tolerate(_ error: SyscallError) throws(SyscallError) {
    let passing = [EPERM, EACCES, EOPNOTSUPP, EINVAL, ENOSYS, E2BIG, ERANGE, ENOSPC]
    guard passing.contains(error.errno) else { throw error }
  }

  // MARK: Looking

  func status(of paths: [RelativePath]) throws(TierError) -> [TargetStatus?] {
    var found: [TargetStatus?] = []
    for path in paths { found.append(try fileStatus(of: path).map(TargetStatus.init)) }
    return found
  }

  /// Nil as well where a symbolic link stands in the path: what is behind it isn't the target's.
  func fileStatus(of path: RelativePath) throws(TierError) -> FileStatus? {
    let root = try root()
    do throws(SyscallError) {
      return try root.status(of: path, at: "directory.status")
    } catch {
      if error.errno == ELOOP || error.errno == ENAMETOOLONG { return nil }
      throw DirectoryFailure(error).error
    }
  }

  func list(_ directory: RelativePath) throws(TierError) -> [TargetEntry] {
    let root = try root()
    do throws(SyscallError) {
      return try root.list(directory, at: "directory.list").compactMap { entry in
        let isDirectory = entry.status.kind == .directory
        if isDirectory, TargetLayout.foreignFolders.contains(entry.name) { return nil }
        return TargetEntry(name: entry.name, isDirectory: isDirectory, status: TargetStatus(entry.status))
      }
    } catch {
      if error.errno == ENOENT || error.errno == ENOTDIR { return [] }
      throw DirectoryFailure(error).error
    }
  }

  // MARK: Reading

  func fetch(_ downloads: [Download], report: (Download, FetchOutcome) -> Void) throws(TierError) {
    for download in downloads {
      switch try openCopy(download.path) {
      case .missing: report(download, .missing)
      case .unreadable(let error): report(download, .failed(error))
      case .opened(let file):
        defer { file.close() }
        do throws(Content.Failure) {
          let size = try Self.size(of: file)
          let hash = try Content.copy(file, to: download.destination, size: size)
          report(download, .fetched(hash, size: size))
        } catch {
          report(download, .failed(try reading(error, download.path)))
        }
      }
    }
  }

  func hash(_ paths: [RelativePath], report: (RelativePath, HashOutcome) -> Void) throws(TierError) {
    for path in paths {
      switch try openCopy(path) {
      case .missing: report(path, .missing)
      case .unreadable(let error): report(path, .failed(error))
      case .opened(let file):
        defer { file.close() }
        // Not what this machine remembers of it: what the target has.
        _ = tier_drop_cache(file.rawDescriptor)
        do throws(Content.Failure) {
          let size = try Self.size(of: file)
          report(path, .hashed(try Content.hash(file, size: size), size: size))
        } catch {
          report(path, .failed(try reading(error, path)))
        }
      }
    }
  }

  private enum Copy {
    case opened(any OpenFile)
    case missing
    case unreadable(TierError)
  }

  private func openCopy(_ path: RelativePath) throws(TierError) -> Copy {
    let root = try root()
    do throws(SyscallError) {
      return .opened(try root.open(path, .read, at: "directory.open"))
    } catch {
      if error.errno == ENOENT || error.errno == ENOTDIR { return .missing }
      return .unreadable(try DirectoryFailure(error).ofFile())
    }
  }

  private static func size(of file: any OpenFile) throws(Content.Failure) -> Int64 {
    do throws(SyscallError) { return try file.status(at: "directory.size").size } catch {
      throw .source(error)
    }
  }

  /// Here the target's file is the source, and the cache's the destination.
  private func reading(_ failure: Content.Failure, _ path: RelativePath) throws(TierError) -> TierError {
    switch failure {
    case .source(let error): try DirectoryFailure(error).ofFile()
    case .destination(let error): TierError(error)
    case .length, .differs: DirectoryFailure(failure, path: path).error
    }
  }
}

extension TargetStatus {
  init(_ status: FileStatus) {
    self.init(size: status.size, modified: status.modified, isRegular: status.kind == .regular)
  }
}
