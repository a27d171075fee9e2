import Hummingbird
import HummingbirdCore
import Logging
import ServiceLifecycle
import Synchronization
import TierCore

/// Answers `tierctl` on the unix socket. Runs until the graceful shutdown; open requests are then finished.
package struct ControlServer: Service {
  private let socket: ControlSocket
  private let control: any Control
  private let version: String
  private let logger: Logger
  private let onListening: @Sendable () async -> Void

  /// `onListening` is called once requests are answered.
  package init(
    control: any Control, socket: String, version: String, logger: Logger,
    onListening: @escaping @Sendable () async -> Void = {}
  ) {
    self.socket = ControlSocket(path: socket)
    self.control = control
    self.version = version
    self.logger = logger
    self.onListening = onListening
  }

  package func run() async throws {
    try socket.prepare()
    let outcome = ListeningOutcome()
    let application = Application(
      responder: ControlResponder(routes: Route.control + Route.pages, control: control, logger: logger),
      server: .http1(configuration: .init(idleTimeout: .seconds(60))),
      configuration: .init(
        address: .unixDomainSocket(path: socket.path), serverName: "tierd/\(version)",
        availableConnectionsDelegate: MaximumAvailableConnections(256)),
      onServerRunning: { channel in
        do throws(TierError) {
          try socket.restrict()
          outcome.identity = socket.identity
          outcome.isListening = true
          await onListening()
        } catch {
          outcome.error = error
          channel.close(promise: nil)
        }
      }, logger: logger.quiet)
    defer { socket.remove(outcome.identity) }
    do {
      try await application.run()
    } catch {
      throw outcome.cause(of: error, listeningAt: "the control socket \(socket.path)")
    }
  }
}

/// The read-only listener on TCP: health, readiness, metrics and the status page; no API.
package struct StatusServer: Service {
  private let control: any Control
  private let address: Configuration.HTTP
  private let version: String
  private let logger: Logger
  private let onListening: @Sendable (_ port: Int) async -> Void

  /// Port 0 takes a free one; `onListening` tells which.
  package init(
    control: any Control, address: Configuration.HTTP, version: String, logger: Logger,
    onListening: @escaping @Sendable (_ port: Int) async -> Void = { _ in }
  ) {
    self.control = control
    self.address = address
    self.version = version
    self.logger = logger
    self.onListening = onListening
  }

  package func run() async throws {
    let outcome = ListeningOutcome()
    let application = Application(
      responder: ControlResponder(routes: Route.pages, control: control, logger: logger),
      server: .http1(configuration: .init(idleTimeout: .seconds(15))),
      configuration: .init(
        address: .hostname(address.host, port: Int(address.port)), serverName: "tierd/\(version)",
        availableConnectionsDelegate: MaximumAvailableConnections(64)),
      onServerRunning: { channel in
        outcome.isListening = true
        await onListening(channel.localAddress?.port ?? 0)
      }, logger: logger.quiet)
    do {
      try await application.run()
    } catch {
      throw outcome.cause(of: error, listeningAt: "\(address.host) port \(address.port), set by \"http\"")
    }
  }
}

/// What the start-up callback, which can't throw, has to say to `run`.
private final class ListeningOutcome: Sendable {
  private struct State {
    var isListening = false
    var identity: SocketIdentity?
    var error: TierError?
  }

  private let state = Mutex(State())

  /// Why `run` ended: the framework's own error only tells that the listener is gone.
  func cause(of error: any Error, listeningAt place: String) -> any Error {
    if let error = self.error { return error }
    if isListening || error is CancellationError { return error }
    return TierError(.badConfiguration, "can't listen at \(place)", cause: "\(error)")
  }

  var isListening: Bool {
    get { state.withLock(\.isListening) }
    set { state.withLock { $0.isListening = newValue } }
  }

  var identity: SocketIdentity? {
    get { state.withLock(\.identity) }
    set { state.withLock { $0.identity = newValue } }
  }

  var error: TierError? {
    get { state.withLock(\.error) }
    set { state.withLock { $0.error = newValue } }
  }
}

extension Logger {
  /// The framework's own notices are below what a daemon's log is for.
  fileprivate var quiet: Logger {
    var logger = self
    logger.logLevel = max(logLevel, .warning)
    return logger
  }
}
