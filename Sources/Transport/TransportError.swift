/// Why a request failed: a kind to decide by, and a message that names host and port but never a header, a
/// query or a body, so it can be logged and shown.
public struct TransportError: Error, Sendable, Equatable, CustomStringConvertible {
    public enum Kind: Sendable, Equatable {
        /// The request can't be sent as it stands; nothing left this process.
        case invalidRequest
        /// The host's name, or the proxy's, has no address.
        case resolve
        /// No connection to the host, or to the proxy.
        case connect
        /// The TLS handshake failed or the certificate isn't trusted.
        case tls
        case timeout(Deadline)
        /// The connection or the stream ended before the response did.
        case reset
        /// The peer answered what is not HTTP.
        case malformedResponse
        /// The response head, or a body that was to be collected, is over its bound.
        case tooLarge
        /// The reader of an HTTP/2 body stayed behind for so long that it held up its connection's other streams.
        case slowReader
        /// The client has as many requests as it may have; nothing was sent.
        case overloaded
        /// What the request had asked to be asked before it is sent said no; nothing was sent.
        case withheld
        /// The task was cancelled, or the body dropped.
        case cancelled
        /// The client was shut down.
        case shutdown
    }

    public enum Deadline: Sendable, Equatable {
        /// Name resolution, connection and TLS handshake together.
        case connect
        /// No byte of the response arrived for so long.
        case idle
        /// The whole exchange, the body included.
        case total
    }

    public let kind: Kind
    public let message: String

    public init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }

    public var description: String { message }
}
