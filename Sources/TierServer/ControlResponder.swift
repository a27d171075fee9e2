import Hummingbird
import Logging
import ServiceLifecycle
import TierAPI
import TierCore

/// Finds the route of a request and turns whatever happens there into an answer.
struct ControlResponder: HTTPResponder {
  typealias Context = BasicRequestContext

  /// Two thousand paths of the longest kind, every byte escaped.
  static let bodyBytesMax = 32 << 20

  let routes: [Route]
  let control: any Control
  let logger: Logger

  func respond(to request: Request, context: BasicRequestContext) async throws -> Response {
    let reply = await answer(request)
    if reply.status.code >= 500 {
      logger.warning(
        "request failed",
        metadata: [
          "request": "\(request.method) \(EscapedText.encode(Array(request.uri.path.utf8)))",
          "answer": "\(String(decoding: reply.body.prefix(1000), as: UTF8.self))",
        ])
    }
    return reply.response
  }

  private func answer(_ request: Request) async -> Reply {
    let path = request.uri.path
    let matches = routes.compactMap { route in route.match(path).map { (route: route, id: $0) } }
    guard let found = matches.first(where: { $0.route.method.rawValue == request.method.rawValue }) else {
      let shown = EscapedText.encode(Array(path.prefix(200).utf8))
      return matches.isEmpty
        ? .error(TierError(.notFound, "no such route: \(shown); see docs/openapi.yaml"))
        : .error(
          TierError(
            .badRequest, "\(shown) takes \(matches.map(\.route.method.rawValue).joined(separator: ", "))"),
          status: .methodNotAllowed)
    }
    do {
      let input = try await RouteInput(
        id: found.id, query: request.uri.query, knownParameters: found.route.parameters,
        body: body(of: request))
      // A long poll must not hold up the daemon's end.
      return try await cancelWhenGracefulShutdown { try await found.route.answer(input, control) }
    } catch let error as TierError {
      return .error(error)
    } catch is Oversized {
      let message = "the body is larger than \(Self.bodyBytesMax >> 20) MiB: name fewer files at once"
      return .error(TierError(.badRequest, message), status: .contentTooLarge)
    } catch {
      return .error(TierError(.internalFault, "an unexpected error", cause: "\(error)"))
    }
  }

  private func body(of request: Request) async throws -> [UInt8] {
    var bytes: [UInt8] = []
    do {
      for try await piece in request.body {
        bytes += piece.readableBytesView
        guard bytes.count <= Self.bodyBytesMax else { throw Oversized() }
      }
      return bytes
    } catch let error as Oversized {
      throw error
    } catch {
      throw TierError(.cancelled, "the body was not received whole", cause: "\(error)", disposition: .retry)
    }
  }

  private struct Oversized: Error {}
}
