/// The stand-in for a cluster's API server: what tests start where no real one is at hand. It listens on loopback
/// only, speaks plain HTTP, takes any bearer token and forgets all when it ends.
import Foundation
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import PoolAPI
import Synchronization

public final class StandInServer: Sendable {
    private let group: MultiThreadedEventLoopGroup
    private let state = Mutex(StandInState())
    private let connections = Mutex(Connections())
    public let port: Int

    private struct Connections {
        var listener: (any Channel)?
        var open: [ObjectIdentifier: any Channel] = [:]
        var watches: [ObjectIdentifier: OpenWatch] = [:]
    }

    private struct OpenWatch {
        var channel: any Channel
        var request: WatchRequest
    }

    public var url: String { "http://127.0.0.1:\(port)" }

    /// - Parameters:
    ///   - port: 0: one that is free.
    ///   - bookmarkEvery: how often an open watch is told the version that it has come to.
    public init(port: Int = 0, bookmarkEvery: Duration = .seconds(5)) async throws {
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let server = Later()
        let listener = try await Self.listener(group, port: port, for: server)
        self.port = listener.localAddress?.port ?? 0
        connections.withLock { $0.listener = listener }
        // A connection that came before is closed; nobody knows the port yet.
        server.set(self)
        let nanoseconds =
            bookmarkEvery.components.seconds * 1_000_000_000 + bookmarkEvery.components.attoseconds
            / 1_000_000_000
        group.next().scheduleRepeatedTask(
            initialDelay: .nanoseconds(nanoseconds), delay: .nanoseconds(nanoseconds)
        ) { [weak self] _ in self?.tellBookmarks() }
    }

    public func shutdown() async throws {
        await stopListening()
        try await group.shutdownGracefully()
    }

    /// A kubeconfig with this server and `token`, which is the name that the audit log has for its user.
    public func kubeconfig(token: String = "test", namespace: String = "default") -> String {
        """
        apiVersion: v1
        kind: Config
        current-context: stand-in
        clusters: [{name: stand-in, cluster: {server: "\(url)"}}]
        users: [{name: stand-in, user: {token: "\(token)"}}]
        contexts: [{name: stand-in, context: {cluster: stand-in, user: stand-in, namespace: "\(namespace)"}}]

        """
    }

    // MARK: what tests do to it

    public func inject(_ fault: Fault) { state.withLock { $0.faults.add(fault) } }
    public func clearFaults() { state.withLock { $0.faults.clear() } }
    /// How many requests met a fault.
    public var faultsMet: Int { state.withLock { $0.faults.met } }
    /// How many requests were answered in all.
    public var calls: Int { state.withLock { $0.calls } }
    /// All writes so far.
    public var audit: [AuditedWrite] { state.withLock { $0.audit } }
    public var openWatches: Int { connections.withLock { $0.watches.count } }

    public func setWorkloads(_ mode: WorkloadMode) { state.withLock { $0.store.workloads = mode } }

    /// Ends the roll-out of a Deployment that is held.
    public func rollOut(_ name: String, in namespace: String) {
        change { $0.store.rollOut(ObjectKey(namespace: namespace, name: name)) }
    }

    /// Closes all watches amid a line.
    public func cutWatches() {
        for watch in takeWatches() {
            watch.channel.eventLoop.execute {
                _ = watch.channel.writeAndFlush(StandInHandler.chunk(Array("{\"type\":\"MOD".utf8)))
                watch.channel.close(promise: nil)
            }
        }
    }

    /// Forgets all past versions: open watches are told so, and a new one from an older version is refused.
    public func expireVersions() {
        let version = state.withLock { state in
            state.store.expireVersions()
            return state.store.version
        }
        for watch in takeWatches() {
            watch.channel.eventLoop.execute {
                _ = watch.channel.writeAndFlush(
                    StandInHandler.chunk(WatchLine.error(.expired(version))))
                watch.channel.close(promise: nil)
            }
        }
    }

    /// Is not there for a while, with all connections cut; the objects stay, past versions don't.
    public func restart(down: Duration) async throws {
        await stopListening()
        state.withLock { $0.store.expireVersions() }
        try await Task.sleep(for: down)
        try await listen()
    }

    // MARK: connections

    /// The server that a listener's connections belong to: a port is bound before the server is made whole.
    private final class Later: Sendable {
        private struct Weak { weak var server: StandInServer? }
        private let reference = Mutex(Weak())

        var server: StandInServer? { reference.withLock { $0.server } }
        func set(_ server: StandInServer) { reference.withLock { $0.server = server } }
    }

    private static func listener(
        _ group: MultiThreadedEventLoopGroup, port: Int, for later: Later
    ) async throws -> any Channel {
        try await ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 512)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard let server = later.server else { return channel.close(promise: nil) }
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline(withErrorHandling: true)
                    try channel.pipeline.syncOperations.addHandler(StandInHandler(server: server))
                    server.opened(channel)
                }
            }
            .bind(host: "127.0.0.1", port: port).get()
    }

    private func listen() async throws {
        let server = Later()
        server.set(self)
        let listener = try await Self.listener(group, port: port, for: server)
        connections.withLock { $0.listener = listener }
    }

    private func stopListening() async {
        let (listener, open) = connections.withLock { ($0.listener, Array($0.open.values)) }
        // A channel that is closed already throws; either way it is closed.
        try? await listener?.close()
        for channel in open { try? await channel.close() }
    }

    private func opened(_ channel: any Channel) {
        let id = ObjectIdentifier(channel)
        connections.withLock { $0.open[id] = channel }
        channel.closeFuture.whenComplete { [weak self] _ in
            self?.connections.withLock { connections in
                connections.open[id] = nil
                connections.watches[id] = nil
            }
        }
    }

    // MARK: answers

    /// Answers a call; called by its connection's handler, on its loop.
    func handle(_ call: APICall, on channel: any Channel) -> Answer {
        // Told under the lock, so that each watch hears all changes in their order and none twice.
        state.withLock { state in
            let answer = state.answer(call)
            tell(state.store.takeUntold())
            if case .watch(let request) = answer {
                let id = ObjectIdentifier(channel)
                connections.withLock { $0.watches[id] = OpenWatch(channel: channel, request: request) }
            }
            return answer
        }
    }

    private func change(_ body: (inout StandInState) -> Void) {
        state.withLock { state in
            body(&state)
            tell(state.store.takeUntold())
        }
    }

    private func tell(_ changes: [Change]) {
        guard !changes.isEmpty else { return }
        for watch in connections.withLock({ Array($0.watches.values) }) {
            let lines = changes.compactMap { WatchLine.line($0, to: watch.request) }
            guard !lines.isEmpty else { continue }
            send(lines.flatMap { $0 }, to: watch)
        }
    }

    private func tellBookmarks() {
        state.withLock { state in
            for watch in connections.withLock({ Array($0.watches.values) }) where watch.request.wantsBookmarks
            {
                send(WatchLine.bookmark(state.store.version, watch.request.resource), to: watch)
            }
        }
    }

    /// By the loop's queue even where this is its thread, so that lines keep their order.
    private func send(_ bytes: [UInt8], to watch: OpenWatch) {
        watch.channel.eventLoop.execute {
            _ = watch.channel.writeAndFlush(StandInHandler.chunk(bytes))
        }
    }

    private func takeWatches() -> [OpenWatch] {
        connections.withLock { connections in
            defer { connections.watches = [:] }
            return Array(connections.watches.values)
        }
    }
}
