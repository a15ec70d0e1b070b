/// Which L2 the memory's tests run on: the embedded one, or a Redis that the environment names.
import Foundation
import Logging
import NIOPosix

@testable import Memory

enum TestStores {
    case embedded
    case redis(RedisSettings)

    /// `AGENTPOOL_TEST_REDIS` is `standalone:host:port` or `cluster:host:port`.
    static let current: TestStores = {
        guard let text = ProcessInfo.processInfo.environment["AGENTPOOL_TEST_REDIS"] else { return .embedded }
        let parts = text.split(separator: ":", maxSplits: 1).map(String.init)
        guard parts.count == 2, let server = RedisServer(parts[1]) else {
            preconditionFailure("AGENTPOOL_TEST_REDIS must be standalone:host:port or cluster:host:port")
        }
        return .redis(
            RedisSettings(mode: parts[0] == "cluster" ? .cluster : .standalone, addresses: [server]))
    }()

    var isEmbedded: Bool {
        if case .embedded = self { true } else { false }
    }

    /// A store of its own for each call.
    func checkpoints(
        _ store: EmbeddedStore, configuration: MemoryConfiguration, clock: TestClock
    ) -> any CheckpointStore {
        switch self {
        case .embedded: return store.checkpoints
        case .redis(let settings):
            return RunningRedis(
                RedisCheckpoints(
                    settings, group: MultiThreadedEventLoopGroup.singleton,
                    keyspace: RedisKeyspace(pool: UUID().uuidString, parts: 1), policy: configuration.policy,
                    waitReplicas: settings.mode == .cluster ? 1 : 0, headStart: .zero,
                    logger: .quiet, now: { clock.now }))
        }
    }
}

/// Keeps a Redis store running as long as a test holds it.
final class RunningRedis: WrappingCheckpoints {
    let base: any CheckpointStore
    private let running: Task<Void, Never>

    init(_ store: RedisCheckpoints) {
        base = store
        running = Task { await store.run() }
    }

    deinit { running.cancel() }
}
