package struct DoctorReport: Codable, Hashable, Sendable {
  package var checks: [DoctorCheck]

  package init(checks: [DoctorCheck] = []) {
    self.checks = checks
  }
}

package struct DoctorCheck: Codable, Hashable, Sendable {
  package enum Result: String, Codable, Hashable, Sendable, CaseIterable { case ok, warning, problem }

  /// What was looked at: "inotify watches", "target nas".
  package var name: String
  package var result: Result
  package var text: String
  /// The way out.
  package var fix: String?

  package init(name: String, result: Result, text: String, fix: String? = nil) {
    self.name = name
    self.result = result
    self.text = text
    self.fix = fix
  }
}
