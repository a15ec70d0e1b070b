/// The worker process's whole life: opens the stores, serves both ports, maintains the memory, drains, ends.
import Agent
import Foundation
import Logging
import Memory
import NIOCore
import NIOPosix
import PoolAPI
import ServiceLifecycle
import Transport

/// What a worker needs beside its configuration: where it listens, keeps its files and finds its secrets.
public struct WorkerSettings: Sendable {
    public var host = "127.0.0.1"
    /// 0: any free port.
    public var port = WorkerPort.public
    public var adminHost = "127.0.0.1"
    public var adminPort = WorkerPort.admin
    /// Take any free admin port where `adminPort` is taken.
    public var adminPortMayChange = false
    /// Of the embedded stores.
    public var dataDirectory: String
    public var podName: String
    /// How long a drain goes on serving before it refuses.
    public var drainDelay: Duration = .zero
    public var maxConnections = 19_000
    public var limits = ConnectionLimits()
    /// One core is left to the thread that talks to the models.
    public var eventLoopThreads = max(1, System.coreCount - 1)

    public init(dataDirectory: String, podName: String) {
        self.dataDirectory = dataDirectory
        self.podName = podName
    }
}

/// Where a started worker can be reached.
public struct WorkerAddresses: Sendable {
    public var port: Int
    public var adminPort: Int
}

public struct AgentWorker: Service {
    private let config: WorkerConfig
    private let settings: WorkerSettings
    private let secrets: SecretStore
    private let logger: Logger
    private let wrapCheckpoints: @Sendable (any CheckpointStore) -> any CheckpointStore
    private let onReady: @Sendable (WorkerAddresses) -> Void

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

    /// Returns after a graceful shutdown, when everything is released.
    ///
    /// - Throws: what kept the worker from starting, with the file, field or port at fault.
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
    }

    private func run(_ http: HTTPClient, _ group: MultiThreadedEventLoopGroup) async throws {
        let now: @Sendable () -> Int64 = { Int64(Date().timeIntervalSince1970 * 1000) }
        let spec = config.spec
        let engine = try TurnEngine(
            spec: spec, secrets: { [secrets] in secrets.value($0) }, http: http, logger: logger, now: now)
        let credentials = SharedCredentials(try readCredentials())
        let configuration = MemoryConfiguration(spec.memory)
        let tiers = try MemoryTiers(
            spec.memory, configuration: configuration, settings: settings, embedding: engine.embedder.space,
            secrets: secrets, group: group, logger: logger, wrapCheckpoints: wrapCheckpoints, now: now)
        let memory = SessionMemory(
            checkpoints: tiers.checkpoints, index: tiers.index, embedder: engine.embedder,
            configuration: configuration, logger: logger, now: now)
        let publicPort = try await HTTPListener.bind(
            .init(
                host: settings.host, port: settings.port, maxConnections: settings.maxConnections,
                limits: settings.limits), group: group)
        let adminPort = try await bindAdminPort(group)

        let admission = Admission(
            maxRunning: spec.concurrency.maxRunningTurns, maxQueued: spec.concurrency.maxQueuedTurns)
        let metrics = TurnMetrics()
        let feeds = SessionFeeds()
        let readiness = SharedReadiness()
        let drain = Drain()
        let conductor = TurnConductor(
            memory: memory, engine: engine, poolAlias: config.pool.name,
            admission: admission,
            archives: ArchiveGate(memory: memory, summarizer: engine.summarizer, limit: 4),
            metrics: metrics, now: now)
        let api = PublicAPI(
            pool: spec.memory.scope, spec: spec, memory: memory, conductor: conductor, feeds: feeds,
            recent: SharedRecentRequests(), credentials: credentials, metrics: metrics,
            startedAt: now() / 1000)
        let admin = AdminAPI(
            podName: settings.podName, memory: memory, admission: admission, feeds: feeds, metrics: metrics,
            readiness: readiness, drain: drain, listener: publicPort)
        let upkeep = MemoryUpkeep(memory: memory, summarizer: engine.summarizer, readiness: readiness)

        await withTaskGroup(of: Void.self) { stores in
            stores.addTask { await tiers.run() }
            await upkeep.observe()
            onReady(WorkerAddresses(port: publicPort.port, adminPort: adminPort.port))
            await withTaskGroup(of: Void.self) { tasks in
                tasks.addTask { await adminPort.serve { await admin.handle($0) } }
                tasks.addTask {
                    await self.serve(publicPort, api, upkeep, credentials, drain)
                    await publicPort.connectionsClosed(within: .seconds(5))
                    await memory.close()
                    await http.shutdown()
                    drain.finished()
                    self.logger.info("drained: every session is released")
                }
                tasks.addTask {
                    await drain.requested()
                    await self.carryOut(drain, admission, feeds, publicPort)
                }
                tasks.addTask {
                    // Cancellation means the same as the signal: go, and lose nothing.
                    try? await gracefulShutdown()
                    drain.request()
                    // A drain that the preStop hook asked for leaves the admin port up until the signal comes.
                    await drain.completed()
                    await adminPort.stopAccepting()
                }
            }
            stores.cancelAll()
        }
        await adminPort.connectionsClosed(within: .seconds(1))
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

    /// Serves until the drain has closed the port and the last request is done, or its time is over.
    private func serve(
        _ port: HTTPListener, _ api: PublicAPI, _ upkeep: MemoryUpkeep, _ credentials: SharedCredentials,
        _ drain: Drain
    ) async {
        await withTaskGroup(of: Void.self) { background in
            background.addTask { await upkeep.run() }
            background.addTask { await self.rereadKeys(into: credentials) }
            await withTaskGroup(of: Void.self) { race in
                race.addTask { await port.serve { await api.handle($0) } }
                race.addTask {
                    await drain.requested()
                    // Ends early only by cancellation: when the last request is done.
                    try? await Task.sleep(
                        for: self.settings.drainDelay + self.config.spec.drain.timeout.duration)
                }
                await race.next()
                race.cancelAll()
            }
            background.cancelAll()
        }
    }

    private func carryOut(
        _ drain: Drain, _ admission: Admission, _ feeds: SessionFeeds, _ port: HTTPListener
    ) async {
        guard case .begin(let delay) = drain.begin(delay: settings.drainDelay) else { return }
        logger.info(
            "draining",
            metadata: ["delay": "\(delay)", "runningTurns": "\(admission.counts.running)"])
        // Nothing cancels this task; were it cancelled, refusing early is the safe side.
        try? await Task.sleep(for: delay)
        drain.delayEnded()
        port.beginDraining()
        admission.beginDraining()
        feeds.closeAll(with: ByteBuffer(staticString: "event: reconnect\nretry: 1000\ndata: {}\n\n"))
        await admission.drained()
        await port.stopAccepting()
    }

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

extension MemoryConfiguration {
    init(_ spec: AgentPoolSpec.Memory) {
        self.init(
            bufferRounds: spec.buffer.rounds, maxSessionBytes: spec.session.maxBytes.bytes,
            idleTTL: spec.session.idleTTL.duration, checkpointTTL: spec.checkpointTTL,
            recall: RecallSettings(
                topK: spec.recall.topK, minScore: spec.recall.minScore,
                deadline: spec.recall.deadline.duration,
                embeddingDeadline: spec.recall.embeddingDeadline.duration))
    }
}
