/// `agentpool reindex`: gives a pool's memories vectors of the embedding model that its manifest names now.
import Agent
import Foundation
import Logging
import Memory
import NIOCore
import NIOPosix
import PoolAPI
import Transport

public struct Reindex: Sendable {
    private let spec: AgentPoolSpec
    private let dataDirectory: String
    private let secrets: SecretStore
    private let logger: Logger

    public init(_ spec: AgentPoolSpec, dataDirectory: String, secrets: SecretStore, logger: Logger) {
        self.spec = spec
        self.dataDirectory = dataDirectory
        self.secrets = secrets
        self.logger = logger
    }

    /// - Parameters:
    ///   - from: the collection whose memories are copied; nil with the embedded stores, which are rebuilt in place.
    ///   - progress: gets the number of memories done so far.
    /// - Returns: how many memories have vectors of the model now.
    /// - Throws: `WorkerStartError` with the field at fault, or what a store or the embedder says.
    public func run(from: String?, progress: (Int) -> Void) async throws -> Int {
        let http = HTTPClient(logger: logger)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let result: Result<Int, any Error>
        do {
            let embedder = try Embedder(spec, secrets: { [secrets] in secrets.value($0) }, http: http)
            result = .success(try await run(from: from, embedder, group, progress))
        } catch {
            result = .failure(error)
        }
        await http.shutdown()
        try await group.shutdownGracefully()
        return try result.get()
    }

    private func run(
        from: String?, _ embedder: Embedder, _ group: any EventLoopGroup, _ progress: (Int) -> Void
    ) async throws -> Int {
        guard let milvus = spec.memory.milvus else {
            guard from == nil else {
                throw WorkerStartError(
                    field: "spec.memory.milvus", problem: "the pool has no Milvus to copy a collection in",
                    mend: "leave --from out to rebuild the embedded store, or add spec.memory.milvus")
            }
            return try await Reindexing.rebuild(
                directory: dataDirectory, embedder: embedder, logger: logger, progress: progress)
        }
        guard let from else {
            throw WorkerStartError(
                field: "spec.memory.milvus.collection",
                problem: "a collection's vectors are never replaced in place",
                mend: "name a new collection there, and the old one by --from")
        }
        let connection = try MilvusConnection(milvus, secrets: secrets)
        let tiers = try MemoryTiers(
            spec.memory, configuration: MemoryConfiguration(spec.memory),
            settings: WorkerSettings(dataDirectory: dataDirectory, podName: "reindex"),
            embedding: embedder.space, secrets: secrets, group: group, logger: logger,
            wrapCheckpoints: { $0 }, now: { Int64(Date().timeIntervalSince1970 * 1000) })
        return try await withThrowingTaskGroup(of: Void.self) { stores in
            stores.addTask { await tiers.run() }
            defer { stores.cancelAll() }
            return try await Reindexing.copy(
                connection.settings, from: from, to: milvus.collection, embedder: embedder,
                checkpoints: tiers.checkpoints, logger: logger, progress: progress)
        }
    }
}
