/// Opens the memory's second and third tier as the manifest names them, and runs what they need.
import Agent
import Foundation
import Logging
import Memory
import NIOCore
import PoolAPI

struct MemoryTiers: Sendable {
    let checkpoints: any CheckpointStore
    let index: any MemoryIndex
    private let shared: RedisCheckpoints?
    /// What must run as long as the tiers are used; each returns when it is cancelled.
    private let services: [@Sendable () async -> Void]

    /// What the pool's workers tell each other; nil where L2 is this process's own.
    func live(_ policy: LivePolicy) -> RedisLive? { shared?.live(policy) }

    /// Runs until cancelled.
    func run() async {
        await withTaskGroup(of: Void.self) { tasks in
            for service in services { tasks.addTask(operation: service) }
        }
    }

    /// - Parameters:
    ///   - wrapCheckpoints: tests put a store there that breaks its promises.
    ///   - now: milliseconds since 1970.
    /// - Throws: `StoreOpenError`, or `WorkerStartError` with the field at fault. A server that does not answer is no
    ///   error: its tier is failing until it does.
    init(
        _ spec: AgentPoolSpec.Memory, configuration: MemoryConfiguration, settings: WorkerSettings,
        embedding: EmbeddingSpace, secrets: SecretStore, group: any EventLoopGroup, logger: Logger,
        wrapCheckpoints: (any CheckpointStore) -> any CheckpointStore, now: @escaping @Sendable () -> Int64
    ) throws {
        var opened: EmbeddedStore?
        func embedded() throws -> EmbeddedStore {
            if let opened { return opened }
            let store = try EmbeddedStore.open(
                directory: settings.dataDirectory, embedding: embedding, logger: logger)
            opened = store
            return store
        }
        var services: [@Sendable () async -> Void] = []
        if let redis = spec.redis {
            let store = RedisCheckpoints(
                try RedisConnection(redis, secrets: secrets, files: settings.dataDirectory).settings,
                group: group, keyspace: RedisKeyspace(pool: spec.scope), policy: configuration.policy,
                waitReplicas: redis.waitReplicas, commitDeadline: configuration.commitDeadline,
                logger: logger, now: now)
            checkpoints = wrapCheckpoints(store)
            shared = store
            services.append { await store.run() }
        } else {
            checkpoints = wrapCheckpoints(try embedded().checkpoints)
            shared = nil
        }
        if let milvus = spec.milvus {
            let index = try MilvusConnection(milvus, secrets: secrets).index(
                spec.scope, milvus.collection, embedding, logger: logger)
            self.index = index
            let retention = milvus.retention.duration
            services.append { await index.run(retention: retention, now: now) }
        } else {
            index = try embedded().index
        }
        self.services = services
    }
}

/// `spec.memory.redis` as its client takes it.
struct RedisConnection {
    let settings: RedisSettings

    init(_ spec: AgentPoolSpec.Redis, secrets: SecretStore, files: String) throws(WorkerStartError) {
        let addresses = spec.addresses.compactMap { RedisServer($0) }
        guard addresses.count == spec.addresses.count else {
            throw WorkerStartError(
                field: "spec.memory.redis.addresses", problem: "one of them is no host and port",
                mend: "write host:port")
        }
        let login = try StoreLogin(spec.secretRef, in: secrets, field: "spec.memory.redis.secretRef")
        settings = RedisSettings(
            mode: spec.mode == .cluster ? .cluster : .standalone, addresses: addresses,
            tls: try Self.tls(spec.tls, secrets: secrets, files: files),
            credentials: {
                login.value("password").map { RedisLogin(user: login.value("username"), password: $0) }
            })
    }

    private static func tls(
        _ spec: AgentPoolSpec.Redis.TLS?, secrets: SecretStore, files: String
    ) throws(WorkerStartError) -> RedisEncryption? {
        guard let spec else { return nil }
        var tls = RedisEncryption(serverName: spec.serverName)
        let directory = SecretFiles(directory: files + "/tls/redis")
        if let reference = spec.caSecretRef {
            tls.caFile = try directory.file(
                reference.name, reference.key, of: secrets, field: "spec.memory.redis.tls.caSecretRef")
        }
        if let reference = spec.certificateSecretRef {
            let field = "spec.memory.redis.tls.certificateSecretRef"
            tls.certificateFile = try directory.file(reference.name, "tls.crt", of: secrets, field: field)
            tls.keyFile = try directory.file(reference.name, "tls.key", of: secrets, field: field)
        }
        return tls
    }
}

/// A Secret with what a server asks for, read anew each time, for it may change.
private struct StoreLogin: Sendable {
    private let secret: String?
    private let secrets: SecretStore

    /// - Throws: where there is no such Secret.
    init(_ reference: ObjectRef?, in secrets: SecretStore, field: String) throws(WorkerStartError) {
        secret = reference?.name
        self.secrets = secrets
        if let secret, secrets.secret(secret) == nil {
            throw WorkerStartError(
                field: field, problem: "there is no Secret `\(secret)`",
                mend: "add it as a document of the same file, or mount it in the pod")
        }
    }

    /// Without the line end that a mounted file often has.
    func value(_ key: String) -> String? {
        guard let secret, let text = secrets.secret(secret)?[key] else { return nil }
        return text.hasSuffix("\n") ? String(text.dropLast()) : text
    }
}

/// `spec.memory.milvus` as its client takes it.
struct MilvusConnection {
    let settings: MilvusSettings

    init(_ spec: AgentPoolSpec.Milvus, secrets: SecretStore) throws(WorkerStartError) {
        guard let url = URLComponents(string: spec.address), let host = url.host, !host.isEmpty else {
            throw WorkerStartError(
                field: "spec.memory.milvus.address", problem: "it names no host",
                mend: "write http://host:port or https://host:port")
        }
        let login = try StoreLogin(spec.secretRef, in: secrets, field: "spec.memory.milvus.secretRef")
        settings = MilvusSettings(
            host: host, port: url.port ?? (url.scheme == "https" ? 443 : 19530),
            tls: url.scheme == "https" ? MilvusEncryption() : nil,
            credentials: {
                if let token = login.value("token") { return .token(token) }
                guard let user = login.value("username"), let password = login.value("password") else {
                    return nil
                }
                return .password(user: user, password: password)
            })
    }

    func index(
        _ pool: String, _ collection: String, _ embedding: EmbeddingSpace, logger: Logger
    ) throws(WorkerStartError) -> MilvusIndex {
        do {
            return try MilvusIndex(
                settings, pool: pool, collection: collection, embedding: embedding, logger: logger)
        } catch {
            throw WorkerStartError(
                field: "spec.memory.milvus", problem: "\(error)", mend: "correct the address or the Secret")
        }
    }
}
