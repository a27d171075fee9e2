import Glibc
import TierCore
import TierEngine
import TierLinux
import TierTestSupport

/// Our two ways of getting a tree to a target.
struct Archiving {
  let tree: FileTree
  /// Empty, a new one each time.
  let makeTarget: () throws -> (target: any Target, kind: Configuration.Kind)
  let emptyTarget: () throws -> Void
  var copyName = Archiving.copyName

  static let copyName = "tierd copy"
  static let windowName = "tierd window"

  /// What the target alone does: connect, stage (write, make durable, read back, compare), publish, close.
  var copying: Contender {
    Contender(name: copyName, remark: "durable, verified") {
      let target = try makeTarget().target
      return try timed {
        let session = try target.connect()
        defer { session.close() }
        let tuning = EngineTuning()
        let perBatch = max(1, min(tuning.batchFiles, Int(tuning.batchBytes) / max(1, tree.bytes)))
        let volume = try tree.folder.fileSystem()
        for first in stride(from: 0, to: tree.files, by: perBatch) {
          try archive(first..<min(first + perBatch, tree.files), of: volume, session)
        }
      }
    } cleanUp: {
      try emptyTarget()
    }
  }

  /// What a user waits for at `tierctl flush`: also journal, manifest, catalog, and the mark on each file.
  var window: Contender {
    // Archived files are marked: each round gets a volume of its own.
    let volume = Reusable<(folder: TemporaryDirectory, engine: RunningEngine)>()
    return Contender(name: Self.windowName, remark: "durable, verified, journaled") {
      let folder = try TemporaryDirectory()
      try Programs.shell("cp -r '\(tree.path)/.' '\(folder.path)/'; sync -f '\(folder.path)'")
      let (target, kind) = try makeTarget()
      volume.value = (folder, try RunningEngine(volume: folder.path, target: target, kind: kind))
    } run: {
      guard let engine = volume.value?.engine else { return .zero }
      return try engine.flush(expecting: tree.files)
    } cleanUp: {
      volume.value?.engine.stop()
      volume.value = nil
      try emptyTarget()
    }
  }

  private func archive(_ numbers: Range<Int>, of volume: LinuxFileSystem, _ session: any TargetSession) throws
  {
    let uploads = try numbers.map { try upload(tree.name($0), of: volume) }
    defer { for upload in uploads { upload.source.close() } }
    var publications: [Publication] = []
    var failure: TierError?
    try session.stage(uploads) { upload, outcome in
      switch outcome {
      case .staged(let hash):
        publications.append(
          Publication(upload: upload, hash: hash, replaces: nil, trash: nil, conflictSuffix: "bench"))
      case .failed(let error): failure = error
      }
    }
    try session.publish(publications) { _, outcome in
      if case .failed(let error) = outcome { failure = error }
    }
    if let failure { throw failure }
  }

  private func upload(_ path: RelativePath, of volume: LinuxFileSystem) throws -> Upload {
    let file = try volume.open(path, .read, at: "bench.open")
    let status = try file.status(at: "bench.status")
    return Upload(
      archiveID: .random(), source: file, sourceRoot: volume.rootPath, sourcePath: path, path: path,
      size: status.size,
      metadata: FileMetadata(
        mode: status.mode, owner: status.owner, group: status.group, modified: status.modified,
        accessed: status.accessed, attributes: try file.attributes(at: "bench.attributes")))
  }
}

private final class Reusable<Value> {
  var value: Value?
}

/// The three loads that every target is measured with.
struct Load {
  let title: String
  let files: Int
  let bytes: Int
  let rounds: Int

  static let all = [
    Load(title: "5,000 × 16 KiB", files: 5000, bytes: 16 << 10, rounds: 3),
    Load(title: "200 × 4 MiB", files: 200, bytes: 4 << 20, rounds: 3),
    Load(title: "1 × 1 GiB", files: 1, bytes: 1 << 30, rounds: 3),
  ]

  var isSmallFiles: Bool { bytes < 1 << 20 }

  static func chosen(_ arguments: [String], of loads: [Load] = all) throws -> [Load] {
    guard let first = arguments.first else { return loads }
    let chosen = loads.filter { $0.title.replacing(" ", with: "").hasPrefix(first) }
    guard !chosen.isEmpty else {
      throw UsageError(description: "no load begins with \"\(first)\": \(loads.map(\.title))")
    }
    return chosen
  }

  func rate(_ time: Duration) -> String {
    isSmallFiles
      ? "\(threeDigits(Double(files) / time.seconds)) files/s"
      : "\(threeDigits(Double(files * bytes) / 1e6 / time.seconds)) MB/s"
  }
}
