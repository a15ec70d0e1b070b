/// How the inner layers' errors look to a client: which status, which code, whether to come again.
import Agent
import Memory
import NIOHTTP1

extension APIError {
    static func unknownSession(_ id: String) -> APIError {
        APIError(.notFound, code: "session_not_found", "There is no session `\(id)` for this caller.")
    }

    init(_ error: MemoryError) {
        switch error {
        case .sessionBusy:
            self = .overloaded("The memory answers: \(error).")
        case .elsewhere: self = .workerLost
        case .storeUnavailable, .commitUnconfirmed:
            self.init(
                .serviceUnavailable, type: "server_error", code: "store_unavailable",
                "The memory answers: \(error).", retryAfter: 1)
        case .closed:
            self = .draining
        case .forgotten:
            self.init(.conflict, code: "session_forgotten", "The memory answers: \(error).")
        case .cancelled:
            self.init(
                .internalServerError, type: "server_error", code: "cancelled", "The turn was cancelled.")
        }
    }
    init(_ failure: TurnFailure) {
        let type =
            switch failure.status {
            case 429: "rate_limit_error"
            case 400..<500: "invalid_request_error"
            default: "server_error"
            }
        self.init(
            HTTPResponseStatus(statusCode: failure.status), type: type, code: failure.code, failure.message,
            retryAfter: failure.retryAfter.flatMap { Int($0) }
                ?? (failure.status == 429 || failure.status == 503 ? 1 : nil))
    }
}
