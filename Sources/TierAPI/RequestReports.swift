/// Work that a person asked for and that goes on by itself.
package struct RequestReport: Codable, Hashable, Sendable {
  package enum Kind: String, Codable, Hashable, Sendable, CaseIterable {
    case flush, restore, release, verify, fsck, undelete
  }
  package enum State: String, Codable, Hashable, Sendable, CaseIterable {
    case running
    /// All of it.
    case done
    /// Some; `messages` tell what was not.
    case partly
    /// Nothing.
    case failed
  }

  package var id: String
  package var kind: Kind
  package var state: State
  /// What it is doing: "waits for the window that is open", "copies".
  package var activity: String
  package var filesDone: Int
  /// Nil: not known yet.
  package var filesTotal: Int?
  package var bytesDone: Int64
  package var bytesTotal: Int64?
  /// The first ones, `messageCount` counts all.
  package var messages: [RequestMessage]
  package var messageCount: Int
  package var started: UTCTime
  package var ended: UTCTime?

  package init(
    id: String, kind: Kind, state: State = .running, activity: String = "", filesDone: Int = 0,
    filesTotal: Int? = nil, bytesDone: Int64 = 0, bytesTotal: Int64? = nil, messages: [RequestMessage] = [],
    messageCount: Int = 0, started: UTCTime, ended: UTCTime? = nil
  ) {
    self.id = id
    self.kind = kind
    self.state = state
    self.activity = activity
    self.filesDone = filesDone
    self.filesTotal = filesTotal
    self.bytesDone = bytesDone
    self.bytesTotal = bytesTotal
    self.messages = messages
    self.messageCount = messageCount
    self.started = started
    self.ended = ended
  }
}

package struct RequestMessage: Codable, Hashable, Sendable {
  package var path: AbsolutePath?
  package var text: String

  package init(path: AbsolutePath? = nil, text: String) {
    self.path = path
    self.text = text
  }
}

/// The answer to a restore or release: what would be done, or the request that does it. Exactly one is there.
package struct ActionReport: Codable, Hashable, Sendable {
  package var plan: PlanReport?
  package var request: RequestReport?

  package init(plan: PlanReport) { self.plan = plan }
  package init(request: RequestReport) { self.request = request }
}

package struct PlanReport: Codable, Hashable, Sendable {
  package var action: RequestReport.Kind
  package var files: Int
  package var bytes: Int64
  package var estimatedSeconds: Int64?
  package var wakesTarget: Bool
  package var targets: [PlanTarget]
  package var skippedFiles: Int
  /// The first ones, with their reasons.
  package var skipped: [RequestMessage]

  package init(
    action: RequestReport.Kind, files: Int = 0, bytes: Int64 = 0, estimatedSeconds: Int64? = nil,
    wakesTarget: Bool = false, targets: [PlanTarget] = [], skippedFiles: Int = 0,
    skipped: [RequestMessage] = []
  ) {
    self.action = action
    self.files = files
    self.bytes = bytes
    self.estimatedSeconds = estimatedSeconds
    self.wakesTarget = wakesTarget
    self.targets = targets
    self.skippedFiles = skippedFiles
    self.skipped = skipped
  }
}

package struct PlanTarget: Codable, Hashable, Sendable {
  package var target: String
  package var files: Int
  package var bytes: Int64
  package var estimatedSeconds: Int64?
  package var isWoken: Bool

  package init(target: String, files: Int, bytes: Int64, estimatedSeconds: Int64? = nil, isWoken: Bool) {
    self.target = target
    self.files = files
    self.bytes = bytes
    self.estimatedSeconds = estimatedSeconds
    self.isWoken = isWoken
  }
}
