/// Where Milvus is, how to sign in, and the bounds that every call keeps.
public struct MilvusConfiguration: Sendable {
    public var host: String
    public var port: Int
    /// Nil: plain text.
    public var tls: MilvusTLS?
    /// Asked at each call, so what changes on disk is used without a restart. Called from any task; must not block.
    public var credentials: @Sendable () -> MilvusCredentials?
    /// Nil: the server's default database.
    public var database: String?
    /// A connection on which calls get no answer for so long is given up for a new one.
    public var connectDeadline: Duration
    /// Of a whole read, with its repetitions.
    public var readDeadline: Duration
    /// Of a whole write, with its repetitions. Rows that don't fit in one message are several writes.
    public var writeDeadline: Duration
    /// Of loading a collection into the server's memory, which grows with the collection.
    public var loadDeadline: Duration
    /// Calls at once; eight times as many may wait, further ones are refused as overloaded.
    public var maxConcurrentCalls: Int

    public init(
        host: String, port: Int = 19530, tls: MilvusTLS? = nil,
        credentials: @escaping @Sendable () -> MilvusCredentials? = { nil }, database: String? = nil,
        connectDeadline: Duration = .seconds(5), readDeadline: Duration = .seconds(5),
        writeDeadline: Duration = .seconds(15), loadDeadline: Duration = .seconds(60),
        maxConcurrentCalls: Int = 64
    ) {
        self.host = host
        self.port = port
        self.tls = tls
        self.credentials = credentials
        self.database = database
        self.connectDeadline = connectDeadline
        self.readDeadline = readDeadline
        self.writeDeadline = writeDeadline
        self.loadDeadline = loadDeadline
        self.maxConcurrentCalls = max(1, maxConcurrentCalls)
    }

    var server: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// Whom to trust, and who we are. The files are PEM and read anew for each new connection's set-up.
public struct MilvusTLS: Sendable, Equatable {
    /// Nil: the system's authorities.
    public var caFile: String?
    /// With `keyFile`, a certificate of our own for servers that ask for one.
    public var certificateFile: String?
    public var keyFile: String?
    /// The name in the server's certificate, where it isn't the host's.
    public var serverName: String?

    public init(
        caFile: String? = nil, certificateFile: String? = nil, keyFile: String? = nil,
        serverName: String? = nil
    ) {
        self.caFile = caFile
        self.certificateFile = certificateFile
        self.keyFile = keyFile
        self.serverName = serverName
    }
}

public enum MilvusCredentials: Sendable, Equatable {
    case password(user: String, password: String)
    case token(String)
}
