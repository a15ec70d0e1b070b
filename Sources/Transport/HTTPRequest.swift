/// One HTTP request as a value.
public struct HTTPRequest: Sendable {
    public var method: String
    /// An absolute `http` or `https` URL, without credentials.
    public var url: String
    /// Sent in this order. `Host`, `Content-Length` and `Transfer-Encoding` are the client's to write.
    public var headers: [(name: String, value: String)]
    public var body: [UInt8]?
    public var version: HTTPVersion
    /// Each limit overrides the client's own; `totalTimeout` has no default. Both it and `idleTimeout` begin when
    /// the request is handed to the client, not when there is a connection for it.
    public var connectTimeout: Duration?
    public var idleTimeout: Duration?
    public var totalTimeout: Duration?
    /// Asked once there is a connection, right before the first byte is written to it, on the client's thread: must
    /// be quick, and not block. Where it says no, nothing is sent and the request fails with `.withheld`.
    public var mayBeSent: (@Sendable () -> Bool)?

    public init(
        method: String = "GET", url: String, headers: [(name: String, value: String)] = [],
        body: [UInt8]? = nil,
        version: HTTPVersion = .http1, connectTimeout: Duration? = nil, idleTimeout: Duration? = nil,
        totalTimeout: Duration? = nil, mayBeSent: (@Sendable () -> Bool)? = nil
    ) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.version = version
        self.connectTimeout = connectTimeout
        self.idleTimeout = idleTimeout
        self.totalTimeout = totalTimeout
        self.mayBeSent = mayBeSent
    }
}

/// The version that a request asks for.
public enum HTTPVersion: Sendable, Equatable {
    case http1
    /// Many requests share a connection. Over `https` the server may still choose HTTP/1.1 (ALPN); over `http` it
    /// must speak HTTP/2 from the first byte (prior knowledge).
    case http2
}
