/// `agentpool purge`: forgets all that a pool's memory scope has in the second and third tier.
import Agent
import Foundation
import Logging
import Memory
import NIOCore
import NIOPosix
import PoolAPI

public struct Purge: Sendable {
    public struct Outcome: Sendable, Equatable {
        /// Keys deleted in Redis; nil where the pool has none.
        public var keys: Int?
        /// Rows deleted in Milvus; nil where the pool has none.
        public var rows: Int?
        /// Whether there was a file of the embedded stores; nil where the pool uses neither of them.
        public var file: Bool?
    }

    private let memory: AgentPoolSpec.Memory
    private let dataDirectory: String
    private let secrets: SecretStore
    private let logger: Logger

    public init(_ spec: AgentPoolSpec, dataDirectory: String, secrets: SecretStore, logger: Logger) {
        memory = spec.memory
        self.dataDirectory = dataDirectory
        self.secrets = secrets
        self.logger = logger
    }

    /// What `run` forgets, in words.
    public var target: String {
        var places: [String] = []
        if let redis = memory.redis { places.append("Redis \(redis.addresses.joined(separator: ", "))") }
        if let milvus = memory.milvus {
            places.append("Milvus \(milvus.address), collection \(milvus.collection)")
        }
        if usesFile { places.append("\(dataDirectory)/memory.sqlite") }
        return "all sessions and memories of \(memory.scope) in " + places.joined(separator: "; ")
    }

    private var usesFile: Bool { memory.redis == nil || memory.milvus == nil }

    /// May be repeated; what broke off goes on with what is left.
    ///
    /// - Throws: `WorkerStartError` with the field at fault, `Purging.Refused` where workers of the scope run, or what a
    ///   store says.
    public func run() async throws -> Outcome {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let result: Result<Outcome, any Error>
        do {
            result = .success(try await run(group))
        } catch {
            result = .failure(error)
        }
        try await group.shutdownGracefully()
        return try result.get()
    }

    private func run(_ group: any EventLoopGroup) async throws -> Outcome {
        // All that can be wrong with the configuration, before anything is forgotten.
        let redis = try memory.redis.map {
            try RedisConnection($0, secrets: secrets, files: dataDirectory).settings
        }
        let milvus = try memory.milvus.map { try MilvusConnection($0, secrets: secrets).settings }
        var outcome = Outcome()
        func purgeKeys() async throws -> Int? {
            guard let spec = memory.redis, let redis else { return nil }
            return try await Purging.redis(
                redis, group: group, pool: memory.scope, waitReplicas: spec.waitReplicas, logger: logger,
                progress: progress("keys deleted in Redis"))
        }
        outcome.keys = try await purgeKeys()
        if usesFile { outcome.file = try EmbeddedStore.purge(directory: dataDirectory) }
        if let spec = memory.milvus, let milvus {
            outcome.rows = try await Purging.milvus(
                milvus, collection: spec.collection, pool: memory.scope, logger: logger,
                progress: progress("rows deleted in Milvus"))
        }
        // Whoever archived meanwhile has left keys.
        guard try await purgeKeys() ?? 0 == 0 else {
            throw Purging.Refused(
                description: "keys of \(memory.scope) came to Redis meanwhile: somebody still serves the pool"
            )
        }
        return outcome
    }

    private func progress(_ message: Logger.Message) -> @Sendable (Int) -> Void {
        { [logger] count in logger.info(message, metadata: ["count": "\(count)"]) }
    }
}
