/// Why a call failed: a kind to decide by, the node and the command, never a key or a value.
public struct RedisError: Error, Sendable, Equatable, CustomStringConvertible {
    public enum Kind: Sendable, Equatable {
        /// As many commands wait as may; nothing was sent.
        case overloaded
        /// The deadline passed.
        case timeout
        /// The connection ended before the answer came.
        case connectionLost
        /// No connection to the node that serves the key, or no node known that does.
        case unavailable
        /// The server refused the credentials.
        case authentication
        /// The TLS handshake failed or the certificate isn't trusted.
        case tls
        /// The peer answered what is not RESP, or what doesn't answer the question.
        case malformedReply
        /// Keys of different slots in one call.
        case crossSlot
        /// Redirected more often than allowed.
        case tooManyRedirects
        /// The command is larger than one may be; nothing was sent.
        case tooLarge
        /// The server answered with an error; `code` says which.
        case reply
        /// The task was cancelled.
        case cancelled
        /// The client was closed.
        case closed
    }

    public let kind: Kind
    /// Host and port of the node that was to answer, empty where none was chosen.
    public let node: String
    /// The command's or the script's name.
    public let command: String
    /// Whether the server may have carried it out nonetheless.
    public let mayHaveRun: Bool
    /// The first word of an error reply, such as `OOM`.
    public let code: String?

    public init(_ kind: Kind, node: String, command: String, mayHaveRun: Bool, code: String? = nil) {
        self.kind = kind
        self.node = node
        self.command = command
        self.mayHaveRun = mayHaveRun
        self.code = code
    }

    public var description: String {
        let place = node.isEmpty ? "Redis" : "Redis at \(node)"
        return "\(place), \(command): \(reason)" + (mayHaveRun ? "; it may have run" : "")
    }

    private var reason: String {
        switch kind {
        case .overloaded: "too many commands wait"
        case .timeout: "no answer within the deadline"
        case .connectionLost: "the connection ended before the answer"
        case .unavailable: "no connection"
        case .authentication: "the credentials were refused" + (code.map { " (\($0))" } ?? "")
        case .tls: "no trusted TLS connection"
        case .malformedReply: "the answer is not what Redis would say"
        case .crossSlot: "its keys are in different slots; keys used together need the same {hash tag}"
        case .tooManyRedirects: "redirected too often"
        case .tooLarge: "it is larger than a command may be"
        case .reply: "refused with \(code ?? "an error")"
        case .cancelled: "the task was cancelled"
        case .closed: "the client is closed"
        }
    }
}

/// What went wrong on a connection, before it is known whose command it hits.
struct LinkFault: Error, Equatable {
    var kind: RedisError.Kind
    var code: String?

    init(_ kind: RedisError.Kind, code: String? = nil) {
        self.kind = kind
        self.code = code
    }
}
