/// Asks each ready pool for its load, and writes what follows: the sessions shown in its status, its pods' deletion costs.
import Foundation
import Kubernetes
import Logging
import PoolAPI
import Synchronization
import Transport

/// Polls every pool that has ready pods, a bounded number at one time, with jitter.
final class LoadPoller: Sendable {
    private struct Known: Sendable {
        var count = SessionCount()
        /// Of the costs that the pods were found or left with.
        var costs: [String: Int] = [:]
        var costsAt: ContinuousClock.Instant?
        var failures = 0
    }

    static let workers = 64
    /// Between two looks at a pool's deletion costs.
    private static let costPause: Duration = .seconds(60)
    /// A load's bytes; pods report some hundred each.
    private static let maxBytes = 1 << 20

    private let client: KubernetesClient
    private let http: HTTPClient
    private let cache: ClusterCache
    private let interval: Duration
    private let url: @Sendable (PoolReference) -> String
    private let polls: Dispatcher<PoolReference>
    private let known = Mutex<[PoolReference: Known]>([:])
    private let counts = Mutex((answered: 0, failed: 0))
    private let logger: Logger

    init(client: KubernetesClient, cache: ClusterCache, options: ControllerOptions, logger: Logger) {
        self.client = client
        self.cache = cache
        self.logger = logger
        interval = options.loadInterval
        url = options.loadURL
        polls = Dispatcher(WorkQueue(workers: Self.workers))
        var configuration = HTTPClient.Configuration()
        configuration.maxTotalConnections = 2 * Self.workers
        configuration.connectTimeout = .seconds(3)
        // Pools are in the cluster's own network.
        configuration.proxies = ProxySettings(http: nil, https: nil)
        http = HTTPClient(configuration: configuration, logger: logger)
    }

    /// Polls that were answered and that were not, so far.
    var totals: (answered: Int, failed: Int) { counts.withLock { $0 } }

    /// Begins to poll a pool, if nobody does.
    func follow(_ pool: PoolReference) {
        let isNew = known.withLock { known in
            if known[pool] != nil { return false }
            known[pool] = Known()
            return true
        }
        if isNew { polls.add(pool, after: interval * Double.random(in: 0...1)) }
    }

    /// The number of sessions to show in the status; nil where the pool has not answered yet.
    func sessions(_ pool: PoolReference) -> Int? { known.withLock { $0[pool]?.count.shown } }

    /// Polls until the task is cancelled.
    ///
    /// - Parameter changed: Told of each pool whose shown number has changed.
    func run(under leadership: Leadership, _ changed: @escaping @Sendable (PoolReference) -> Void) async {
        await polls.run { pool in await self.poll(pool, leadership, changed) }
    }

    func shutdown() async {
        await http.shutdown()
    }

    private func poll(
        _ pool: PoolReference, _ leadership: Leadership, _ changed: @Sendable (PoolReference) -> Void
    ) async -> WorkQueue<PoolReference>.Outcome {
        guard let entry = cache[pool], entry.pool?.isBeingDeleted == false,
            (entry.deployment?.ready ?? 0) > 0
        else {
            known.withLock { $0[pool] = nil }
            return .done
        }
        do {
            let load = try await ask(pool)
            counts.withLock { $0.answered += 1 }
            let hasChanged = known.withLock { known in
                known[pool]?.failures = 0
                return known[pool]?.count.observe(load.activeSessions, .now) ?? false
            }
            if hasChanged { changed(pool) }
            await writeCosts(pool, load, leadership)
            return .again(after: interval * Double.random(in: 0.9...1.1))
        } catch {
            counts.withLock { $0.failed += 1 }
            logger.debug("no load from a pool", metadata: ["pool": "\(pool)", "error": "\(error)"])
            let failures = known.withLock { known in
                known[pool]?.failures += 1
                return known[pool]?.failures ?? 1
            }
            return .again(after: interval * Double(min(failures, 8)) * Double.random(in: 0.9...1.1))
        }
    }

    private func ask(_ pool: PoolReference) async throws -> PoolLoad {
        let response = try await http.execute(HTTPRequest(url: url(pool), totalTimeout: .seconds(5)))
        let body = try await response.body.collect(upTo: Self.maxBytes)
        guard response.status == 200 else { throw LoadRefused(status: response.status) }
        return try JSONDecoder().decode(PoolLoad.self, from: Data(body))
    }

    /// Only pods that the cluster says are the pool's are written to: the answer comes from a worker, which may name any.
    private func writeCosts(_ pool: PoolReference, _ load: PoolLoad, _ leadership: Leadership) async {
        guard leadership.isHeld() else { return }
        let isDue = known.withLock { known -> Bool in
            guard let pool = known[pool] else { return false }
            return DeletionCost.differs(load, from: pool.costs)
                && (pool.costsAt.map { $0.duration(to: .now) >= Self.costPause } ?? true)
        }
        guard isDue else { return }
        do {
            let pods = try await client.all(
                .pods, in: pool.namespace, labels: PoolNames.podSelector(pool.name), metadataOnly: true,
                as: ObjectHeader.self)
            var costs = Dictionary(
                pods.filter { $0.metadata.deletionTimestamp == nil }.map {
                    (
                        $0.metadata.name,
                        $0.metadata.annotations[DeletionCost.annotation].flatMap(Int.init) ?? 0
                    )
                }, uniquingKeysWith: { $1 })
            for (name, cost) in DeletionCost.changes(load, known: costs).sorted(by: { $0.key < $1.key }) {
                let patch: JSONValue = [
                    "metadata": ["annotations": .object([DeletionCost.annotation: .string("\(cost)")])]
                ]
                _ = try await client.bytes(
                    .mergePatch(
                        .pods, name, in: pool.namespace, patch: patch.bytes(),
                        manager: PoolNames.fieldManager), under: leadership)
                costs[name] = cost
            }
            let written = costs
            known.withLock {
                $0[pool]?.costs = written
                $0[pool]?.costsAt = .now
            }
        } catch {
            logger.debug(
                "deletion costs not written", metadata: ["pool": "\(pool)", "error": "\(error)"])
        }
    }
}

/// A worker answered, but not with its load.
private struct LoadRefused: Error, CustomStringConvertible {
    var status: Int
    var description: String { "answered \(status)" }
}
