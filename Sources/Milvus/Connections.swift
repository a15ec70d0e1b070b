/// Owns the gRPC client in use and puts a new one in its place when its connection stays silent.
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Glibc
import Logging
import Synchronization

typealias Transport = HTTP2ClientTransport.Posix

/// One gRPC client, which has one connection at a time and reconnects when it breaks; and how many calls are on it.
final class Connection: Sendable {
    private struct State {
        var calls = 0
        var isRetired = false
    }

    let client: GRPCClient<Transport>
    let generation: Int
    private let state = Mutex(State())
    private let end = AsyncStream<Never>.makeStream()

    init(_ client: GRPCClient<Transport>, generation: Int) {
        self.client = client
        self.generation = generation
    }

    func callBegins() {
        state.withLock { $0.calls += 1 }
    }

    func callEnded() {
        let isOver = state.withLock { state in
            state.calls -= 1
            return state.isRetired && state.calls == 0
        }
        if isOver { end.continuation.finish() }
    }

    /// Takes no more calls; those that are on it go on to their end.
    func retire() {
        client.beginGracefulShutdown()
        let isOver = state.withLock { state in
            state.isRetired = true
            return state.calls == 0
        }
        if isOver { end.continuation.finish() }
    }

    /// Returns when the connection is retired and its last call has ended. The client's own shutdown would wait for a silent
    /// peer for ever.
    func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.client.runConnections() }
            group.addTask { for await _ in self.end.stream {} }
            defer { group.cancelAll() }
            try await group.next()
        }
    }
}

/// Calls may be made before `run` is; they wait until it is, within their deadlines.
final class Connections: Sendable {
    private struct State {
        var current: Connection
        var health: ConnectionHealth
        var isClosed = false
    }

    private let configuration: MilvusConfiguration
    private let logger: Logger
    private let state: Mutex<State>
    /// Clients to run. At most one at a time waits here: none is replaced before it ran for `connectDeadline`.
    private let starts: (stream: AsyncStream<Connection>, continuation: AsyncStream<Connection>.Continuation)

    /// Throws where the TLS files can't be used.
    init(_ configuration: MilvusConfiguration, logger: Logger) throws {
        self.configuration = configuration
        self.logger = logger
        let first = Connection(try Self.client(configuration), generation: 0)
        state = Mutex(
            State(current: first, health: ConnectionHealth(patience: configuration.connectDeadline)))
        starts = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(8))
        starts.continuation.yield(first)
    }

    /// The connection for a call, which must end with `callEnded`. Nil after `close`.
    func beginCall() -> Connection? {
        state.withLock { state in
            guard !state.isClosed else { return nil }
            // Counted under the lock, so that no connection is retired between being chosen and being used.
            state.current.callBegins()
            return state.current
        }
    }

    /// Runs the connections. Returns after `close`, when the calls under way have ended, or on cancellation.
    func run() async {
        await withTaskCancellationHandler {
            await withDiscardingTaskGroup { group in
                for await current in starts.stream {
                    group.addTask { await self.run(current) }
                }
            }
        } onCancel: {
            close()
        }
    }

    func close() {
        let last = state.withLock { state -> Connection? in
            guard !state.isClosed else { return nil }
            state.isClosed = true
            return state.current
        }
        last?.retire()
        starts.continuation.finish()
    }

    func answered(on generation: Int) {
        state.withLock { $0.health.answered(generation: generation) }
    }

    func unanswered(begun: ContinuousClock.Instant, on generation: Int) {
        let now = ContinuousClock.now
        let action = state.withLock { state in
            state.isClosed ? .keep : state.health.unanswered(begun: begun, generation: generation, now: now)
        }
        switch action {
        case .keep: break
        case .replace: replace(generation)
        }
    }

    private func replace(_ generation: Int) {
        logger.warning(
            "Milvus sent nothing for too long; its connection is replaced",
            metadata: ["server": "\(configuration.server)"])
        let next: GRPCClient<Transport>
        do {
            next = try Self.client(configuration)
        } catch {
            // The certificate files may be half written; the connection that is there goes on, and so does its count.
            logger.error(
                "The connection to Milvus can't be replaced",
                metadata: ["server": "\(configuration.server)", "error": "\(error)"])
            return
        }
        let (old, new) = state.withLock { state in
            let old = state.current
            let new = Connection(next, generation: state.health.generation)
            if !state.isClosed { state.current = new }
            return (old, state.isClosed ? nil : new)
        }
        guard let new else { return }
        // Calls that are under way on the silent connection keep it until their deadlines.
        old.retire()
        starts.continuation.yield(new)
    }

    private func run(_ connection: Connection) async {
        do {
            try await connection.run()
        } catch {
            logger.debug(
                "A connection to Milvus ended",
                metadata: ["server": "\(configuration.server)", "error": "\(error)"])
        }
    }

    private static func client(_ configuration: MilvusConfiguration) throws -> GRPCClient<Transport> {
        var options = Transport.Config.defaults
        // A server that was restarted is found again within seconds.
        options.backoff = .init(initial: .milliseconds(100), max: .seconds(2), multiplier: 1.6, jitter: 0.2)
        options.http2.authority = configuration.tls?.serverName
        return GRPCClient(
            transport: try Transport(
                target: target(configuration.host, configuration.port),
                transportSecurity: configuration.tls.map(Self.security) ?? .plaintext, config: options))
    }

    /// An address is not asked of DNS: gRPC would send it as the server's name in the TLS handshake, where none may stand.
    private static func target(_ host: String, _ port: Int) -> any ResolvableTarget {
        var address = in6_addr()
        if inet_pton(AF_INET, host, &address) == 1 { return .ipv4(address: host, port: port) }
        if inet_pton(AF_INET6, host, &address) == 1 { return .ipv6(address: host, port: port) }
        return .dns(host: host, port: port)
    }

    private static func security(_ tls: MilvusTLS) -> Transport.TransportSecurity {
        .tls { options in
            if let file = tls.caFile {
                options.trustRoots = .certificates([.file(path: file, format: .pem)])
            }
            if let certificate = tls.certificateFile, let key = tls.keyFile {
                options.certificateChain = [.file(path: certificate, format: .pem)]
                options.privateKey = .file(path: key, format: .pem)
            }
        }
    }
}
