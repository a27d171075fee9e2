import Logging
import ServiceLifecycle
import TierCore
import TierLinux
import TierServer

/// Runs a control server on a socket of its own until the body has returned.
package func withControlServer<Result: Sendable>(
  _ control: some Control, socket: String, version: String = "0.1.0",
  _ body: @Sendable () async throws -> Result
) async throws -> Result {
  let (listening, signal) = AsyncStream.makeStream(of: Int.self)
  let server = ControlServer(
    control: control, socket: socket, version: version, logger: silentLogger, onListening: { signal.yield(0) }
  )
  return try await running(listening, { try await server.run() }, signal) { _ in try await body() }
}

/// The same for the TCP listener, on a free port.
package func withStatusServer<Result: Sendable>(
  _ control: some Control, _ body: @Sendable (_ port: Int) async throws -> Result
) async throws -> Result {
  let (listening, signal) = AsyncStream.makeStream(of: Int.self)
  let server = StatusServer(
    control: control, address: .init(host: "127.0.0.1", port: 0), version: "0.1.0", logger: silentLogger
  ) { port in signal.yield(port) }
  return try await running(listening, { try await server.run() }, signal, body)
}

package let silentLogger: Logger = {
  var logger = Logger(label: "test")
  logger.logLevel = .critical
  return logger
}()

/// Blocking calls must not occupy the pool that the server answers from.
package func blocking<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws
  -> Result
{
  try await withCheckedThrowingContinuation { continuation in
    _ = OwnedThread(name: "test-client") { continuation.resume(with: Swift.Result { try body() }) }
  }
}

/// The server's own error where it ends before it listens.
private func running<Result: Sendable>(
  _ listening: AsyncStream<Int>, _ server: @escaping @Sendable () async throws -> Void,
  _ signal: AsyncStream<Int>.Continuation, _ body: @Sendable (Int) async throws -> Result
) async throws -> Result {
  try await withThrowingTaskGroup(of: Void.self) { group in
    group.addTask {
      defer { signal.finish() }
      try await server()
    }
    defer { group.cancelAll() }
    for await port in listening { return try await body(port) }
    try await group.next()
    throw CancellationError()
  }
}

/// For the graceful end: `stop` asks the server to end by itself, and it is waited for.
package func withGracefulControlServer(
  _ control: some Control, socket: String,
  _ body: @Sendable (_ stop: @escaping @Sendable () async -> Void) async throws -> Void
) async throws {
  let (listening, signal) = AsyncStream.makeStream(of: Void.self)
  let server = ControlServer(
    control: control, socket: socket, version: "0.1.0", logger: silentLogger, onListening: { signal.finish() }
  )
  let group = ServiceGroup(
    configuration: .init(
      services: [.init(service: server, successTerminationBehavior: .gracefullyShutdownGroup)],
      logger: silentLogger))
  try await withThrowingTaskGroup(of: Void.self) { tasks in
    tasks.addTask {
      defer { signal.finish() }
      try await group.run()
    }
    for await _ in listening {}
    try await body { await group.triggerGracefulShutdown() }
    try await tasks.waitForAll()
  }
}

/// As `eventually`, for tests that share their threads with the server.
package func eventually(
  within limit: Duration = .seconds(30), async condition: @Sendable () async throws -> Bool
) async throws {
  let end = ContinuousClock.now + limit
  while !(try await condition()) {
    guard ContinuousClock.now < end else { throw CancellationError() }
    try await Task.sleep(for: .milliseconds(2))
  }
}
