import Memory

/// The failures of a turn by their causes: which status, code and hope each one has.
extension TurnFailure {
    static func refused(_ refusal: InputGuard.Refusal) -> TurnFailure {
        TurnFailure(
            kind: .refused, message: refusal.message, status: 400, code: "input_refused", isRetryable: false)
    }

    static func timedOut(after timeout: Duration) -> TurnFailure {
        TurnFailure(
            kind: .timeout, message: "The turn took longer than concurrency.turnTimeout (\(timeout)).",
            status: 504,
            code: "turn_timeout", isRetryable: true)
    }

    static let cancelled = TurnFailure(
        kind: .cancelled, message: "The turn was cancelled.", status: 499, code: "cancelled",
        isRetryable: true)

    static let answeredElsewhere = TurnFailure(
        kind: .store,
        message: "This turn id was answered elsewhere meanwhile, in other words; send it again for those.",
        status: 409, code: "turn_answered_elsewhere", isRetryable: true)

    /// Two workers that don't know of each other yet may both begin with a turn; from the first step on one of them has it.
    static let takenOver = TurnFailure(
        kind: .store,
        message: "Another worker has taken over this session, and goes on with it: send the turn again, "
            + "under its id.",
        status: 503, code: "session_taken_over", isRetryable: true)

    static func unknownAgent(_ name: String) -> TurnFailure {
        TurnFailure(
            kind: .model, message: "The pool has no agent \(name).", status: 404, code: "unknown_agent",
            isRetryable: false)
    }

    /// The store did not confirm the turn.
    init(commit error: any Error) {
        if case .elsewhere = error as? MemoryError {
            self = .takenOver
            return
        }
        let isGone = error as? MemoryError == .forgotten
        self.init(
            kind: .store,
            message: "The turn is not stored: \((error as? MemoryError)?.description ?? "the store failed").",
            status: isGone ? 409 : 503, code: isGone ? "session_forgotten" : "commit_failed",
            isRetryable: !isGone)
    }

    init(_ error: ModelError) {
        let (status, code): (Int, String) =
            switch error.kind {
            case .configuration: (500, "model_misconfigured")
            case .unavailable: (502, "model_unavailable")
            case .timeout: (504, "model_timeout")
            case .contextTooLong: (400, "context_length_exceeded")
            case .interrupted: (502, "model_interrupted")
            case .malformed: (502, "model_malformed")
            case .cancelled: (499, "cancelled")
            case .rejected:
                switch error.status {
                case 429: (429, "model_rate_limited")
                case 503: (503, "model_unavailable")
                // The request was ours to get right: only what came from the client can be at fault in it.
                case 400, 413, 422: (400, "model_rejected")
                default: (502, "model_rejected")
                }
            }
        self.init(
            kind: error.kind == .cancelled ? .cancelled : .model, message: error.message, status: status,
            code: code,
            isRetryable: error.isRetryable, retryAfter: error.retryAfter, upstreamStatus: error.status)
    }
}
