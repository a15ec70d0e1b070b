/// Every error that a client can meet, in OpenAI's shape: status, type, code, message and the field at fault.
import Agent
import NIOHTTP1
import PoolAPI

struct APIError: Error, Sendable, Equatable {
    var status: HTTPResponseStatus
    /// `invalid_request_error`, `authentication_error`, `permission_error`, `rate_limit_error`, `server_error`.
    var type: String
    var code: String
    var message: String
    /// The request's field, as a path (`messages[2].content`).
    var param: String?
    /// Seconds.
    var retryAfter: Int?

    init(
        _ status: HTTPResponseStatus, type: String = "invalid_request_error", code: String, _ message: String,
        param: String? = nil, retryAfter: Int? = nil
    ) {
        self.status = status
        self.type = type
        self.code = code
        self.message = message
        self.param = param
        self.retryAfter = retryAfter
    }

    static func invalid(_ param: String?, _ message: String) -> APIError {
        APIError(.badRequest, code: "invalid_value", message, param: param)
    }

    static func unsupported(_ param: String, _ message: String) -> APIError {
        APIError(.badRequest, code: "unsupported_parameter", message, param: param)
    }

    static func overloaded(_ message: String, retryAfter: Int = 1) -> APIError {
        APIError(
            .tooManyRequests, type: "rate_limit_error", code: "overloaded", message, retryAfter: retryAfter)
    }

    static let draining = APIError(
        .serviceUnavailable, type: "server_error", code: "draining",
        "This worker is shutting down and takes no new turns; send the request again.", retryAfter: 1)

    static func refusal(_ reason: ConnectionState.Refusal, limits: ConnectionLimits) -> APIError {
        switch reason {
        case .headTooLarge:
            APIError(
                .requestHeaderFieldsTooLarge, code: "headers_too_large",
                "The request line and header fields may take \(limits.maxHeadBytes) bytes together.")
        case .bodyTooLarge:
            APIError(
                .payloadTooLarge, code: "body_too_large",
                "The body may take \(limits.maxBodyBytes) bytes. With a session the server keeps the history: "
                    + "send only the new messages.")
        case .headTooSlow:
            APIError(
                .requestTimeout, code: "request_timeout",
                "The header fields did not arrive within \(limits.headTimeout).")
        case .bodyTooSlow:
            APIError(
                .requestTimeout, code: "request_timeout",
                "The body did not arrive within \(limits.bodyTimeout).")
        case .malformed:
            APIError(.badRequest, code: "malformed_request", "This is not a well-formed HTTP/1.1 request.")
        }
    }

    /// The `error` member's value.
    func write(into json: inout JSONWriter) {
        json.beginObject()
        json.field("message", message)
        json.field("type", type)
        json.key("param")
        if let param { json.string(param) } else { json.null() }
        json.field("code", code)
        json.endObject()
    }

    /// `{"error": {...}}`
    var json: [UInt8] {
        var json = JSONWriter()
        json.beginObject()
        json.key("error")
        write(into: &json)
        json.endObject()
        return json.bytes
    }

    var response: Response {
        var fields: [(name: String, value: String)] = []
        if let retryAfter { fields.append(("Retry-After", String(retryAfter))) }
        if status == .unauthorized { fields.append(("WWW-Authenticate", "Bearer")) }
        // Whoever comes again is not to be sent to the same pod: the proxy's cookie is void.
        if self == .draining {
            fields.append(("Set-Cookie", "\(PoolNames.routeCookie)=; Path=/; Max-Age=0"))
        }
        return Response(status, fields, body: json)
    }
}
