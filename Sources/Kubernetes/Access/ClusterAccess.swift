/// Where a cluster's API is and how a client shows who it is. Printing one shows no secret.

import Transport

public struct ClusterAccess: Sendable {
    /// `http://` or `https://`, host, and a path where the API isn't at the root; no slash at its end.
    public var server: String
    /// Certificate authorities, client certificate and the server's name.
    public var tls: TLSSettings
    /// The namespace that commands are about where they name none.
    public var namespace: String
    /// Overrides the environment's proxies.
    public var proxy: String?
    var token: TokenSource?

    /// - Parameter token: sent with every request as it is.
    public init(
        server: String, tls: TLSSettings = TLSSettings(), token: String? = nil, namespace: String = "default"
    ) {
        self.init(server: server, tls: tls, source: token.map { .fixed($0) }, namespace: namespace)
    }

    /// - Parameter tokenFile: read again as it changes.
    public init(
        server: String, tls: TLSSettings = TLSSettings(), tokenFile: String, namespace: String = "default"
    ) {
        self.init(server: server, tls: tls, source: .file(tokenFile), namespace: namespace)
    }

    init(server: String, tls: TLSSettings, source: TokenSource?, namespace: String, proxy: String? = nil) {
        var server = server
        while server.hasSuffix("/") { server.removeLast() }
        self.server = server
        self.tls = tls
        self.token = source
        self.namespace = namespace
        self.proxy = proxy
    }

    enum TokenSource: Sendable {
        case fixed(String)
        case file(String)
    }
}

extension ClusterAccess: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "the API server \(server)" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: ["server": server, "namespace": namespace]) }
}

/// Why a cluster can't be reached as things are configured: what is wrong where, without any of its secrets.
public struct ClusterAccessError: Error, Sendable, Equatable, CustomStringConvertible {
    public var message: String

    public init(_ message: String) {
        self.message = message
    }

    public var description: String { message }
}
