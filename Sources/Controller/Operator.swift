/// The controller as a service: watches fill the caches, an election decides who works the queue off, probes and metrics tell of it.
import Kubernetes
import Logging
import PoolAPI
import ServiceLifecycle
import Synchronization

/// Reconciles AgentPools until it is told to stop.
///
/// Every process keeps its caches filled, also one that only stands by: it takes over at once when the lease is free, at the cost of
/// as many watches again. Only the leader writes. A graceful shutdown, like a cancellation, gives the lease back and returns within
/// a few seconds. The client is the caller's to shut down afterwards.
public struct Operator: Service {
    private let client: KubernetesClient
    private let settings: OperatorSettings
    private let options: ControllerOptions
    private let logger: Logger
    private let cache = ClusterCache()
    private let queue: Dispatcher<PoolReference>
    private let rollouts: Rollouts
    private let metrics = ControllerMetrics()
    private let progress = Progress()

    /// A reconcile that takes longer is stuck, and the process with it.
    private static let stuckAfter: Duration = .seconds(600)
    /// Objects of one pool change together; a short wait makes one look of many, and lets the caches catch up with our own writes.
    private static let gathering: Duration = .milliseconds(100)

    public init(
        client: KubernetesClient, settings: OperatorSettings, options: ControllerOptions, logger: Logger
    ) {
        self.client = client
        self.settings = settings
        self.options = options
        self.logger = logger
        queue = Dispatcher(
            WorkQueue(workers: options.workers, firstRetry: options.firstRetry, lastRetry: options.lastRetry))
        rollouts = Rollouts(limit: options.maxRollingPools)
    }

    /// Runs until the task is cancelled or the service group shuts down.
    /// - Throws: Where the port of metrics and health can't be had.
    public func run() async throws {
        try await cancelWhenGracefulShutdown { try await runUntilCancelled() }
    }

    private func runUntilCancelled() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            let loads = LoadPoller(client: client, cache: cache, options: options, logger: logger)
            if let port = options.metricsPort {
                group.addTask {
                    let server = HealthServer(host: options.metricsHost, port: port) { path in
                        answer(path, loads)
                    }
                    try await server.run(options.onListening)
                }
            }
            group.addTask { await control(loads) }
            // The server fails, or both end by cancellation.
            do {
                for try await _ in group {}
            } catch {
                group.cancelAll()
                await loads.shutdown()
                throw error
            }
            await loads.shutdown()
        }
    }

    /// Everything but the server.
    private func control(_ loads: LoadPoller) async {
        guard let first = await discover() else { return }
        let features = FeatureBoard(first)
        await withDiscardingTaskGroup { group in
            group.addTask { await followFeatures(features) }
            for namespace in namespaces {
                group.addTask { await watchPools(namespace) }
                group.addTask { await watchReplicaSets(namespace) }
            }
            for kind in ChildKind.allCases {
                group.addTask { await watchChildren(kind, features) }
            }
            group.addTask { await stand(features, loads) }
        }
    }

    // MARK: Discovery

    private func discover() async -> ClusterFeatures? {
        var pause: Duration = .milliseconds(500)
        while !Task.isCancelled {
            do throws(APIError) {
                return try await client.features()
            } catch {
                logger.warning("the cluster can't be asked what it serves", metadata: ["error": "\(error)"])
            }
            // Cancelled: the loop's condition sees it.
            try? await Task.sleep(for: pause)
            pause = min(pause * 2, .seconds(10))
        }
        return nil
    }

    private func followFeatures(_ features: FeatureBoard) async {
        while !Task.isCancelled {
            // Cancelled: discovery returns nothing, and the loop's condition ends it.
            try? await Task.sleep(for: options.discoveryInterval)
            guard let found = await discover(), features.update(found) else { continue }
            logger.notice("the cluster serves other APIs than before", metadata: ["features": "\(found)"])
            queue.add(cache.pools)
        }
    }

    // MARK: Watching

    /// A watch for each; nil stands for all namespaces in one.
    private var namespaces: [String?] {
        guard let names = options.namespaces, !names.isEmpty else { return [nil] }
        return names
    }

    private func watchPools(_ namespace: String?) async {
        let scope = ClusterState.Scope(source: .pools, namespace: namespace)
        let watcher = Watcher<PoolObject>(
            client: client, kind: .agentPools, namespace: namespace, logger: logger
        ) { try PoolObject($0) }
        await watcher.run { delivery in
            let changed = cache.update { $0.take(delivery, scope) }
            took(delivery, scope, changed, after: .zero)
        }
    }

    private func watchReplicaSets(_ namespace: String?) async {
        let watcher = Watcher<ObservedObject>(
            client: client, kind: .replicaSets, namespace: namespace, labels: PoolNames.poolLabel,
            logger: logger
        ) { try ObservedObject($0) }
        await watch(watcher, ClusterState.Scope(source: .replicaSets, namespace: namespace))
    }

    private func watchChildren(_ kind: ChildKind, _ features: FeatureBoard) async {
        guard FeatureBoard.optionalKinds.contains(kind) else { return await watchAll(kind) }
        while !Task.isCancelled {
            await features.wait(for: kind, toBeServed: true)
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await watchAll(kind) }
                group.addTask { await features.wait(for: kind, toBeServed: false) }
                await group.next()
                group.cancelAll()
            }
            queue.add(cache.update { $0.forget(kind) })
        }
    }

    private func watchAll(_ kind: ChildKind) async {
        await withDiscardingTaskGroup { group in
            for namespace in namespaces {
                group.addTask {
                    let watcher = Watcher<ObservedObject>(
                        client: client, kind: kind.resource, namespace: namespace,
                        labels: PoolNames.managedSelector, metadataOnly: kind != .deployment && kind != .job,
                        logger: logger
                    ) { try ObservedObject($0) }
                    await watch(watcher, ClusterState.Scope(source: .children(kind), namespace: namespace))
                }
            }
        }
    }

    private func watch(_ watcher: Watcher<ObservedObject>, _ scope: ClusterState.Scope) async {
        await watcher.run { delivery in
            let changed = cache.update { $0.take(delivery, scope) }
            if scope.source == .children(.deployment) {
                for key in changed { queue.add(rollouts.observe(key, cache[key]?.deployment)) }
            }
            took(delivery, scope, changed, after: Self.gathering)
        }
    }

    private func took<Object>(
        _ delivery: WatchDelivery<Object>, _ scope: ClusterState.Scope, _ changed: [PoolReference],
        after delay: Duration
    ) {
        queue.add(changed, after: delay)
        if case .listEnded = delivery { progress.listed.send() }
    }

    /// Whether every watch that there should be has told all that was there.
    private func isSynced(_ features: FeatureBoard) -> Bool {
        let sources: [ClusterState.Scope.Source] =
            [.pools, .replicaSets]
            + ChildKind.allCases.filter { features.serves($0) }.map { .children($0) }
        return cache.update { state in
            state.hasListed(
                sources.flatMap { source in
                    namespaces.map { ClusterState.Scope(source: source, namespace: $0) }
                })
        }
    }

    // MARK: Leading

    /// Waits for full caches, then for the lease, leads, and begins anew when the lease is lost.
    private func stand(_ features: FeatureBoard, _ loads: LoadPoller) async {
        while !Task.isCancelled, !isSynced(features) { await progress.listed.wait() }
        if Task.isCancelled { return }
        progress.setSynced()
        logger.info("the caches are filled", metadata: ["pools": "\(cache.poolCount)"])
        while !Task.isCancelled {
            let election = LeaderElection(
                client: client, name: options.leaseName, namespace: options.leaseNamespace,
                identity: options.identity, timing: options.leaseTiming, logger: logger)
            do {
                try await election.run { leadership in await lead(leadership, features, loads) }
            } catch is CancellationError {
                return
            } catch {
                logger.warning("this process no longer leads", metadata: ["error": "\(error)"])
            }
        }
    }

    private func lead(_ leadership: Leadership, _ features: FeatureBoard, _ loads: LoadPoller) async {
        metrics.leads(true)
        defer { metrics.leads(false) }
        let reconciler = Reconciler(
            client: client, cache: cache, desires: DesiredMemo(settings: settings), features: features,
            rollouts: rollouts, loads: loads,
            events: EventRecorder(client: client, identity: options.identity, logger: logger),
            leadership: leadership,
            limits: PurgeLimits(pods: options.purgeTimeout, job: options.purgeJobTimeout),
            resyncInterval: options.resyncInterval, enqueue: { queue.add($0) }, logger: logger)
        queue.add(cache.pools)
        await withDiscardingTaskGroup { group in
            group.addTask { await queue.run { key in await look(at: key, reconciler) } }
            group.addTask {
                await loads.run(under: leadership) { key in queue.add(key, after: Self.gathering) }
            }
        }
    }

    private func look(at key: PoolReference, _ reconciler: Reconciler) async
        -> WorkQueue<PoolReference>.Outcome
    {
        let begun = ContinuousClock.now
        let outcome = await reconciler.reconcile(key)
        let duration = begun.duration(to: .now)
        let resync = options.resyncInterval * Double.random(in: 1...1.1)
        switch outcome {
        case .settled:
            metrics.reconciled(.success, duration)
            return cache[key]?.pool == nil ? .done : .again(after: resync)
        case .unsettled(let delay):
            metrics.reconciled(.requeueAfter, duration)
            return .again(after: min(delay, resync))
        case .blocked:
            metrics.reconciled(.requeue, duration)
            return .failed()
        case .failed(let rest):
            metrics.reconciled(.error, duration)
            return .failed(atLeast: rest)
        case .abandoned: return .done
        }
    }

    // MARK: Probes

    private func answer(_ path: String, _ loads: LoadPoller) -> HealthServer.Answer {
        switch path {
        case "/livez":
            let isStuck = queue.snapshot().longestRun > Self.stuckAfter
            return isStuck
                ? .init(status: .serviceUnavailable, body: "a reconcile is stuck\n")
                : .init(status: .ok, body: "ok\n")
        case "/readyz":
            return progress.isSynced
                ? .init(status: .ok, body: "ok\n")
                : .init(status: .serviceUnavailable, body: "the caches are not filled yet\n")
        case "/metrics":
            return .init(
                status: .ok,
                body: metrics.page(
                    ControllerMetrics.Around(
                        queue: queue.snapshot(), requests: client.metrics.requests, pools: cache.poolCount,
                        rolling: cache.rolling.count, waitingRollouts: rollouts.waitingCount,
                        polls: loads.totals, leaseName: options.leaseName)))
        default: return .init(status: .notFound, body: "there is /livez, /readyz and /metrics\n")
        }
    }
}

/// How far the start has come.
private final class Progress: Sendable {
    let listed = Nudge()
    private let synced = Atomic(false)

    var isSynced: Bool { synced.load(ordering: .relaxed) }
    func setSynced() { synced.store(true, ordering: .relaxed) }
}
