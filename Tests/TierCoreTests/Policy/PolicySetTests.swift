import Testing

@testable import TierCore

@Suite struct PolicySetTests {
  private func policy(
    _ name: String, _ path: String = "", priority: Int = 0, include: [String] = [], exclude: [String] = [],
    minimum: Int64? = nil, maximum: Int64? = nil
  ) throws -> Policy {
    let rules =
      try include.map { PathRule(.include, try Glob($0)) }
      + exclude.map {
        $0.hasPrefix("!")
          ? PathRule(.except, try Glob(String($0.dropFirst()))) : PathRule(.exclude, try Glob($0))
      }
    return Policy(
      name: name, volume: "v", path: try #require(RelativePath(path)), priority: priority, rules: rules,
      minimumSize: minimum, maximumSize: maximum)
  }

  /// The verdict in one word, with the policy's name.
  private func verdict(_ set: PolicySet, _ path: String, size: Int64 = 1 << 20) throws -> String {
    switch set.decide(volume: "v", path: try #require(RelativePath(path)), size: size) {
    case .governed(let policy): policy.name
    case .excluded(let policy, let rule): "excluded \(policy.name) \(rule?.glob.text ?? "-")"
    case .tooSmall(let policy): "tooSmall \(policy.name)"
    case .tooLarge(let policy): "tooLarge \(policy.name)"
    case .temporary(let pattern): "temporary \(pattern)"
    case .ungoverned: "ungoverned"
    }
  }

  @Test func theMostSpecificPathDecides() throws {
    let set = try PolicySet(
      [try policy("all"), try policy("photos", "photos"), try policy("raw", "photos/raw")],
      defaultTarget: "nas")
    #expect(try verdict(set, "a") == "all")
    #expect(try verdict(set, "photos/a") == "photos")
    #expect(try verdict(set, "photos/raw/x/a") == "raw")
    #expect(try verdict(set, "photos2/a") == "all")
    #expect(set.decide(volume: "other", path: RelativePath("a")!, size: 1) == .ungoverned)
    #expect(set.policies.map(\.name) == ["raw", "photos", "all"])
    #expect(set.policies.allSatisfy { $0.target == "nas" })
  }

  @Test func excludeIsFinalAndIncludePassesOn() throws {
    let set = try PolicySet(
      [
        try policy("all"),
        try policy("pictures", "photos", include: ["*.jpg"], exclude: ["cache/", "!cache/keep/"]),
      ], defaultTarget: "nas")
    #expect(try verdict(set, "photos/a.jpg") == "pictures")
    #expect(try verdict(set, "photos/a.txt") == "all")
    #expect(try verdict(set, "photos/cache/a.jpg") == "excluded pictures cache/")
    #expect(try verdict(set, "photos/cache/keep/a.jpg") == "pictures")
    // An exception takes an exclusion back; it doesn't include.
    #expect(try verdict(set, "photos/cache/keep/a.txt") == "all")
  }

  @Test func theLastExclusionOrExceptionDecides() throws {
    let set = try PolicySet(
      [try policy("p", exclude: ["a/", "!*.keep", "a/never/"])], defaultTarget: "nas")
    #expect(try verdict(set, "a/x") == "excluded p a/")
    #expect(try verdict(set, "a/x.keep") == "p")
    #expect(try verdict(set, "a/never/x.keep") == "excluded p a/never/")
  }

  @Test func priorityAndSizeShareOnePath() throws {
    let set = try PolicySet(
      [
        try policy("rest", "m", maximum: 1000), try policy("large", "m", priority: 5, minimum: 500),
        try policy("raw", "m", priority: 10, include: ["*.cr2"]),
      ], defaultTarget: "nas")
    #expect(try verdict(set, "m/a.cr2", size: 1) == "raw")
    #expect(try verdict(set, "m/a", size: 500) == "large")
    #expect(try verdict(set, "m/a", size: 499) == "rest")
    let small = try PolicySet([try policy("p", minimum: 10, maximum: 20)], defaultTarget: "nas")
    #expect(try verdict(small, "a", size: 9) == "tooSmall p")
    #expect(try verdict(small, "a", size: 10) == "p")
    #expect(try verdict(small, "a", size: 20) == "p")
    #expect(try verdict(small, "a", size: 21) == "tooLarge p")
    let none = try PolicySet([try policy("p", include: ["*.x"])], defaultTarget: "nas")
    #expect(try verdict(none, "a") == "excluded p -")
  }

  @Test(arguments: [
    "a~", ".a.swp", ".a.swo", "#a#", ".#a", "~$a.docx", ".~lock.a.odt#", "a.part", "x/a.iso.aria2", "a.tmp",
    ".goutputstream-ABC123", ".photo.jpg.Xa91bc", ".a.AbCdEf", "a.crdownload", "a.!qB",
  ])
  func temporaryFilesStayUnlessExcepted(_ path: String) throws {
    let plain = try PolicySet([try policy("p")], defaultTarget: "nas")
    #expect(try verdict(plain, path).hasPrefix("temporary"))
    let excepted = try PolicySet([try policy("p", exclude: ["!**"])], defaultTarget: "nas")
    #expect(try verdict(excepted, path) == "p")
    #expect(try verdict(PolicySet([], defaultTarget: nil), path) == "ungoverned")
  }

  @Test(arguments: [
    "a.bak", "a.old", ".a.config", ".bashrc", ".a.123456", "tmp", "part", "a.partx", ".swp", "x.tmp/a",
    ".nfsdata",
    ".a.abcdef", "lost+found2/a", "x/lost+found/a", "x/.tierd/a",
  ])
  func namesThatPeopleKeepAreNotTemporary(_ path: String) throws {
    #expect(try verdict(PolicySet([try policy("p")], defaultTarget: "nas"), path) == "p")
  }

  @Test(arguments: [
    ".tierd/tmp/x", "a/.tierd-0123", "a/.nfs000000000000000100000002", ".fuse_hidden0000001200000001",
    "lost+found/#12", "a/.smbdeleteAAA",
  ])
  func reservedNamesAreNeverTouched(_ path: String) throws {
    let excepted = try PolicySet([try policy("p", exclude: ["!**"])], defaultTarget: "nas")
    #expect(try verdict(excepted, path).hasPrefix("temporary"))
  }

  @Test func conflictsAreErrors() throws {
    let (a, b) = (try policy("a", "x"), try policy("b", "x"))
    #expect(throws: PolicyConflict.tie("a", "b")) { try PolicySet([b, a], defaultTarget: "nas") }
    #expect(throws: PolicyConflict.sameName("a")) { try PolicySet([a, a], defaultTarget: "nas") }
    #expect(throws: PolicyConflict.noTarget("a")) { try PolicySet([a], defaultTarget: nil) }
    var own = b
    own.target = "other"
    own.priority = 1
    #expect(try PolicySet([a, own], defaultTarget: "nas").policies.map(\.target) == ["other", "nas"])
  }

  @Test func theFingerprintMovesWithEveryField() throws {
    let base = try policy("p", "x", include: ["*.a"])
    let changes: [(inout Policy) throws -> Void] = [
      { $0.name = "q" }, { $0.volume = "w" }, { $0.path = .root }, { $0.target = "t" }, { $0.priority = 1 },
      { $0.rules = [PathRule(.exclude, try Glob("*.a"))] },
      { $0.rules = [PathRule(.include, try Glob("*.b"))] },
      { $0.rules = [] }, { $0.minimumSize = 0 }, { $0.maximumSize = 0 }, { $0.archive.after = .zero },
      { $0.archive.within = .zero }, { $0.release.after = nil }, { $0.release.keepBelow = 0 },
      { $0.pin = true },
      { $0.keepDeleted = nil }, { $0.keepDeleted = .forever }, { $0.restore.mode = .guard },
      { $0.restore.stay = .zero }, { $0.restore.perMinute = 1 },
      { $0.restore.refuse = RefusedProcesses([ProcessRule(.refuse, try ProcessPattern("a"))]) },
      { $0.restore.refuse = RefusedProcesses([ProcessRule(.allow, try ProcessPattern("a"))]) },
    ]
    var seen: Set = [try PolicySet([base], defaultTarget: "nas").fingerprint]
    for change in changes {
      var changed = base
      try change(&changed)
      #expect(seen.insert(try PolicySet([changed], defaultTarget: "nas").fingerprint).inserted)
    }
    let other = try policy("o")
    #expect(
      try PolicySet([base, other], defaultTarget: "nas").fingerprint
        == PolicySet([other, base], defaultTarget: "nas").fingerprint)
  }

  @Test func explanationsTellEveryStep() throws {
    let set = try PolicySet(
      [
        try policy("all"), try policy("photos", "photos", exclude: ["raw/"]), try policy("mail", "mail"),
        try policy("pictures", "photos", priority: 3, include: ["*.jpg"]),
      ], defaultTarget: "nas")
    let excluded = set.explain(volume: "v", path: try #require(RelativePath("photos/raw/a.cr2")), size: 5)
    #expect(
      excluded.lines == [
        #"Policy "pictures" (photos, priority 3): passes it over: no include pattern matches."#,
        #"Policy "photos" (photos): excludes it by "raw/"; that is final."#,
        #"Policy "all" (the whole volume): not asked, the decision is made."#,
        #"Stays in the cache: policy "photos" excludes it by "raw/"."#,
      ])
    #expect(excluded.policiesElsewhere == 1)
    let governed = set.explain(volume: "v", path: try #require(RelativePath("photos/raw/a.jpg")), size: 5)
    #expect(
      governed.lines == [
        #"Policy "pictures" (photos, priority 3): takes it by include "*.jpg"."#,
        #"Policy "photos" (photos): not asked, the decision is made."#,
        #"Policy "all" (the whole volume): not asked, the decision is made."#,
        #"Governed by policy "pictures": archived to "nas" once unchanged for 1h, at the latest 1d later; "#
          + "released once unused for 30d; below 64KiB it always stays.",
      ])
    let nowhere = set.explain(volume: "w", path: try #require(RelativePath("a")), size: 5)
    #expect(nowhere.lines == [#"Stays in the cache: volume "w" has no policy."#])
  }

  @Test(
    arguments: [
      (Policy.Restore(), "released once unused for 30d; below 64KiB it always stays."),
      (
        Policy.Restore(mode: .manual),
        "released and restored only by hand; below 64KiB it always stays."
      ),
      (
        Policy.Restore(mode: .link, stay: .seconds(172_800)),
        "released once unused for 30d; below 64KiB it always stays; restore: mode link, stay 2d."
      ),
    ] as [(Policy.Restore, String)])
  func whatIsSaidOfRestoringIsToldToo(_ restore: Policy.Restore, _ end: String) throws {
    let policy = Policy(name: "p", volume: "v", path: .root, restore: restore)
    let line = try told(policy)
    #expect(line.hasSuffix("later; \(end)"), "\(line)")
  }

  @Test func whoIsRefusedIsTold() throws {
    var policy = Policy(name: "p", volume: "v", path: .root, pin: true)
    policy.restore.perMinute = 30
    policy.restore.refuse = RefusedProcesses([
      ProcessRule(.refuse, try ProcessPattern("ff*")), ProcessRule(.allow, try ProcessPattern("borg")),
    ])
    let line = try told(policy)
    #expect(
      line.hasSuffix(#"never released (pin); restore: refuse "ff*" "!borg", perMinute 30."#), "\(line)")
  }

  private func told(_ policy: Policy) throws -> String {
    let set = try PolicySet([policy], defaultTarget: "nas")
    let lines = set.explain(volume: "v", path: try #require(RelativePath("a")), size: 1 << 20).lines
    return try #require(lines.last)
  }
}

@Suite struct DueDatesTests {
  private let hour = Duration.seconds(3600)

  @Test func datesCountFromChangeAndUse() {
    var policy = Policy(
      name: "p", volume: "v", path: .root, archive: .init(after: hour, within: hour * 2),
      release: .init(after: hour * 10, keepBelow: 100))
    let (change, use) = (Timestamp(seconds: 1_000_000), Timestamp(seconds: 1_036_000))
    var dates = policy.dates(lastChange: change, lastUse: use, size: 100)
    #expect(dates.archiveDue == change + hour)
    #expect(dates.archiveBy == change + hour * 3)
    #expect(dates.releaseDue == use + hour * 10)
    dates = policy.dates(lastChange: use, lastUse: change, size: 100)
    #expect(dates.releaseDue == use + hour * 10)
    #expect(policy.dates(lastChange: change, lastUse: use, size: 99).releaseDue == nil)
    policy.release.after = nil
    #expect(policy.dates(lastChange: change, lastUse: use, size: 100).releaseDue == .distantFuture)
    policy.pin = true
    #expect(policy.dates(lastChange: change, lastUse: use, size: 100).releaseDue == nil)
  }

  @Test func emptyFilesStayAndFarDatesDoNotWrap() {
    var policy = Policy(name: "p", volume: "v", path: .root)
    policy.release = .init(after: .forever, keepBelow: 0)
    let now = Timestamp(seconds: 1_800_000_000)
    #expect(policy.dates(lastChange: now, lastUse: now, size: 0).releaseDue == nil)
    #expect(policy.dates(lastChange: now, lastUse: now, size: 1).releaseDue == .distantFuture)
  }
}
