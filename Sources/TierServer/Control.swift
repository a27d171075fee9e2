import TierAPI
import TierCore

/// What the server asks of the daemon: one method for each route. Called from many tasks at once; none may block
/// a thread of Swift's pool.
///
/// Paths are absolute and not yet looked up: one that lies in no volume is `notFound`, with the volumes' names in
/// the message. Methods that start work return its report at once; `request` follows it.
package protocol Control: Sendable {
  func status() async throws(TierError) -> StatusReport
  /// Files and directories directly in `path`, or all files below it; `path` itself if it is a file. Ordered;
  /// at most `limit` (1 to 10,000) behind `after`, an earlier answer's `next`.
  func files(in path: AbsolutePath, recursive: Bool, after: String?, limit: Int) async throws(TierError)
    -> FilesReport
  func why(_ path: AbsolutePath) async throws(TierError) -> WhyReport
  /// The ledger, the newest first; `limit` is 1 to 1,000.
  func windows(target: String?, limit: Int) async throws(TierError) -> WindowsReport
  func policies() async throws(TierError) -> PoliciesReport
  func explain(_ path: AbsolutePath) async throws(TierError) -> ExplainReport
  /// Parses and checks a policy's text against the running configuration; changes nothing.
  func checkPolicy(named name: String, text: String) async throws(TierError) -> PolicyCheckReport
  func usage(of path: AbsolutePath) async throws(TierError) -> UsageReport
  /// Opens a window for each target that something in `scope` is pending for; everything else rides along.
  func flush(_ scope: FlushScope) async throws(TierError) -> RequestReport
  /// `pin`: restored files stay at least that long.
  func restore(_ selection: Selection, planOnly: Bool, pin: Duration?) async throws(TierError) -> ActionReport
  func release(_ selection: Selection, planOnly: Bool) async throws(TierError) -> ActionReport
  /// Files, or all that are below a directory now. Nil: until unpinned.
  func pin(_ paths: [AbsolutePath], for duration: Duration?) async throws(TierError) -> PinReport
  func unpin(_ paths: [AbsolutePath]) async throws(TierError) -> PinReport
  /// Reads the targets' copies and compares them with what was archived.
  func verify(_ paths: [AbsolutePath]) async throws(TierError) -> RequestReport
  func fsck(rebuild: Bool) async throws(TierError) -> RequestReport
  func doctor() async throws(TierError) -> DoctorReport
  /// What was deleted at `path` or below it; brings it back unless `listOnly`.
  func undelete(_ path: AbsolutePath, listOnly: Bool) async throws(TierError) -> UndeleteReport
  /// Answers when the request has ended or after `wait` (0 to 30 s), whichever is first; at once when the task is
  /// cancelled, since the daemon is stopping then. Ended requests are remembered for a while; then `notFound`.
  func request(_ id: String, wait: Duration) async throws(TierError) -> RequestReport
}

package enum FlushScope: Hashable, Sendable {
  case everything
  case policy(String)
  case volume(String)
  case paths([AbsolutePath])
}

/// Files that a person named: directly (a directory stands for all below it), or all of one policy.
package enum Selection: Hashable, Sendable {
  case paths([AbsolutePath])
  case policy(String)
}
