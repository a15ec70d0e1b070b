/// Why a call to Milvus failed: a kind to decide by, and words that name the server and the operation but never a value of
/// a row, a filter or a secret, so they can be logged and shown.
public struct MilvusError: Error, Sendable, Equatable, CustomStringConvertible {
    public enum Kind: Sendable, Equatable {
        /// No connection, or it broke off; also a server that is starting or shutting down.
        case unavailable
        /// No answer in time.
        case deadline
        /// The server answered no, with Milvus' code (or the gRPC status' code, for refusals before Milvus looks).
        case rejected(Int)
        /// The collection that is there isn't the one that was asked for.
        case mismatch
        /// The server, or this collection, can't do it.
        case unsupported
        /// This client has as many calls as it may have, or the server limits us. Nothing is wrong with the call.
        case overloaded
        /// The task was cancelled.
        case cancelled
    }

    public let kind: Kind
    /// `host:port`.
    public let server: String
    /// The call, as Milvus names it.
    public let operation: String
    public let message: String

    public init(_ kind: Kind, server: String, operation: String, _ message: String) {
        self.kind = kind
        self.server = server
        self.operation = operation
        self.message = message
    }

    public var description: String { "Milvus at \(server), \(operation): \(message)" }
}
