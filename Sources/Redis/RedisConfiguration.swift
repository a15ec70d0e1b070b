/// What a client is told once: which servers, how to speak to them, and every bound.
public struct RedisAddress: Hashable, Sendable, CustomStringConvertible {
    public var host: String
    public var port: Int

    public init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// Reads `host`, `host:port`, `[::1]:port` or a bare IPv6 address; nil where that isn't one.
    public init?(_ text: String, defaultPort: Int = 6379) {
        if text.hasPrefix("["), let end = text.firstIndex(of: "]") {
            self.init(
                host: String(text[text.index(after: text.startIndex)..<end]),
                portText: text[text.index(after: end)...], defaultPort: defaultPort)
        } else if text.filter({ $0 == ":" }).count > 1 {
            // IPv6 without brackets, as Redis writes it in a redirection: the last colon parts the port.
            guard let colon = text.lastIndex(of: ":") else { return nil }
            self.init(host: String(text[..<colon]), portText: text[colon...], defaultPort: defaultPort)
        } else if let colon = text.firstIndex(of: ":") {
            self.init(host: String(text[..<colon]), portText: text[colon...], defaultPort: defaultPort)
        } else {
            self.init(host: text, portText: "", defaultPort: defaultPort)
        }
    }

    private init?(host: String, portText: Substring, defaultPort: Int) {
        if portText.isEmpty {
            self.init(host: host, port: defaultPort)
        } else {
            guard portText.first == ":", let port = Int(portText.dropFirst()), 1...65535 ~= port else {
                return nil
            }
            self.init(host: host, port: port)
        }
    }

    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// A user of Redis's ACL and its password.
public struct RedisCredentials: Sendable {
    /// nil: the default user (`requirepass`).
    public var user: String?
    public var password: String

    public init(user: String? = nil, password: String) {
        self.user = user
        self.password = password
    }
}

/// How connections are encrypted. Files are PEM and read again when they change.
public struct RedisTLS: Sendable {
    /// Authorities to trust; nil: the system's.
    public var caFile: String?
    /// The client's certificate (with its chain) and its key; both or neither.
    public var certificateFile: String?
    public var keyFile: String?
    /// The name that the certificate must carry, and that is sent as SNI; nil: the host connected to. A certificate
    /// that names the IP address connected to is good as well.
    public var serverName: String?
    /// Off only where the network itself is trusted: without it anybody may answer as the server.
    public var verifiesServer: Bool

    public init(
        caFile: String? = nil, certificateFile: String? = nil, keyFile: String? = nil,
        serverName: String? = nil,
        verifiesServer: Bool = true
    ) {
        self.caFile = caFile
        self.certificateFile = certificateFile
        self.keyFile = keyFile
        self.serverName = serverName
        self.verifiesServer = verifiesServer
    }
}

public struct RedisConfiguration: Sendable {
    public enum Mode: Sendable, Equatable {
        /// One master. Of several addresses the one that says it is the master is used.
        case standalone
        case cluster
    }

    public var mode: Mode
    /// Where to begin. In a cluster any of its nodes; the others are found.
    public var addresses: [RedisAddress]
    /// Asked at every connect, from event loop threads, so it must not block; nil: no authentication.
    public var credentials: @Sendable () -> RedisCredentials?
    public var tls: RedisTLS?
    /// Name resolution, connection, TLS and authentication together.
    public var connectTimeout: Duration = .seconds(3)
    /// How long a command may take with all its redirections and retries, where the call doesn't say.
    public var commandDeadline: Duration = .seconds(5)
    /// How long `send` and `evaluate` wait for a node that is down before they fail; 0: they fail at once. A failover
    /// of Redis Cluster takes some seconds. Commits wait to their deadline.
    public var patience: Duration = .zero
    /// How often the topology is asked for where nothing else asks.
    public var topologyInterval: Duration = .seconds(30)
    public var connectionsPerNode = 2
    public var commitConnectionsPerNode = 2
    /// Commands waiting or unanswered on one connection; one more fails at once as `overloaded`.
    public var maxInFlightPerConnection = 4096
    /// Bytes of these commands, and of one command.
    public var maxInFlightBytesPerConnection = 64 << 20
    /// Commits waiting for a commit connection of one node; one more fails at once as `overloaded`.
    public var maxWaitingCommitsPerNode = 4096
    /// Bytes of one reply; a longer one closes its connection.
    public var maxReplyBytes = 64 << 20
    /// How long after its deadline a command may stay unanswered before its connection counts as dead.
    public var overdueLimit: Duration = .seconds(5)
    /// MOVED and ASK followed for one command.
    public var maxRedirects = 8
    /// The wait before the second attempt to connect; doubled up to `maxReconnectDelay`, with jitter.
    public var reconnectDelay: Duration = .milliseconds(50)
    public var maxReconnectDelay: Duration = .seconds(3)
    /// What connections call themselves in CLIENT LIST.
    public var clientName = "agentpool"

    public init(
        mode: Mode, addresses: [RedisAddress], tls: RedisTLS? = nil,
        credentials: @escaping @Sendable () -> RedisCredentials? = { nil }
    ) {
        self.mode = mode
        self.addresses = addresses
        self.tls = tls
        self.credentials = credentials
    }
}
