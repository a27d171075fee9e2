import Glibc
import Testing
import TierCore
import TierLinux
import TierTestSupport

@Suite(.enabled(if: LoopFileSystem.Kind.ext4.isAvailable, "needs root, loop devices and e2fsprogs"))
struct AttributeTests {
  let volume: LoopFileSystem
  let files: LinuxFileSystem

  init() throws {
    volume = try LoopFileSystem(.ext4)
    files = try volume.fileSystem()
  }

  @Test func aSymbolicLinkCarriesTheIdentityAttribute() throws {
    try files.put(at("sub/file"), "x")
    try files.makeSymlink(at("sub/link"), to: Array("file".utf8), at: "test.symlink")
    try files.setAttribute(AttributeNames.identity, to: [0, 1, 0xFF], of: at("sub/link"), at: "test.set")
    #expect(try files.attribute(AttributeNames.identity, of: at("sub/link"), at: "test.get") == [0, 1, 0xFF])
    #expect(try files.attribute(AttributeNames.identity, of: at("sub/file"), at: "test.get") == nil)
    // A rename over a file keeps it: what a release stands on.
    try files.rename(at("sub/link"), to: at("sub/file"), .replace, at: "test.rename")
    #expect(try files.attribute(AttributeNames.identity, of: at("sub/file"), at: "test.get") == [0, 1, 0xFF])
    #expect(errno { try files.setAttribute("user.a", to: [1], of: at("sub/file"), at: "test.set") } == EPERM)
  }

  @Test func missingFilesAndAttributesAreNil() throws {
    try files.put(at("file"), "x")
    #expect(try files.attribute("user.none", of: at("file"), at: "test.get") == nil)
    #expect(try files.attribute("user.none", of: at("missing"), at: "test.get") == nil)
    #expect(try files.attribute("user.none", of: at("file/below"), at: "test.get") == nil)
    #expect(try files.attribute("user.none", of: .root, at: "test.get") == nil)
    try files.setAttribute("user.root", to: [7], of: .root, at: "test.set")
    #expect(try files.attribute("user.root", of: .root, at: "test.get") == [7])
  }

  @Test func allOfAFilesOwnAttributesAreKeptAndTierdsLeftOut() throws {
    try files.put(at("file"), "x")
    let file = try files.open(at("file"), .readWrite, at: "test.open")
    // One user entry, as setfacl writes it: version 2, then (tag, permissions, id) each.
    let acl: [UInt8] = [
      2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0, 0xE8, 3, 0, 0, 4, 0, 4, 0, 255, 255, 255, 255,
      16,
      0, 6, 0, 255, 255, 255, 255, 32, 0, 4, 0, 255, 255, 255, 255,
    ]
    // Version 2, cap_net_raw permitted and effective.
    let capability: [UInt8] = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    let expected = [
      ("security.capability", capability), ("system.posix_acl_access", acl), ("trusted.mine", [1]),
      ("user.empty", []), ("user.long", [UInt8](repeating: 9, count: 2500)),
    ]
    for (name, value) in expected.reversed() { try file.setAttribute(name, to: value, at: "test.set") }
    try file.setAttribute(AttributeNames.identity, to: [1], at: "test.set")
    try file.setAttribute(AttributeNames.unprivilegedIdentity, to: [1], at: "test.set")
    let attributes = try file.attributes(at: "test.list")
    #expect(attributes.map(\.name) == expected.map(\.0))
    #expect(attributes.map(\.value) == expected.map(\.1))
    try file.removeAttribute("user.empty", at: "test.remove")
    #expect(errno { try file.removeAttribute("user.empty", at: "test.remove") } == ENODATA)
    #expect(try file.attributes(at: "test.list").count == 4)
    let tooLong = #expect(throws: SyscallError.self) {
      try file.setAttribute("user.more", to: [UInt8](repeating: 1, count: 3000), at: "test.set")
    }
    // ext4 says ENOSPC, which here doesn't mean that the disk is full.
    #expect(tooLong?.errno == ENOSPC && tooLong.map { TierError($0).code } == .fileSystem)
  }

  @Test func ownerAndModeOfTheNameItself() throws {
    try files.put(at("file"), "x")
    try files.makeSymlink(at("link"), to: Array("file".utf8), at: "test.symlink")
    try files.setOwner(of: at("link"), owner: 12, group: 34, at: "test.chown")
    #expect(try files.status(of: at("file"), at: "test.status")?.owner == 0)
    #expect(try files.status(of: at("link"), at: "test.status")?.owner == 12)
    let file = try files.open(at("file"), .read, at: "test.open")
    try file.setOwner(56, group: 78, at: "test.chown")
    try file.setMode(0o6755, at: "test.chmod")
    let status = try file.status(at: "test.status")
    #expect(status.owner == 56 && status.group == 78 && status.mode == 0o6755)
  }
}
