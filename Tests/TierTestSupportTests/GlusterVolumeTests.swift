import Glibc
import Testing
import TierCore
import TierLinux
import TierTestSupport

@Suite(.enabled(if: GlusterVolume.obstacle == nil, "\(GlusterVolume.skipReason)"))
struct GlusterVolumeTests {
  @Test func `what one client writes is on both bricks, and nothing stays`() throws {
    let volume = try GlusterVolume(brickMiB: 64)
    defer { volume.close() }
    try volume.mount(.other)
    let files = try LinuxFileSystem(root: volume.path)
    #expect(try MountTable.mount(holding: volume.path)?.fileSystem == "fuse.glusterfs")
    try files.put(at("folder/file"), "content")
    #expect(try LinuxFileSystem(root: volume.otherPath).text(of: at("folder/file")) == "content")
    for brick in volume.bricks {
      #expect(try LinuxFileSystem(root: brick).text(of: at("folder/file")) == "content")
    }
    let left = try traces(of: volume)
    #expect(left.count == 2, "\(left)")
    volume.close()
    #expect(try traces(of: volume) == [])
    #expect(volume.bricks.allSatisfy { access($0, F_OK) != 0 })
  }

  @Test func `a client can be killed, and a brick`() throws {
    let volume = try GlusterVolume(brickMiB: 64)
    defer { volume.close() }
    try volume.killBrick(1)
    try LinuxFileSystem(root: volume.path).put(at("file"), "written with one brick")
    try volume.killClient(.tierd)
    #expect(access(volume.path, F_OK) != 0 && errno == ENOTCONN)
    try volume.detach(.tierd)
    try volume.mount(.tierd)
    #expect(try LinuxFileSystem(root: volume.path).text(of: at("file")) == "written with one brick")
  }

  /// Its mounts.
  private func traces(of volume: GlusterVolume) throws -> [String] {
    try MountTable.current().mounts.map { String(decoding: $0.mountPoint, as: UTF8.self) }
      .filter { [volume.path, volume.otherPath].contains($0) }
  }
}
