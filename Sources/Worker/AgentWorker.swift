/// The worker process's whole life: opens the stores, serves its ports, maintains the memory, drains, ends.
import Agent
import Foundation
import Logging
import Memory
import NIOCore
import NIOPosix
import PoolAPI
import ServiceLifecycle
import Transport

public struct AgentWorker: Service {
    let config: WorkerConfig
    let settings: WorkerSettings
    private let secrets: SecretStore
    let logger: Logger
    private let wrapCheckpoints: @Sendable (any CheckpointStore) -> any CheckpointStore
    private let onReady: @Sendable (WorkerAddresses) -> Void
    let drain = Drain()

    /// - Parameters:
    ///   - wrapCheckpoints: wraps L2; tests put a store there that breaks its promises.
    ///   - onReady: called once both ports accept.
    public init(
        config: WorkerConfig, settings: WorkerSettings, secrets: SecretStore, logger: Logger,
        wrapCheckpoints: @escaping @Sendable (any CheckpointStore) -> any CheckpointStore = { $0 },
        onReady: @escaping @Sendable (WorkerAddresses) -> Void = { _ in }
    ) {
        self.config = config
        self.settings = settings
        self.secrets = secrets
        self.logger = logger
        self.wrapCheckpoints = wrapCheckpoints
        self.onReady = onReady
    }

    /// Ends a drain now: what still runs is told so. Without effect unless a drain is under way.
    public func hurry() {
        if drain.phase > .serving { drain.timeIsOver() }
    }

    /// Returns after a graceful shutdown, when everything is released.
    ///
    /// - Throws: what kept the worker from starting, with the file, field or port at fault; `DrainCut` where turns still ran
    ///   when the drain's time was over.
    public func run() async throws {
        let http = HTTPClient(logger: logger)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: settings.eventLoopThreads)
        do {
            try await run(http, group)
        } catch {
            await http.shutdown()
            // The first error is the one to tell.
            try? await group.shutdownGracefully()
            throw error
        }
        try await group.shutdownGracefully()
        if drain.hasCut { throw DrainCut() }
    }

    private func run(_ http: HTTPClient, _ group: MultiThreadedEventLoopGroup) async throws {
        let now: @Sendable () -> Int64 = { Int64(Date().timeIntervalSince1970 * 1000) }
        let spec = config.spec
        let skills = SkillShelf(settings.skillFolders, logger: logger)
        await skills.refresh()
        let redaction = try Redaction(spec.guard)
        let tools = ToolSource.all(
            of: spec, headers: { [secrets] in secrets.secret($0.name) }, http: http, logger: logger,
            redact: { redaction.redacted($0) })
        let engine = try TurnEngine(
            spec: spec, tools: tools, skills: skills, secrets: { [secrets] in secrets.value($0) }, http: http,
            logger: logger, now: now)
        let credentials = SharedCredentials(try readCredentials())
        let configuration = MemoryConfiguration(spec.memory)
        let tiers = try MemoryTiers(
            spec.memory, configuration: configuration, settings: settings,
            embedding: engine.embedder.space, secrets: secrets, group: group, logger: logger,
            wrapCheckpoints: wrapCheckpoints, now: now)
        let memory = SessionMemory(
            checkpoints: tiers.checkpoints, index: tiers.index, embedder: engine.embedder,
            configuration: configuration, logger: logger, now: now)
        let live = tiers.live(LivePolicy(spec))
        let publicPort = try await HTTPListener.bind(
            .init(
                host: settings.host, port: settings.port, maxConnections: settings.maxConnections,
                limits: settings.limits), group: group)
        let adminPort = try await bindAdminPort(group)
        let peerPort = try await bindPeerPort(live, group)

        let admission = Admission(
            maxRunning: spec.concurrency.maxRunningTurns, maxQueued: spec.concurrency.maxQueuedTurns)
        let metrics = TurnMetrics()
        let feeds = SessionFeeds()
        let readiness = SharedReadiness()
        let journal = TurnJournal(
            live: live, ownership: LivePolicy.ownership(spec), logger: logger)
        memory.onForeignChange { session in
            journal.lost(session)
            feeds.drop(session)
        }
        let peers = live.map { Peers(live: $0, logger: logger) }
        let relays = RelayMetrics()
        let relay = peers.map {
            PeerRelay(
                peers: $0, http: PeerRelay.client(connections: settings.maxConnections, logger), drain: drain,
                metrics: relays, wholeReplyTimeout: spec.concurrency.turnTimeout.duration * 3, now: now)
        }
        let conductor = TurnConductor(
            memory: memory, engine: engine, poolAlias: config.pool.name,
            admission: admission,
            archives: ArchiveGate(memory: memory, summarizer: engine.summarizer, limit: 4),
            feeds: feeds, journal: journal, cut: drain.cut, metrics: metrics, now: now)
        let api = PublicAPI(
            pool: spec.memory.scope, spec: spec, memory: memory, conductor: conductor, feeds: feeds,
            journal: journal,
            relay: relay,
            recent: SharedRecentRequests(), credentials: credentials, metrics: metrics,
            startedAt: now() / 1000)
        let admin = AdminAPI(
            podName: settings.podName, memory: memory, admission: admission, feeds: feeds, metrics: metrics,
            redaction: engine.guards.redaction, readiness: readiness, drain: drain, listener: publicPort,
            peers: peers, relays: relays,
            peerAddress: peerPort.flatMap { port in
                settings.advertisedPeerHost.map {
                    $0.contains(":") ? "[\($0)]:\(port.port)" : "\($0):\(port.port)"
                }
            })
        let upkeep = MemoryUpkeep(memory: memory, summarizer: engine.summarizer, readiness: readiness)
        let ports = [publicPort] + (peerPort.map { [$0] } ?? [])

        await withTaskGroup(of: Void.self) { stores in
            stores.addTask { await tiers.run() }
            stores.addTask { await journal.run() }
            stores.addTask { await peers?.run { admin.report() } }
            await peers?.exchange(admin.report())
            await upkeep.observe()
            onReady(
                WorkerAddresses(
                    port: publicPort.port, adminPort: adminPort.port, peerPort: peerPort?.port))
            await withTaskGroup(of: Void.self) { tasks in
                tasks.addTask { await adminPort.serve { await admin.handle($0) } }
                tasks.addTask {
                    await self.serve(publicPort, peerPort, api, upkeep, credentials, skills)
                    for port in ports { await port.connectionsClosed(within: .seconds(5)) }
                    async let toolsClosed: Void = ToolSource.close(tools)
                    await journal.flush(within: .seconds(5))
                    await peers?.withdraw()
                    await memory.close()
                    await toolsClosed
                    await http.shutdown()
                    await relay?.http.shutdown()
                    drain.finished()
                    self.logger.info(
                        drain.hasCut
                            ? "the drain's time was over before all turns had ended"
                            : "drained: every session is released")
                }
                tasks.addTask {
                    await drain.requested.wait()
                    await self.carryOut(admission, feeds, ports)
                }
                tasks.addTask {
                    // Cancellation means the same as the signal: go, and lose nothing.
                    try? await gracefulShutdown()
                    drain.requested.set()
                    // A drain that the preStop hook asked for leaves the admin port up until the signal comes.
                    await drain.completed.wait()
                    await adminPort.stopAccepting()
                }
            }
            stores.cancelAll()
        }
        await adminPort.connectionsClosed(within: .seconds(1))
    }

    private func bindPeerPort(
        _ live: RedisLive?, _ group: MultiThreadedEventLoopGroup
    ) async throws -> HTTPListener? {
        guard live != nil else { return nil }
        var limits = settings.limits
        limits.maxHeadBytes *= 2
        return try await HTTPListener.bind(
            .init(
                host: settings.peerHost, port: settings.peerPort, maxConnections: settings.maxConnections,
                limits: limits), group: group)
    }

    private func bindAdminPort(_ group: MultiThreadedEventLoopGroup) async throws -> HTTPListener {
        var configuration = HTTPListener.Configuration(
            host: settings.adminHost, port: settings.adminPort, maxConnections: 256)
        do {
            return try await HTTPListener.bind(configuration, group: group)
        } catch  where settings.adminPortMayChange {
            configuration.port = 0
            return try await HTTPListener.bind(configuration, group: group)
        }
    }

    /// Serves until the drain has closed the ports and the last request is done; what doesn't end when it is cut is cancelled soon
    /// after.
    private func serve(
        _ port: HTTPListener, _ peerPort: HTTPListener?, _ api: PublicAPI, _ upkeep: MemoryUpkeep,
        _ credentials: SharedCredentials, _ skills: SkillShelf
    ) async {
        await withTaskGroup(of: Void.self) { background in
            background.addTask { await upkeep.run() }
            background.addTask { await self.rereadKeys(into: credentials) }
            background.addTask { await self.renewFollowed(api) }
            background.addTask { await self.reread(skills) }
            background.addTask { await self.watchDrain([port] + (peerPort.map { [$0] } ?? [])) }
            await withTaskGroup(of: Void.self) { race in
                race.addTask {
                    await withTaskGroup(of: Void.self) { ports in
                        ports.addTask { await port.serve { await api.handle($0) } }
                        ports.addTask { await peerPort?.serve { await api.handleRelayed($0) } }
                    }
                }
                race.addTask { [drain] in
                    await drain.cut.wait()
                    // Ends early only by cancellation: when the last request is done.
                    try? await Task.sleep(for: Self.cutGrace)
                }
                await race.next()
                race.cancelAll()
            }
            background.cancelAll()
        }
    }

    /// Sessions that somebody follows stay this worker's.
    private func renewFollowed(_ api: PublicAPI) async {
        guard api.journal.isShared else { return }
        let pause = LivePolicy.ownership(config.spec) / 3
        // Only cancellation ends a pause, and with it the loop.
        while (try? await Task.sleep(for: pause)) != nil {
            for scope in api.feeds.followed { api.journal.claim(scope, from: nil) }
        }
    }

    /// What a cut turn has for its last words and its commit.
    private static let cutGrace: Duration = .seconds(5)

    private func readCredentials() throws(WorkerStartError) -> Credentials {
        let auth = config.spec.auth
        switch auth.mode {
        case .none: return .open
        case .apiKeys, .jwt:
            guard let name = auth.apiKeysSecretRef?.name, let keys = secrets.secret(name) else {
                throw WorkerStartError(
                    field: "spec.auth.apiKeysSecretRef",
                    problem: "there is no Secret `\(auth.apiKeysSecretRef?.name ?? "")`",
                    mend:
                        "add it as a document of the same file (or mount it in the pod), or write auth: {mode: None}"
                )
            }
            return Credentials(keys: keys, trusted: auth.trustedKeys)
        }
    }

    private func reread(_ skills: SkillShelf) async {
        guard !skills.isEmpty else { return }
        // Only cancellation ends a pause, and with it the loop.
        while (try? await Task.sleep(for: SkillShelf.freshness)) != nil { await skills.refresh() }
    }

    private func rereadKeys(into credentials: SharedCredentials) async {
        guard config.spec.auth.mode != .none else { return }
        // Only cancellation ends a pause, and with it the loop.
        while (try? await Task.sleep(for: SecretStore.freshness)) != nil {
            do {
                credentials.current = try readCredentials()
            } catch {
                logger.warning(
                    "the API keys can't be read; the last ones stay valid", metadata: ["error": "\(error)"])
            }
        }
    }
}

/// A configuration that reads well but can't be started.
public struct WorkerStartError: Error, CustomStringConvertible {
    public var field: String
    public var problem: String
    public var mend: String

    public var description: String { "\(field): \(problem); \(mend)" }
}
