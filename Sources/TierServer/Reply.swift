import FoundationEssentials
import Hummingbird
import TierAPI
import TierCore

/// An answer before it is HTTP.
struct Reply: Sendable {
  var status: HTTPResponse.Status = .ok
  var contentType: String
  var body: [UInt8]

  static func json(_ value: some Encodable, status: HTTPResponse.Status = .ok) throws(TierError) -> Reply {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    do {
      return Reply(
        status: status, contentType: "application/json; charset=utf-8", body: Array(try encoder.encode(value))
      )
    } catch {
      throw TierError(.internalFault, "the answer can't be written as JSON", cause: "\(error)")
    }
  }

  static func error(_ error: TierError, status: HTTPResponse.Status? = nil) -> Reply {
    let report = ErrorReport(error)
    return (try? json(report, status: status ?? error.code.status))
      ?? .text("internal fault\n", status: .internalServerError)
  }

  static func text(_ text: String, status: HTTPResponse.Status = .ok) -> Reply {
    Reply(status: status, contentType: "text/plain; charset=utf-8", body: Array(text.utf8))
  }

  var response: Response {
    Response(
      status: status,
      headers: [
        .contentType: contentType, .cacheControl: "no-store", .xContentTypeOptions: "nosniff",
        .contentSecurityPolicy: "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
      ],
      body: .init(byteBuffer: ByteBuffer(bytes: body)))
  }
}

extension TierError.Code {
  /// A client decides by `ErrorReport.code`; the status is for those who only look there.
  var status: HTTPResponse.Status {
    switch self {
    case .badRequest: .badRequest
    case .badConfiguration: .unprocessableContent
    case .notFound, .targetCopyMissing: .notFound
    case .unsupported: .notImplemented
    case .fileChanged, .fileBusy, .targetCopyDiffers: .conflict
    case .targetUnreachable, .targetRestarted, .targetDenied, .targetStale, .targetFailed: .badGateway
    case .targetTimeout: .gatewayTimeout
    case .targetFull, .volumeFull: .init(code: 507, reasonPhrase: "Insufficient Storage")
    case .volumeUnavailable, .cancelled: .serviceUnavailable
    case .fileSystem, .catalog, .catalogTooNew, .corruptRecord, .internalFault: .internalServerError
    }
  }
}
