import TierCore
import TierLinux

extension Volume {
  /// Makes a configured folder a volume, or finds it again. An empty mount point under a file system that isn't
  /// mounted is told from the volume by the marker `.tierd/volume`: without it nothing may be concluded, or a
  /// missing mount would look like a user who deleted everything.
  package static func open(
    _ configuration: Configuration.Volume, files: any FileSystem, commit: CommitLock, catalog: any Catalog,
    clock: any TierClock, policies: PolicyBook, tuning: EngineTuning,
    guarding: () throws(TierError) -> StubMode = { .links(because: "no guard was asked for") }
  ) throws(TierError) -> Volume {
    let row = try catalog.openVolume(named: configuration.name)
    let root = try wrapping("is the volume mounted?") { () throws(SyscallError) in
      try files.status(of: .root, at: "volume.root")
    }
    guard let root, root.kind == .directory else {
      throw unavailable(configuration, "is not a folder: mount the volume or correct volumes.path")
    }
    if let error = try incompleteness(configuration, files) { throw error }
    try checkMarker(configuration, row: row, files: files, catalog: catalog)
    let attribute = try identityAttribute(files)
    if attribute != AttributeNames.identity, try hasPlaceholders(files) {
      throw unavailable(
        configuration,
        "holds files whose content is only on the target (placeholders), and only root can tell which: run tierd as "
          + "root (CAP_SYS_ADMIN), as before")
    }
    let epoch = Epoch(row.epoch.value + 1)
    try catalog.setEpoch(epoch, of: row.id)
    return Volume(
      configuration: configuration, row: row, epoch: epoch, files: files, identityAttribute: attribute,
      stubMode: attribute == AttributeNames.identity
        ? try guarding() : .links(because: "tierd isn't privileged"),
      root: root, commit: commit, catalog: catalog, clock: clock, policies: policies, tuning: tuning)
  }

  func isStillThere() -> Bool { absence() == nil }

  /// Why nothing may be concluded any more: the volume was unmounted, something was mounted over it, its client or a
  /// part of it is gone. Nil while it is there.
  func absence() -> TierError? {
    do throws(TierError) {
      let purpose = "while making sure that the volume is there"
      let isInPlace = try wrapping(purpose) { () throws(SyscallError) in
        try files.rootIsInPlace(at: "volume.recheck")
      }
      if !isInPlace {
        return Self.unavailable(configuration, "was unmounted, or something was mounted over it")
      }
      if let error = try Self.incompleteness(configuration, files) { return error }
      let marker = try wrapping(purpose) { () throws(SyscallError) in
        try files.status(of: Self.marker, at: "volume.recheck.marker")
      }
      return marker == nil ? Self.unavailable(configuration, "lacks its marker \(Self.marker)") : nil
    } catch {
      return error
    }
  }

  /// Of what is spread over several machines: names that are away look deleted.
  private static func incompleteness(_ configuration: Configuration.Volume, _ files: any FileSystem)
    throws(TierError) -> TierError?
  {
    let sight = try wrapping("while looking for its bricks") { () throws(SyscallError) in
      try files.sight(at: "volume.sight")
    }
    guard case .partial(let away) = sight else { return nil }
    return unavailable(
      configuration,
      "isn't whole: \(away.joined(separator: ", ")) can't be reached, and what is there looks deleted. Nothing is "
        + "touched until it is back")
  }

  /// Nil where a missing name is really missing; else what is away.
  func blindSpot() throws(TierError) -> [String]? {
    let sight = try wrapping("while looking for its bricks") { () throws(SyscallError) in
      try files.sight(at: "volume.sight")
    }
    switch sight {
    case .whole: return nil
    case .outdated(let away), .partial(let away): return away
    }
  }

  private static func checkMarker(
    _ configuration: Configuration.Volume, row: CatalogVolume, files: any FileSystem, catalog: any Catalog
  ) throws(TierError) {
    let key = "volume/\(configuration.name)/marker"
    let known = try catalog.setting(key)
    let found = try readMarker(files)
    switch (known, found) {
    case (let known?, let found?) where known == found:
      break
    case (nil, let found?):
      try catalog.setSetting(key, to: found)
    case (nil, nil):
      let marker = Array("tierd volume 1 \(ArchiveID.random())\n".utf8)
      try writeMarker(marker, files)
      try catalog.setSetting(key, to: marker)
    case (let known?, nil):
      throw unavailable(
        configuration,
        "lacks its marker \(marker): is the file system mounted? Nothing is touched until it is back. If this is "
          + "the right volume all the same (restored from a backup, or emptied on purpose), write this line to "
          + "that file: \(EscapedText.encode(known.dropLast()))")
    case (_?, _?):
      throw unavailable(
        configuration,
        "is another volume than before (\(marker) differs): correct volumes.path, or give it a new name")
    }
    try wrapping("tierd needs to write to the volume's root") { () throws(SyscallError) in
      try files.makeDirectoryIfMissing(hiddenFolder, mode: 0o700, at: "volume.hidden")
    }
    try checkOwners(configuration, files)
  }

  /// An app that may write to the volume's root could have made the folders first, and would then swap what passes
  /// through them. Ours is what belongs to whom a file belongs that we make.
  private static func checkOwners(_ configuration: Configuration.Volume, _ files: any FileSystem)
    throws(TierError)
  {
    let folders = [ownFolder, hiddenFolder]
    let (us, found) = try wrapping("tierd needs to write to its folder") { () throws(SyscallError) in
      try? files.unlink(probe, at: "volume.probe.clear")
      try files.open(probe, .create(mode: 0o600), at: "volume.probe").close()
      defer { try? files.unlink(probe, at: "volume.probe.unlink") }
      var found: [FileStatus?] = []
      for folder in folders { found.append(try files.status(of: folder, at: "volume.owners")) }
      return (try files.status(of: probe, at: "volume.probe.status"), found)
    }
    for (folder, status) in zip(folders, found) {
      guard let us, let status, status.owner == us.owner, status.mode & 0o022 == 0 else {
        throw unavailable(
          configuration,
          "has a folder \(folder) that isn't tierd's own: others may change what is in it. Move it away, or give "
            + "it back to tierd's user with mode 0700")
      }
    }
  }

  private static func readMarker(_ files: any FileSystem) throws(TierError) -> [UInt8]? {
    try wrapping("tierd needs to read its marker") { () throws(SyscallError) in
      guard try files.status(of: marker, at: "volume.marker.stat") != nil else { return nil }
      let file = try files.open(marker, .read, at: "volume.marker.open")
      defer { file.close() }
      return try file.readAll(limit: 256, at: "volume.marker.read")
    }
  }

  private static func writeMarker(_ bytes: [UInt8], _ files: any FileSystem) throws(TierError) {
    try wrapping("tierd needs to write to the volume's root") { () throws(SyscallError) in
      try files.makeDirectoryIfMissing(ownFolder, mode: 0o700, at: "volume.folder")
      let file = try files.open(marker, .create(mode: 0o600), at: "volume.marker.create")
      defer { file.close() }
      try file.writeAll(bytes, at: "volume.marker.write")
      try file.sync(at: "volume.marker.sync")
      try files.syncDirectory(ownFolder, at: "volume.marker.syncFolder")
    }
  }

  /// Tries on the marker which attribute the file system and our rights allow.
  private static func identityAttribute(_ files: any FileSystem) throws(TierError) -> String {
    // The guard lets nobody pass whose file's identity it can't read.
    let resident = Array("tierd1 resident marker".utf8)
    for name in [AttributeNames.identity, AttributeNames.unprivilegedIdentity] {
      do {
        try files.setAttribute(name, to: resident, of: marker, at: "volume.attribute.probe")
        return name
      } catch { continue }
    }
    throw TierError(
      .volumeUnavailable,
      "the file system keeps no extended attributes, which tierd needs to recognise files: use ext4, xfs, "
        + "btrfs or GlusterFS, or mount with user_xattr", path: EscapedText.encode(files.rootPath))
  }

  private static func unavailable(_ configuration: Configuration.Volume, _ message: String) -> TierError {
    TierError(
      .volumeUnavailable, "volume \(configuration.name) \(message)", path: configuration.path,
      disposition: .retry)
  }
}
