import Glibc
import Testing
import TierTestSupport

@Suite(.enabled(if: NASStandIn.isAvailable, "\(NASStandIn.skipReason)"))
struct NASStandInTests {
  @Test func `two stand-ins run at once, and nothing of them stays`() throws {
    let first = try NASStandIn(diskMiB: 256)
    let second = try NASStandIn(disk: .btrfs, diskMiB: 256)
    #expect(first.address != second.address)
    for nas in [first, second] {
      #expect(access(nas.nfsFolder, F_OK) == 0)
      #expect(try nas.connections() == 0)
    }
    first.close()
    #expect(access(first.nfsFolder, F_OK) != 0)
    #expect(access(second.nfsFolder, F_OK) == 0)
    second.close()
  }

  @Test func `the server can be killed, started, frozen and given a new disk`() throws {
    let nas = try NASStandIn(diskMiB: 256)
    try nas.restart()
    try nas.freeze()
    try nas.thaw()
    let marker = nas.nfsFolder + "/marker"
    #expect(mkdir(marker, 0o755) == 0)
    try nas.sync()
    #expect(try nas.counters().writtenBytes > 0)
    try nas.replaceDisk()
    #expect(access(marker, F_OK) != 0)
    nas.close()
  }
}
