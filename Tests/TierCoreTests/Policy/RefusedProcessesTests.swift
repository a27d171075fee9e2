import Testing

@testable import TierCore

@Suite struct RefusedProcessesTests {
  struct Row: CustomTestStringConvertible, Sendable {
    var rules: [String]
    /// `name` or `name cgroup` → the pattern that refuses it, nil where none does.
    var answers: [(who: String, pattern: String?)]
    init(_ rules: [String], _ answers: [(String, String?)]) {
      self.rules = rules
      self.answers = answers.map { (who: $0.0, pattern: $0.1) }
    }
    var testDescription: String { rules.joined(separator: " ") }
  }

  static let rows = [
    // Built in; names as the kernel cuts them.
    Row(
      [],
      [
        ("tracker-miner-f", "tracker-*"), ("tracker-extract", "tracker-*"), ("localsearch-3", "localsearch*"),
        ("baloo_file_extr", "baloo_*"), ("recollindex", "recollindex"), ("tumblerd", "tumblerd"),
        ("ffmpegthumbnail", "ffmpegthumb*"), ("totem-video-thu", "totem-video-th*"),
        ("gdk-pixbuf-thum", "gdk-pixbuf-thum"), ("evince-thumbnai", "evince-thumb*"), ("clamd", "clamd"),
        ("clamscan", "clamscan"), ("restic", "restic"), ("borg", "borg"), ("duplicati-serve", "duplicati*"),
        ("proxmox-backup-", "proxmox-backup*"), ("bacula-fd", "bacula-fd"),
        // Others that merely look alike, or that people use.
        ("tracker", nil), ("Restic", nil), ("restic2", nil), ("borgmatic", nil), ("rsync", nil), ("cp", nil),
        ("tar", nil), ("rclone", nil), ("smbd", nil), ("nfsd", nil), ("updatedb", nil), ("", nil),
      ]),
    // The last one that matches decides.
    Row(["!borg"], [("borg", nil), ("restic", "restic")]),
    Row(["!*"], [("borg", nil), ("restic", nil), ("", nil)]),
    Row(["!*", "borg"], [("borg", "borg"), ("restic", nil)]),
    Row(["ff*", "!ffmpeg"], [("ffprobe", "ff*"), ("ffmpeg", nil), ("ffmpegthumbnail", "ff*")]),
    Row(["!ffmpeg", "ff*"], [("ffmpeg", "ff*")]),
    Row(["re*"], [("restic", "re*"), ("recollindex", "re*"), ("redis", "re*")]),
    // Names are matched as a whole.
    Row(["py?hon[23]*"], [("python3", "py?hon[23]*"), ("python3.13", "py?hon[23]*"), ("python", nil)]),
    Row(["\\!x"], [("!x", "\\!x"), ("x", nil)]),
    Row(["é*"], [("étude", "é*"), ("e", nil)]),
    Row(["123456789012345"], [("123456789012345", "123456789012345"), ("12345678901234", nil)]),
    Row(["*"], [("anything", "*"), ("", "*")]),
    // A cgroup takes those below it.
    Row(
      ["cgroup:/system.slice/backup*"],
      [
        ("x /system.slice/backup.service", "cgroup:/system.slice/backup*"),
        ("x /system.slice/backup-nas.service/child", "cgroup:/system.slice/backup*"),
        ("x system.slice/backup.service", "cgroup:/system.slice/backup*"),
        ("x /system.slice/smbd.service", nil), ("x /user.slice/system.slice/backup.service", nil),
        ("x /", nil), ("backup", nil),
        ("restic /system.slice/backup.service", "cgroup:/system.slice/backup*"),
        ("restic /", "restic"),
      ]),
    Row(
      ["cgroup:docker-*.scope"],
      [
        ("x /system.slice/docker-0a1b.scope", "cgroup:docker-*.scope"),
        ("x /kubepods.slice/a/docker-1.scope/b", "cgroup:docker-*.scope"), ("x /docker-1", nil),
      ]),
    Row(
      ["cgroup:/a/**/z"], [("x /a/z", "cgroup:/a/**/z"), ("x /a/b/c/z/y", "cgroup:/a/**/z"), ("x /z", nil)]),
    Row(["cgroup:/a/"], [("x /a", nil), ("x /a/b", "cgroup:/a/")]),
    // Seen from within a namespace of cgroups.
    Row(["cgroup:b"], [("x /../a/b", "cgroup:b"), ("x /../..", nil)]),
    Row(["!cgroup:/user.slice/"], [("restic /user.slice/1", nil), ("restic /system.slice/1", "restic")]),
    Row(["cgroup:/a", "!restic"], [("restic /a", nil), ("rsync /a", "cgroup:/a")]),
    Row(["!restic", "cgroup:/a"], [("restic /a", "cgroup:/a"), ("restic", nil)]),
  ]

  private func rule(_ text: String) throws -> ProcessRule {
    text.hasPrefix("!")
      ? ProcessRule(.allow, try ProcessPattern(String(text.dropFirst())))
      : ProcessRule(.refuse, try ProcessPattern(text))
  }

  @Test(arguments: rows)
  func decidesAsDocumented(_ row: Row) throws {
    let refused = RefusedProcesses(try row.rules.map(rule))
    #expect(refused.rules.map(\.text) == row.rules)
    for (who, pattern) in row.answers {
      let cut = who.firstIndex(of: " ") ?? who.endIndex
      let answer = refused.refuses(
        name: Array(who[..<cut].utf8), cgroup: Array(who[cut...].dropFirst().utf8))
      #expect(answer == pattern, "\(who)")
    }
  }

  @Test func bytesThatAreNotTextAreMatchedToo() throws {
    let refused = RefusedProcesses([try rule("caf\\xe9"), try rule("cgroup:/?/x")])
    #expect(refused.refuses(name: [0x63, 0x61, 0x66, 0xE9], cgroup: []) == "caf\\xe9")
    #expect(refused.refuses(name: [0xFF], cgroup: [0x2F, 0xFF, 0x2F, 0x78]) == "cgroup:/?/x")
    #expect(refused.refuses(name: [0xFF], cgroup: [0x2F, 0x2F, 0x2F]) == nil)
  }

  @Test(
    arguments: [
      ("", 0, "the pattern is empty"),
      ("!a", 0, #"one "!" is enough; a name that starts so is written "\!""#),
      (
        "/usr/bin/updatedb", 8,
        #"a process's name has no slash; write "updatedb", or "cgroup:/..." for the path of its cgroup"#
      ),
      (
        "bin/tracker-extract-3", 3,
        #"a process's name has no slash; write "tracker-extract", or "cgroup:/..." for the path of its cgroup"#
      ),
      ("a/", 1, #"a process's name has no slash; "cgroup:/..." for the path of its cgroup"#),
      (
        "totem-video-thumbnailer", 0,
        #"the kernel keeps 15 bytes of a process's name, so this matches none; write "totem-video-thu""#
      ),
      (
        "totem-video-thum*", 0,
        #"the kernel keeps 15 bytes of a process's name, so this matches none"#
      ),
      ("ääääääää", 0, #"the kernel keeps 15 bytes of a process's name, so this matches none"#),
      ("a**", 1, #""**" stands alone between slashes, as in "a/**/b"; within one name write "*""#),
      ("**", 0, #""**" stands for folders; within a name write "*""#),
      ("a[", 1, #""[" without "]"; a bracket itself is written "\[""#),
      ("cgroup:", 7, "the pattern is empty"),
      ("cgroup:!/a", 7, #""!" belongs before "cgroup:""#),
      ("cgroup:/a//b", 10, "two slashes in a row"),
    ] as [(String, Int, String)])
  func whatIsNoPatternSaysWhy(_ text: String, _ position: Int, _ description: String) {
    #expect(throws: GlobError(position: position, description: description)) { try ProcessPattern(text) }
  }
}
