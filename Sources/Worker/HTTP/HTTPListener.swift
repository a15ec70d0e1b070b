/// Binds a port and turns its connections into whole requests, handed to one consumer.
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// Accepts connections until `stopAccepting`; whole requests wait for `serve` in the order in which they came.
///
/// Bounded: at most `maxConnections` connections, each with one request in hand.
final class HTTPListener: Sendable {
    struct Configuration: Sendable {
        var host: String
        /// 0 asks the system for a free one.
        var port: Int
        var maxConnections: Int
        var limits = ConnectionLimits()
    }

    private let requests: AsyncStream<ServerRequest>
    private let incoming: AsyncStream<ServerRequest>.Continuation
    private let channel: any Channel
    private let connections: ConnectionCount
    private let flags: ListenerFlags
    private let executors: [ObjectIdentifier: EventLoopTaskExecutor]
    private let pulses: [LoopPulse]

    /// How long ago the slowest event loop came round; seconds mean that it is stuck.
    var slowestPulse: Duration { pulses.map { $0.age() }.max() ?? .zero }

    /// The address that was bound.
    var port: Int { channel.localAddress?.port ?? 0 }
    var openConnections: Int { connections.current }
    var refusedConnections: Int { connections.refused }

    private init(
        channel: any Channel, requests: AsyncStream<ServerRequest>,
        incoming: AsyncStream<ServerRequest>.Continuation, connections: ConnectionCount,
        draining: ListenerFlags, executors: [ObjectIdentifier: EventLoopTaskExecutor], pulses: [LoopPulse]
    ) {
        self.channel = channel
        self.requests = requests
        self.incoming = incoming
        self.connections = connections
        self.flags = draining
        self.executors = executors
        self.pulses = pulses
    }

    /// Binds and begins to accept.
    ///
    /// - Throws: `ListenError` naming host and port, where they can't be bound.
    static func bind(_ configuration: Configuration, group: MultiThreadedEventLoopGroup) async throws
        -> HTTPListener
    {
        let (requests, incoming) = AsyncStream.makeStream(
            of: ServerRequest.self, bufferingPolicy: .bufferingOldest(configuration.maxConnections))
        let connections = ConnectionCount(limit: configuration.maxConnections)
        let draining = ListenerFlags()
        let accept: @Sendable (ServerRequest) -> Bool = { request in
            if case .enqueued = incoming.yield(request) { return true }
            return false
        }
        var contexts: [ObjectIdentifier: NIOLoopBound<LoopContext>] = [:]
        var executors: [ObjectIdentifier: EventLoopTaskExecutor] = [:]
        var pulses: [LoopPulse] = []
        for loop in group.makeIterator() {
            let pulse = LoopPulse()
            pulses.append(pulse)
            contexts[ObjectIdentifier(loop)] = try await loop.submit {
                let context = LoopContext(
                    clock: LoopClock(pulse: pulse), limits: configuration.limits,
                    draining: { draining.isDraining }, cutting: { draining.isCutting }, accept: accept)
                let bound = NIOLoopBound(context, eventLoop: loop)
                loop.scheduleRepeatedTask(initialDelay: LoopClock.interval, delay: LoopClock.interval) { _ in
                    bound.value.clock.tick()
                }
                return bound
            }.get()
            executors[ObjectIdentifier(loop)] = EventLoopTaskExecutor(loop)
        }
        let loopContexts = contexts
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 4096)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(
                .recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(minimum: 512, initial: 1024, maximum: 64 * 1024)
            )
            .childChannelOption(.writeBufferWaterMark, value: .init(low: 32 * 1024, high: 64 * 1024))
            .childChannelInitializer { channel in
                guard connections.add() else {
                    return channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(FullHandler())
                    }
                }
                channel.closeFuture.whenComplete { _ in connections.remove() }
                return channel.eventLoop.makeCompletedFuture {
                    guard let loop = loopContexts[ObjectIdentifier(channel.eventLoop)] else {
                        throw ChannelError.operationUnsupported
                    }
                    try channel.pipeline.syncOperations.addHandlers([
                        ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .dropBytes)),
                        ConnectionHandler(loop: loop.value),
                    ])
                }
            }
        do {
            let channel = try await bootstrap.bind(host: configuration.host, port: configuration.port).get()
            return HTTPListener(
                channel: channel, requests: requests, incoming: incoming, connections: connections,
                draining: draining, executors: executors, pulses: pulses)
        } catch {
            throw ListenError(host: configuration.host, port: configuration.port, reason: "\(error)")
        }
    }

    /// Hands every request to `handle`, each in a task on its connection's own loop, until `stopAccepting`; returns when the
    /// last one is done. Bounded by the connections: each has one request in hand.
    func serve(_ handle: @escaping @Sendable (ServerRequest) async -> Void) async {
        await withDiscardingTaskGroup { group in
            for await request in requests {
                group.addTask(executorPreference: executors[ObjectIdentifier(request.exchange.eventLoop)]) {
                    await handle(request)
                }
            }
        }
    }

    /// From now on each answer closes its connection, and idle connections close.
    func beginDraining() {
        flags.drain()
    }

    /// From now on every client counts as gone: running turns end as if theirs had left.
    func cutRunning() {
        flags.cut()
    }

    /// Closes the port and ends `requests`; connections that are being answered go on.
    func stopAccepting() async {
        // The port may be closed already; either way nothing comes in any more.
        try? await channel.close()
        incoming.finish()
    }

    /// Gives answers on their way time to leave: a connection that dies with its event loop ends without a terminator.
    func connectionsClosed(within limit: Duration) async {
        flags.drain()
        let deadline = ContinuousClock.now + limit
        // Asked for rather than told: it happens once in a process's life.
        while openConnections > 0, .now < deadline, (try? await Task.sleep(for: .milliseconds(20))) != nil {}
    }
}

/// The port could not be had.
public struct ListenError: Error, CustomStringConvertible {
    let host: String
    let port: Int
    let reason: String

    public var description: String {
        "can't listen on \(host):\(port): \(reason); choose another with --port, --admin-port or --peer-port"
    }
}

/// Answers a connection over the limit before it has asked anything, once it is open: earlier nothing can be written.
private final class FullHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    func channelActive(context: ChannelHandlerContext) {
        let response = APIError(
            .serviceUnavailable, type: "server_error", code: "too_many_connections",
            "This worker holds all the connections that it may.", retryAfter: 1
        ).response
        var bytes = context.channel.allocator.buffer(capacity: 512)
        bytes.writeHead(response.head, framing: .length(response.body.count), close: true, date: nil)
        bytes.writeBytes(response.body)
        let channel = context.channel
        let flushed = context.eventLoop.makePromise(of: Void.self)
        flushed.futureResult.assumeIsolated().whenComplete { _ in channel.close(promise: nil) }
        context.writeAndFlush(wrapOutboundOut(bytes), promise: flushed)
    }
}

/// Counts a listener's connections against its limit.
private final class ConnectionCount: Sendable {
    private let limit: Int
    private let counts = Mutex((open: 0, refused: 0))

    init(limit: Int) { self.limit = limit }

    var current: Int { counts.withLock { $0.open } }
    var refused: Int { counts.withLock { $0.refused } }

    func add() -> Bool {
        counts.withLock {
            guard $0.open < limit else {
                $0.refused += 1
                return false
            }
            $0.open += 1
            return true
        }
    }

    func remove() { counts.withLock { $0.open -= 1 } }
}

private final class ListenerFlags: Sendable {
    private let draining = Atomic(false)
    private let cutting = Atomic(false)
    var isDraining: Bool { draining.load(ordering: .relaxed) }
    var isCutting: Bool { cutting.load(ordering: .relaxed) }
    func drain() { draining.store(true, ordering: .relaxed) }
    func cut() { cutting.store(true, ordering: .relaxed) }
}
