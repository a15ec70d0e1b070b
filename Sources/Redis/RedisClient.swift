/// A client of one Redis server or one Redis Cluster: the calls that everything else makes, safe from any task.
import Logging
import NIOCore
import Synchronization

public final class RedisClient: Sendable {
    struct State {
        var topology = ClusterTopology()
        var nodes: [RedisAddress: RedisNode] = [:]
        /// Why nothing is known of the servers; nil: nobody has been asked yet, or somebody answered.
        var fault: LinkFault?
        var isRunning = false
        var isClosed = false
        var turn = 0
    }

    let configuration: RedisConfiguration
    let group: any EventLoopGroup
    let logger: Logger
    let settings: Link.Settings
    let state = Mutex(State())
    let counters = Shared()
    /// Says that the topology is worth asking for; one word waits, more would say the same.
    let refreshes: (stream: AsyncStream<Void>, wish: AsyncStream<Void>.Continuation)

    /// The counters, which links count into too.
    final class Shared: Sendable {
        let counters = Counters()
    }

    /// Nothing is connected before `run`.
    public init(_ configuration: RedisConfiguration, group: any EventLoopGroup, logger: Logger) {
        self.configuration = configuration
        self.group = group
        self.logger = logger
        let counters = counters
        settings = Link.Settings(
            configuration: configuration, contexts: configuration.tls.map { TLSContexts($0) }, logger: logger,
            onReconnect: { counters.counters.reconnects.add(1, ordering: .relaxed) })
        let (stream, wish) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        refreshes = (stream, wish)
    }

    /// Sends one command and returns its reply, which is never `.error`.
    ///
    /// - Parameter deadline: for all attempts together; nil: the configuration's.
    public func send(
        _ command: RedisCommand, deadline: Duration? = nil
    ) async throws(RedisError) -> RedisValue {
        try await perform(Request(command, patience: configuration.patience), deadline).value
    }

    /// Sends commands together, each to the node of its key; what goes to one node goes there in order. Each has its
    /// own result: there is no transaction, and one that is sent again comes after those that were not.
    public func send(
        _ commands: [RedisCommand], deadline: Duration? = nil
    ) async -> [Result<RedisValue, RedisError>] {
        let requests = commands.map { Request($0, patience: configuration.patience) }
        return await perform(requests, deadline).map { $0.map(\.value) }
    }

    /// Runs a script whose keys are all in one slot.
    public func evaluate(
        _ script: RedisScript, keys: [RedisArgument], arguments: [RedisArgument], isIdempotent: Bool,
        deadline: Duration? = nil
    ) async throws(RedisError) -> RedisValue {
        var request = try request(script, keys, arguments)
        request.isIdempotent = isIdempotent
        request.patience = configuration.patience
        return try await perform(request, deadline).value
    }

    /// Runs a script that writes, and waits until replicas have its writes too. It waits for a node that is down, up to
    /// the deadline, because nothing was sent to it.
    ///
    /// - Parameter waitReplicas: how many are to confirm it; 0: none is asked.
    /// - Returns: the script's reply and how many replicas confirmed it, fewer than wanted where the time was up.
    /// - Throws: never sends it again once it may have run, unless that does no harm; `mayHaveRun` tells.
    public func commit(
        _ script: RedisScript, keys: [RedisArgument], arguments: [RedisArgument], isIdempotent: Bool = false,
        waitReplicas: Int, deadline: Duration
    ) async throws(RedisError) -> (value: RedisValue, replicas: Int) {
        var request = try request(script, keys, arguments)
        request.isIdempotent = isIdempotent
        request.replicas = waitReplicas > 0 ? waitReplicas : nil
        request.patience = nil
        return try await perform(request, deadline)
    }

    public func statistics() -> RedisStatistics {
        let nodes = state.withLock { Array($0.nodes.values) }
        let counters = counters
        return RedisStatistics(
            nodes: state.withLock { $0.topology.masters.count },
            connections: nodes.reduce(0) { $0 + $1.connections },
            inFlight: nodes.reduce(0) { $0 + $1.inFlight },
            commands: counters.counters.commands.load(ordering: .relaxed),
            redirects: counters.counters.redirects.load(ordering: .relaxed),
            reconnects: counters.counters.reconnects.load(ordering: .relaxed),
            timeouts: counters.counters.timeouts.load(ordering: .relaxed),
            overloads: counters.counters.overloads.load(ordering: .relaxed),
            retries: counters.counters.retries.load(ordering: .relaxed))
    }

    /// Fails what is under way, closes every connection and ends `run`. Returns when the connections are closed.
    public func close() async {
        let nodes = state.withLock { state in
            defer { state.nodes = [:] }
            state.isClosed = true
            return Array(state.nodes.values)
        }
        refreshes.wish.finish()
        for node in nodes { await node.close() }
    }

    private func request(
        _ script: RedisScript, _ keys: [RedisArgument], _ arguments: [RedisArgument]
    ) throws(RedisError) -> Request {
        let slot = KeySlot.common(keys)
        if slot == nil, configuration.mode == .cluster {
            throw RedisError(.crossSlot, node: "", command: script.name, mayHaveRun: false)
        }
        return Request(
            name: script.name, payload: .script(script, rest: [RedisArgument(keys.count)] + keys + arguments),
            slot: keys.isEmpty ? nil : slot, isIdempotent: false)
    }
}

extension Request {
    init(_ command: RedisCommand, patience: Duration) {
        self.init(
            name: command.name, payload: .command([RedisArgument(command.name)] + command.arguments),
            slot: command.key.map { KeySlot.of($0.bytes) }, isIdempotent: command.isIdempotent,
            patience: patience)
    }
}
