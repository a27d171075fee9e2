import Glibc
import Testing
import TierCore
import TierLinux
import TierTestSupport

@testable import TierTargets

@Suite(.enabled(if: NASStandIn.isAvailable, "\(NASStandIn.skipReason)"))
struct NFSTargetTests {
  @Test func `what is archived stands on the NAS as plain files with their metadata`() throws {
    let fixture = try NFSFixture()
    let session = try fixture.connect()
    let large = randomBytes(20 << 20)
    let files: [(String, [UInt8])] = [
      ("a", Array("hello".utf8)), ("empty", []), ("deep/er/and deeper/x\ny", randomBytes(70_000)),
      ("large", large),
    ]
    try fixture.archive(try files.map { try fixture.upload($0.0, $0.1) }, session)
    for (path, bytes) in files {
      #expect(try fixture.content(path) == bytes, "\(path)")
      var status = stat()
      #expect(stat("\(fixture.folder)/\(path)", &status) == 0)
      #expect(status.st_mode & 0o7777 == 0o640)
      #expect(status.st_uid == 1000 && status.st_gid == 100)
      #expect(status.st_mtim.tv_sec == 1_600_000_000 && status.st_mtim.tv_nsec == 5)
    }
    #expect(try session.list(TargetLayout.temporary).isEmpty)
    var hashes: [RelativePath: ContentHash] = [:]
    try session.hash(files.map { RelativePath($0.0)! }) {
      if case .hashed(let hash, _) = $1 { hashes[$0] = hash }
    }
    #expect(hashes[RelativePath("large")] == large.withUnsafeBytes { SHA256Hasher.hash($0) })
    session.close()
    session.close()
    #expect(try fixture.nas.connections() == 0)
  }
}
