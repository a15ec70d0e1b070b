/// Why a model gave no reply, or broke one off.
public struct ModelError: Error, Sendable, Equatable, CustomStringConvertible {
    public enum Kind: String, Sendable {
        /// The manifest or a Secret lacks what the call needs; nothing was sent.
        case configuration
        /// No connection to the model's server, or it ended before the reply began.
        case unavailable
        /// The server was silent for too long.
        case timeout
        /// The server answered with an error status, or with an error in the middle of its stream.
        case rejected
        /// The prompt is longer than the model can read.
        case contextTooLong
        /// The stream ended before the reply did.
        case interrupted
        /// The server answered what is not the protocol.
        case malformed
        /// The calling task was cancelled.
        case cancelled
    }

    public var kind: Kind
    /// For people. Names the model or the field; holds no secret.
    public var message: String
    /// The server's HTTP status, where it answered with an error.
    public var status: Int?
    /// The server's own error code, such as `rate_limit_exceeded`.
    public var code: String?
    /// The server's `Retry-After`, as it came.
    public var retryAfter: String?

    public init(
        _ kind: Kind, _ message: String, status: Int? = nil, code: String? = nil, retryAfter: String? = nil
    ) {
        self.kind = kind
        self.message = message
        self.status = status
        self.code = code
        self.retryAfter = retryAfter
    }

    /// Whether the same call may succeed later.
    public var isRetryable: Bool {
        switch kind {
        case .unavailable, .timeout, .interrupted: true
        case .rejected:
            switch status {
            case .some(408), .some(409), .some(425), .some(429), .some(500...), .none: true
            default: false
            }
        case .configuration, .contextTooLong, .malformed, .cancelled: false
        }
    }

    public var description: String { message }
}
