import Glibc
import Testing
import TierCore
import TierLinux
import TierTestSupport

/// What the other tests compare by must see every difference.
@Suite(.enabled(if: TreePicture.obstacle == nil, "\(TreePicture.obstacle ?? "")"))
struct TreePictureTests {
  @Test(arguments: [
    ("printf 2 > f", "content"), ("chmod 04755 f", "mode"), ("chown 5 f", "owner"), ("chgrp 6 f", "owner"),
    ("touch -d '2020-01-01 00:00:00.000000002' f", "modified"),
    ("touch -a -d '2021-01-01' f", "accessed"), ("setfattr -n user.a -v 2 f", "attributes"),
    ("setfattr -x user.a f", "attributes"), ("setfacl -m u:7:r f", "attributes"),
    ("ln f other", "links"), ("rm f; mkdir f", "kind"), ("ln -sf elsewhere l", "content"),
    ("chmod 700 d", "mode"),
    ("rm f", "missing"), ("mkfifo p", "not expected"), ("touch \"$(printf 'a\\nb\\377')\"", "not expected"),
  ])
  func difference(made by: String, isSeen: String) throws {
    let disk = try LoopFileSystem(.ext4, mebibytes: 8)
    let folder = disk.path
    try run("printf 1 > f; setfattr -n user.a -v 1 f; touch -d '2020-01-01 00:00:00.000000001' f", in: folder)
    try run("mkdir d; ln -s target l; touch -d '2020-01-01' d", in: folder)
    let before = try TreePicture(of: folder)
    #expect(try TreePicture(of: folder).differences(from: before) == [])
    try run(by, in: folder)
    let differences = try TreePicture(of: folder).differences(from: before)
    #expect(differences.contains { $0.contains(": \(isSeen)") }, "\(differences)")
  }

  private func run(_ script: String, in folder: String) throws {
    let command = ChildCommand(
      "/bin/sh", ["-ec", script], environment: ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin"], directory: folder)
    let result = try ChildProcess.run(command, deadline: .seconds(60))
    guard result.succeeded else { throw NeverHappened(description: "\(script): \(result.errorText)") }
  }
}
