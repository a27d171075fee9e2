/// What becomes of a file, by policy.
package enum Verdict: Hashable, Sendable {
  case governed(Policy)
  /// `rule` is the `exclude` that matched; nil where the policy has `include` patterns and none matches.
  case excluded(Policy, rule: PathRule?)
  case tooSmall(Policy)
  case tooLarge(Policy)
  /// By the built-in pattern (`TemporaryNames`).
  case temporary(String)
  case ungoverned
}

/// Policies that can't stand together.
package enum PolicyConflict: Error, Hashable, Sendable {
  case sameName(String)
  /// Same volume, path and priority.
  case tie(String, String)
  /// The policy names no target, and there is no default.
  case noTarget(String)
}

/// All policies, ready to decide about files.
///
/// Of the policies whose subtree holds the file, the one with the most specific path is asked first, among those
/// for the very same path the one with the higher priority. It answers in this order:
/// 1. `include` says what the policy is about: a file that no pattern picks is left to the next policy.
/// 2. `exclude` is final: an excluded file stays in the cache, no other policy is asked. Of the exclusions and
///    `!` exceptions that match, the last one decides.
/// 3. Temporary names are excluded unless an exception matches.
/// 4. `size` again says what the policy is about: a file outside the band is left to the next policy.
///
/// Where no policy takes a file, the first one that passed it over gives the reason.
package struct PolicySet: Sendable {
  /// In the order in which they are asked; every one has its target.
  package let policies: [Policy]
  /// Equal for equal content and the same built-in patterns, also between processes and versions: when it moved,
  /// every file's verdict and dates are to be computed anew.
  package let fingerprint: UInt64
  private let candidates: [String: [Candidate]]

  package static let empty = PolicySet()

  private init() {
    policies = []
    candidates = [:]
    fingerprint = PolicyFingerprint.of([])
  }

  package init(_ policies: [Policy], defaultTarget: String?) throws(PolicyConflict) {
    var names: Set<String> = []
    var complete: [Policy] = []
    for var policy in policies {
      guard names.insert(policy.name).inserted else { throw .sameName(policy.name) }
      policy.target = policy.target ?? defaultTarget
      guard policy.target != nil else { throw .noTarget(policy.name) }
      complete.append(policy)
    }
    complete.sort(by: Self.isAskedFirst)
    for (first, second) in zip(complete, complete.dropFirst())
    where first.volume == second.volume && first.path == second.path && first.priority == second.priority {
      throw .tie(first.name, second.name)
    }
    self.policies = complete
    candidates = Dictionary(grouping: complete.map(Candidate.init), by: \.policy.volume)
    fingerprint = PolicyFingerprint.of(complete)
  }

  package func policies(in volume: String) -> [Policy] { candidates[volume]?.map(\.policy) ?? [] }

  package func policy(named name: String) -> Policy? { policies.first { $0.name == name } }

  /// About a regular file at `path`, with the size that it has in the cache or, released, had there. Called for
  /// every file of a volume: allocates next to nothing.
  package func decide(volume: String, path: RelativePath, size: Int64) -> Verdict {
    guard let candidates = candidates[volume] else { return .ungoverned }
    let split = SplitPath(path)
    if let pattern = TemporaryNames.reservedPattern(of: split) { return .temporary(pattern) }
    var passedOver: Verdict?
    for candidate in candidates where path.isWithin(candidate.policy.path) {
      let judgement = candidate.judge(split, size: size)
      let verdict = judgement.verdict(of: candidate.policy)
      if judgement.isFinal { return verdict }
      if passedOver == nil { passedOver = verdict }
    }
    return passedOver ?? .ungoverned
  }

  /// What `decide` does, told step by step.
  package func explain(volume: String, path: RelativePath, size: Int64) -> PolicyExplanation {
    let split = SplitPath(path)
    var steps: [PolicyExplanation.Step] = []
    var elsewhere = 0
    var isDecided = TemporaryNames.reservedPattern(of: split) != nil
    for candidate in candidates[volume] ?? [] {
      guard path.isWithin(candidate.policy.path) else {
        elsewhere += 1
        continue
      }
      let judgement = isDecided ? nil : candidate.judge(split, size: size)
      isDecided = isDecided || judgement?.isFinal == true
      steps.append(PolicyExplanation.Step(policy: candidate.policy, judgement: judgement))
    }
    return PolicyExplanation(
      volume: volume, path: path, size: size, steps: steps, policiesElsewhere: elsewhere,
      verdict: decide(volume: volume, path: path, size: size))
  }

  private static func isAskedFirst(_ left: Policy, _ right: Policy) -> Bool {
    if left.volume != right.volume { return left.volume < right.volume }
    let (leftDepth, rightDepth) = (left.path.components.count, right.path.components.count)
    if leftDepth != rightDepth { return leftDepth > rightDepth }
    if left.path != right.path { return left.path < right.path }
    if left.priority != right.priority { return left.priority > right.priority }
    return left.name < right.name
  }
}

/// What one policy says of one file.
package enum PolicyJudgement: Hashable, Sendable {
  /// `by`: the `include` that picked it; nil where there is none.
  case takes(by: PathRule?)
  case notIncluded
  case excluded(PathRule)
  case temporary(String)
  case tooSmall
  case tooLarge

  /// False: the next policy is asked.
  var isFinal: Bool {
    switch self {
    case .takes, .excluded, .temporary: true
    case .notIncluded, .tooSmall, .tooLarge: false
    }
  }

  func verdict(of policy: Policy) -> Verdict {
    switch self {
    case .takes: .governed(policy)
    case .notIncluded: .excluded(policy, rule: nil)
    case .excluded(let rule): .excluded(policy, rule: rule)
    case .temporary(let pattern): .temporary(pattern)
    case .tooSmall: .tooSmall(policy)
    case .tooLarge: .tooLarge(policy)
    }
  }
}

/// A policy with its rules sorted for judging.
private struct Candidate: Sendable {
  let policy: Policy
  private let depth: Int
  private let includes: [PathRule]
  /// Exclusions and exceptions, the last one first.
  private let exclusions: [PathRule]

  init(_ policy: Policy) {
    self.policy = policy
    depth = policy.path.components.count
    includes = policy.rules.filter { $0.effect == .include }
    exclusions = policy.rules.filter { $0.effect != .include }.reversed()
  }

  func judge(_ path: SplitPath, size: Int64) -> PolicyJudgement {
    let picked = includes.first { $0.glob.matches(path, below: depth) }
    if picked == nil, !includes.isEmpty { return .notIncluded }
    let exclusion = exclusions.first { $0.glob.matches(path, below: depth) }
    if let exclusion, exclusion.effect == .exclude { return .excluded(exclusion) }
    if exclusion == nil, let pattern = TemporaryNames.temporaryPattern(of: path) {
      return .temporary(pattern)
    }
    if let minimum = policy.minimumSize, size < minimum { return .tooSmall }
    if let maximum = policy.maximumSize, size > maximum { return .tooLarge }
    return .takes(by: picked)
  }
}
