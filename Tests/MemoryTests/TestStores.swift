/// Which L2 the memory's tests run on: the embedded one, or a Redis that the environment names.
import Foundation
import Logging
import NIOPosix

@testable import Memory

enum TestStores {
    case embedded
    case redis(RedisSettings)

    /// `AGENTPOOL_TEST_L2` is `redis` or `cluster`; `AGENTPOOL_STORE_REDIS` and `AGENTPOOL_STORE_CLUSTER` say where (host:port).
    static let current: TestStores = {
        let environment = ProcessInfo.processInfo.environment
        switch environment["AGENTPOOL_TEST_L2"] {
        case "redis":
            return .redis(settings(.standalone, environment["AGENTPOOL_STORE_REDIS"]))
        case "cluster":
            return .redis(settings(.cluster, environment["AGENTPOOL_STORE_CLUSTER"]))
        default: return .embedded
        }
    }()

    /// Patient: all tests connect at once, on machines that have other things to do.
    private static func settings(_ mode: RedisSettings.Mode, _ address: String?) -> RedisSettings {
        var settings = RedisSettings(mode: mode, addresses: [server(address)])
        settings.connectTimeout = .seconds(60)
        settings.commandDeadline = .seconds(60)
        return settings
    }

    private static func server(_ text: String?) -> RedisServer {
        guard let server = text.flatMap({ RedisServer($0) }) else {
            preconditionFailure("AGENTPOOL_STORE_REDIS or AGENTPOOL_STORE_CLUSTER must be host:port")
        }
        return server
    }

    var isEmbedded: Bool {
        if case .embedded = self { true } else { false }
    }

    /// A store of its own for each pool.
    func checkpoints(
        _ store: EmbeddedStore, configuration: MemoryConfiguration, clock: TestClock,
        pool: String
    ) -> any CheckpointStore {
        switch self {
        case .embedded: return store.checkpoints
        case .redis(let settings):
            return RunningRedis(
                RedisCheckpoints(
                    settings, group: MultiThreadedEventLoopGroup.singleton,
                    keyspace: RedisKeyspace(pool: pool, parts: 1), policy: configuration.policy,
                    waitReplicas: settings.mode == .cluster ? 1 : 0, headStart: .zero,
                    logger: .quiet, now: { clock.now }))
        }
    }
}

/// Keeps a Redis store running as long as a test holds it.
final class RunningRedis: WrappingCheckpoints {
    let base: any CheckpointStore
    private let running: Task<Void, Never>

    func open(_ scope: Scope, contextLimit: Int, others: [String]) async throws -> SessionOpening {
        try await base.open(scope, contextLimit: contextLimit, others: others)
    }

    func fragments(
        _ scope: Scope, limit: FragmentLimit, recalling query: Digest128
    ) async throws -> (fragments: Fragments, recalled: String?) {
        try await base.fragments(scope, limit: limit, recalling: query)
    }

    func keepRecalled(
        _ found: String, for query: Digest128, _ scope: Scope, generation: Int64, now: Int64
    ) async throws {
        try await base.keepRecalled(found, for: query, scope, generation: generation, now: now)
    }

    init(_ store: RedisCheckpoints) {
        base = store
        running = Task { await store.run() }
    }

    deinit { running.cancel() }
}
