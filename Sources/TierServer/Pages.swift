import TierAPI
import TierCore

extension Route {
  /// What both listeners answer, for supervisors, Prometheus and browsers.
  static let pages: [Route] = [
    Route(method: .get, path: "/", operation: "statusPage") { _, control async throws(TierError) in
      let page = StatusPage(report: try await control.status())
      return Reply(contentType: "text/html; charset=utf-8", body: Array(page.html.utf8))
    },
    // Alive: it answers. Whether it can work is readiness.
    Route(method: .get, path: "/healthz", operation: "health") { _, _ async throws(TierError) in .text("ok\n")
    },
    Route(method: .get, path: "/readyz", operation: "readiness") { _, control async throws(TierError) in
      try await control.status().isReady
        ? .text("ready\n") : .text("starting: not every volume is watched yet\n", status: .serviceUnavailable)
    },
    Route(method: .get, path: "/metrics", operation: "metrics") { _, control async throws(TierError) in
      let metrics = try await control.status().metrics
      return Reply(contentType: "text/plain; version=0.0.4; charset=utf-8", body: Array(metrics.text.utf8))
    },
  ]
}
