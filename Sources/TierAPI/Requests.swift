/// A request's body. Its fields are listed, so that an unknown one is refused and not silently dropped.
package protocol RequestBody: Codable, Hashable, Sendable {
  associatedtype Field: CodingKey & CaseIterable
}

/// Nothing given: everything that is pending. At most one may be given.
package struct FlushBody: RequestBody {
  package var policy: String?
  package var volume: String?
  package var paths: [AbsolutePath]?

  package enum CodingKeys: String, CodingKey, CaseIterable { case policy, volume, paths }
  package typealias Field = CodingKeys

  package init(policy: String? = nil, volume: String? = nil, paths: [AbsolutePath]? = nil) {
    self.policy = policy
    self.volume = volume
    self.paths = paths
  }
}

/// Exactly one of `paths` and `policy`.
package struct RestoreBody: RequestBody {
  package var paths: [AbsolutePath]?
  package var policy: String?
  package var planOnly: Bool?
  /// Restored files are not released again before this has passed.
  package var pinSeconds: Int64?

  package enum CodingKeys: String, CodingKey, CaseIterable { case paths, policy, planOnly, pinSeconds }
  package typealias Field = CodingKeys

  package init(
    paths: [AbsolutePath]? = nil, policy: String? = nil, planOnly: Bool? = nil, pinSeconds: Int64? = nil
  ) {
    self.paths = paths
    self.policy = policy
    self.planOnly = planOnly
    self.pinSeconds = pinSeconds
  }
}

/// Exactly one of `paths` and `policy`.
package struct ReleaseBody: RequestBody {
  package var paths: [AbsolutePath]?
  package var policy: String?
  package var planOnly: Bool?

  package enum CodingKeys: String, CodingKey, CaseIterable { case paths, policy, planOnly }
  package typealias Field = CodingKeys

  package init(paths: [AbsolutePath]? = nil, policy: String? = nil, planOnly: Bool? = nil) {
    self.paths = paths
    self.policy = policy
    self.planOnly = planOnly
  }
}

package struct PinBody: RequestBody {
  package var paths: [AbsolutePath]
  /// Nil: until unpinned.
  package var untilSeconds: Int64?

  package enum CodingKeys: String, CodingKey, CaseIterable { case paths, untilSeconds }
  package typealias Field = CodingKeys

  package init(paths: [AbsolutePath] = [], untilSeconds: Int64? = nil) {
    self.paths = paths
    self.untilSeconds = untilSeconds
  }
}

/// For `unpin` and `verify`.
package struct PathsBody: RequestBody {
  package var paths: [AbsolutePath]

  package enum CodingKeys: String, CodingKey, CaseIterable { case paths }
  package typealias Field = CodingKeys

  package init(paths: [AbsolutePath] = []) {
    self.paths = paths
  }
}

package struct PolicyTextBody: RequestBody {
  /// A name in the policy directory or an absolute path: the text is judged in that file's place.
  package var name: String
  package var text: String

  package enum CodingKeys: String, CodingKey, CaseIterable { case name, text }
  package typealias Field = CodingKeys

  package init(name: String, text: String) {
    self.name = name
    self.text = text
  }
}

package struct FsckBody: RequestBody {
  /// Make the catalog anew from the volumes' stubs and the targets' manifests.
  package var rebuild: Bool?

  package enum CodingKeys: String, CodingKey, CaseIterable { case rebuild }
  package typealias Field = CodingKeys

  package init(rebuild: Bool? = nil) {
    self.rebuild = rebuild
  }
}

package struct UndeleteBody: RequestBody {
  package var path: AbsolutePath
  package var listOnly: Bool?

  package enum CodingKeys: String, CodingKey, CaseIterable { case path, listOnly }
  package typealias Field = CodingKeys

  package init(path: AbsolutePath, listOnly: Bool? = nil) {
    self.path = path
    self.listOnly = listOnly
  }
}
