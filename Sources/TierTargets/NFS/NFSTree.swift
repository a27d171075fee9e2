import TierCore

/// The target's directories as this window knows them, so that each is looked up once.
///
/// Only tierd writes there during a window, as a rule; what a person does meanwhile on the NAS shows as a refused
/// call, and the next attempt looks anew.
final class NFSTree {
  final class Directory {
    let handle: NFSHandle
    /// All that stands in it; nil where that isn't known. Known of what this window has made itself.
    fileprivate var names: Set<FileName>?

    fileprivate init(_ handle: NFSHandle, names: Set<FileName>?) {
      self.handle = handle
      self.names = names
    }

    func lacks(_ name: FileName) -> Bool { names.map { !$0.contains(name) } ?? false }

    func noteAdded(_ name: FileName) {
      names?.insert(name)
      if let count = names?.count, count > 65_536 { names = nil }
    }

    func noteRemoved(_ name: FileName) { names?.remove(name) }
  }

  private typealias Answer = NFSConnection.Answer
  private let connection: NFSConnection
  private var known: [RelativePath: Directory]
  private let root: Directory
  private static let limit = 16_384

  init(_ connection: NFSConnection, root: NFSHandle) {
    self.connection = connection
    self.root = Directory(root, names: nil)
    known = [.root: self.root]
  }

  /// After a refusal that what is known here doesn't explain.
  func forget() { known = [.root: root] }

  /// With all below it.
  func forget(_ path: RelativePath) { known = known.filter { !$0.key.isWithin(path) } }

  /// The directories, nil where one is missing and not to be made.
  func open(_ paths: some Sequence<RelativePath>, making: Bool) throws(TierError)
    -> [RelativePath: Result<Directory?, NFSRefusal>]
  {
    if known.count > Self.limit { forget() }
    let wanted = Set(paths)
    let answers = try walk(wanted, making: making)
    guard answers.values.contains(where: \.isStale) else { return answers }
    forget()
    return try walk(wanted, making: making)
  }

  /// Files and directories by name, in the paths' order; nil where there is none.
  func lookup(_ paths: [RelativePath]) throws(TierError) -> [Result<NFSConnection.Found?, NFSRefusal>] {
    let parents = try open(paths.lazy.map(\.parent), making: false)
    return try connection.each(paths) { path, done in
      guard let name = path.name else {
        return connection.attributes(root.handle) { [root] in
          done($0.map { NFSConnection.Found(handle: root.handle, attributes: $0) })
        }
      }
      switch parents[path.parent]! {
      case .failure(let refusal): done(.failure(refusal))
      case .success(nil): done(.success(nil))
      case .success(let directory?) where directory.lacks(name): done(.success(nil))
      case .success(let directory?): connection.lookup(name, in: directory.handle, then: done)
      }
    }
  }

  /// Level by level, all of a level at once.
  private func walk(_ wanted: Set<RelativePath>, making: Bool) throws(TierError)
    -> [RelativePath: Result<Directory?, NFSRefusal>]
  {
    var answers: [RelativePath: Result<Directory?, NFSRefusal>] = [:]
    for level in levels(of: wanted, &answers) {
      var open: [(path: RelativePath, parent: Directory)] = []
      for path in level {
        switch answers[path.parent] ?? .success(known[path.parent]) {
        case .success(let parent?): open.append((path, parent))
        case let missingOrRefused: answers[path] = missingOrRefused
        }
      }
      let results: [Answer<Directory?>] = try connection.each(open) { item, done in
        step(item.path.name!, in: item.parent, making: making, done)
      }
      for (item, result) in zip(open, results) {
        answers[item.path] = result
        if case .success(let directory?) = result { known[item.path] = directory }
      }
    }
    return answers
  }

  /// What isn't known yet of the wanted paths and their ancestors, by depth; the known go to `answers`.
  private func levels(
    of wanted: Set<RelativePath>, _ answers: inout [RelativePath: Result<Directory?, NFSRefusal>]
  ) -> [[RelativePath]] {
    var levels: [[RelativePath]] = []
    var seen: Set<RelativePath> = []
    for path in wanted {
      if let directory = known[path] { answers[path] = .success(directory) }
      var next = path
      while known[next] == nil, seen.insert(next).inserted {
        let depth = next.components.count - 1
        while levels.count <= depth { levels.append([]) }
        levels[depth].append(next)
        next = next.parent
      }
    }
    return levels
  }

  private func step(
    _ name: FileName, in parent: Directory, making: Bool,
    _ done: @escaping (Answer<Directory?>) -> Void
  ) {
    guard !parent.lacks(name) else {
      return making ? make(name, in: parent, done) : done(.success(nil))
    }
    connection.lookup(name, in: parent.handle) { [self] answer in
      switch answer {
      case .failure(let refusal): done(.failure(refusal))
      case .success(let found?) where found.attributes.isDirectory:
        done(.success(Directory(found.handle, names: nil)))
      case .success(_?): done(.failure(NFSRefusal(procedure: "LOOKUP", status: .notDirectory)))
      case .success(nil): making ? make(name, in: parent, done) : done(.success(nil))
      }
    }
  }

  private func make(
    _ name: FileName, in parent: Directory, _ done: @escaping (Answer<Directory?>) -> Void
  ) {
    connection.makeDirectory(name, in: parent.handle, mode: 0o755) { [self] answer in
      switch answer {
      case .success(let handle):
        parent.noteAdded(name)
        done(.success(Directory(handle, names: [])))
      case .failure(let refusal) where refusal.status == .exists:
        // Somebody else was quicker; or an earlier call's answer was lost.
        parent.names = nil
        connection.lookup(name, in: parent.handle) {
          done(
            $0.flatMap { found in
              guard let found, found.attributes.isDirectory else {
                return .failure(NFSRefusal(procedure: "MKDIR", status: .notDirectory))
              }
              return .success(Directory(found.handle, names: nil))
            })
        }
      case .failure(let refusal): done(.failure(refusal))
      }
    }
  }

}

extension Result where Failure == NFSRefusal {
  var isStale: Bool {
    if case .failure(let refusal) = self { refusal.status.isStaleHandle } else { false }
  }
}
