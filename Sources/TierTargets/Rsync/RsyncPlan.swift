import TierCore

/// Which way each publication goes, by what stands at its final name.
struct RsyncPlan {
  struct Transfer {
    var options: [[UInt8]]
    var publications: [Publication]
  }

  /// Our own older copies whose place in the trash rsync's `--backup` can't express.
  private(set) var toCopyToTrash: [(Publication, RelativePath)] = []
  private(set) var refused: [(Publication, TierError)] = []
  private var fresh: [Publication] = []
  private var overwriting: [Publication] = []
  private var trashing: [Backup: [Publication]] = [:]
  private var foreign: [Publication] = []
  private var settingAside: [String: [Publication]] = [:]

  /// Where `--backup` puts what is replaced: `<directory>/<path><suffix>`.
  struct Backup: Hashable {
    var directory: RelativePath
    var suffix: [UInt8]

    /// Nil where the trash place has another form.
    init?(of path: RelativePath, to trash: RelativePath) {
      let place = trash.bytes
      for start in place.indices where start == 0 || place[start - 1] == .slash {
        guard start > 0, place[start...].starts(with: path.bytes) else { continue }
        let suffix = Array(place[(start + path.bytes.count)...])
        guard !suffix.contains(.slash), let directory = RelativePath(Array(place[..<(start - 1)])) else {
          continue
        }
        self.directory = directory
        self.suffix = suffix
        return
      }
      return nil
    }
  }

  /// Throws what is wrong with this one.
  mutating func add(_ publication: Publication, standing: [RelativePath: RsyncText.Listed]) throws(TierError)
  {
    let path = publication.upload.path
    guard let there = standing[path]?.status else {
      fresh.append(publication)
      return
    }
    guard let replaces = publication.replaces, there.matches(replaces) else {
      guard there.isRegular else {
        throw TierError(
          .targetDenied,
          "on the target a folder or a link stands in its place, which rsync can't set aside: move it away",
          path: path.escaped)
      }
      foreign.append(publication)
      return
    }
    guard let trash = publication.trash else {
      overwriting.append(publication)
      return
    }
    guard standing[trash] == nil else {
      throw TierError(
        .targetFailed, "its place in the trash is taken: \(trash)", path: path.escaped, disposition: .retry)
    }
    if let backup = Backup(of: path, to: trash) {
      trashing[backup, default: []].append(publication)
    } else {
      toCopyToTrash.append((publication, trash))
      overwriting.append(publication)
    }
  }

  /// Finds a free name for each file of somebody else's.
  mutating func nameConflicts(_ session: RsyncSession) throws(TierError) -> [ArchiveID: RelativePath] {
    var names: [ArchiveID: RelativePath] = [:]
    var attempt = 1
    while !foreign.isEmpty {
      let wanted = foreign.map { publication in
        let suffix = attempt > 1 ? "\(publication.conflictSuffix)-\(attempt)" : publication.conflictSuffix
        return (publication, ".conflict-" + suffix)
      }
      let paths = wanted.map { publication, suffix in
        FileName((publication.upload.path.name?.bytes ?? []) + Array(suffix.utf8)).map {
          publication.upload.path.parent.appending($0)
        }
      }
      let taken = try session.statuses(of: Set(paths.compactMap(\.self)))
      foreign = []
      for ((publication, suffix), path) in zip(wanted, paths) {
        guard let path, path.name!.bytes.count <= 255 else {
          refused.append((publication, Self.nameTooLong(publication)))
          continue
        }
        if taken[path] != nil, attempt < 100 {
          foreign.append(publication)
        } else {
          names[publication.upload.archiveID] = path
          settingAside[suffix, default: []].append(publication)
        }
      }
      attempt += 1
    }
    return names
  }

  private static func nameTooLong(_ publication: Publication) -> TierError {
    TierError(
      .targetDenied,
      "on the target another file stands in its place, and its name is too long for rsync to set it aside: "
        + "rename it there", path: publication.upload.path.escaped)
  }

  /// In the order of the runs.
  var transfers: [Transfer] {
    // Readable by the server's own user, so that the copy can be compared and fetched.
    let common = [
      "--perms", "--chmod=Fu+r", "--times", "--omit-dir-times", "--owner", "--group", "--numeric-ids",
      "--temp-dir=.tierd/tmp",
    ].asArguments
    // What appeared since it was looked for stays.
    var transfers = [Transfer(options: common + ["--ignore-existing"].asArguments, publications: fresh)]
    transfers.append(Transfer(options: common + ["--ignore-times"].asArguments, publications: overwriting))
    for (backup, publications) in trashing {
      let options =
        ["--ignore-times", "--backup"].asArguments + [
          RsyncSession.option("--backup-dir=", backup.directory.bytes),
          RsyncSession.option("--suffix=", backup.suffix),
        ]
      transfers.append(Transfer(options: common + options, publications: publications))
    }
    for (suffix, publications) in settingAside {
      let options = ["--ignore-times", "--backup", "--suffix=\(suffix)"].asArguments
      transfers.append(Transfer(options: common + options, publications: publications))
    }
    return transfers.filter { !$0.publications.isEmpty }
  }
}
