/// Forgets a whole pool: all that its memory scope has in L2 and L3 on servers, until nothing is found any more.
///
/// L2 goes first: with the plans gone, nobody archives anything. What breaks off is begun again and goes on with what is left.
import Logging
import Milvus
public import NIOCore
import Redis

public enum Purging {
    /// Looks through L2 before it is said that somebody still writes.
    private static let passes = 10
    /// Tries at a server that fails, in a row, and between two of them.
    private static let tries = 5
    private static let pause: Duration = .seconds(2)
    /// Rows that are looked for at once.
    private static let page = 500
    /// How long a deleted row may still be found.
    private static let lag: Duration = .seconds(60)

    public struct Refused: Error, Hashable, CustomStringConvertible {
        public var description: String

        public init(description: String) {
            self.description = description
        }
    }

    /// Deletes the pool's keys, each confirmed by as many replicas as commits are.
    ///
    /// - Parameters:
    ///   - pool: the memory scope.
    ///   - patience: how long workers that are ending are waited for.
    ///   - progress: gets the number of keys deleted so far.
    /// - Returns: that number at the end.
    /// - Throws: `Refused` where a worker of the scope listens to Redis, or where keys keep coming; else what Redis says.
    public static func redis(
        _ settings: RedisSettings, group: any EventLoopGroup, pool: String, waitReplicas: Int,
        logger: Logger, patience: Duration = .seconds(20),
        progress: @escaping @Sendable (Int) -> Void
    ) async throws -> Int {
        let keyspace = RedisKeyspace(pool: pool)
        let client = RedisClient(settings, group: group, logger: logger)
        return try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { await client.run() }
            defer { tasks.cancelAll() }
            try await patiently { try await waitForWorkers(client, keyspace, pool, patience) }
            var deleted = 0
            for _ in 0..<passes {
                let found = try await patiently {
                    try await sweep(client, keyspace, waitReplicas) { progress(deleted + $0) }
                }
                deleted += found
                guard found > 0 else { return deleted }
            }
            throw Refused(description: "keys of \(pool) keep coming to Redis: somebody still serves the pool")
        }
    }

    private static func waitForWorkers(
        _ client: RedisClient, _ keyspace: RedisKeyspace, _ pool: String, _ patience: Duration
    ) async throws {
        let end = ContinuousClock.now + patience
        var count = try await workers(client, keyspace)
        while count > 0 {
            guard ContinuousClock.now < end else {
                throw Refused(
                    description: "\(count) workers of \(pool) run and would write again; stop them first")
            }
            try await Task.sleep(for: .seconds(1))
            count = try await workers(client, keyspace)
        }
    }

    /// How many listen to Redis; none where the user may not ask: then it can't be known.
    private static func workers(_ client: RedisClient, _ keyspace: RedisKeyspace) async throws -> Int {
        do {
            return try await client.channels(prefix: keyspace.listeners).count
        } catch  where error.code == "NOPERM" {
            return 0
        }
    }

    private static func sweep(
        _ client: RedisClient, _ keyspace: RedisKeyspace, _ waitReplicas: Int, _ progress: (Int) -> Void
    ) async throws -> Int {
        var deleted = 0
        try await client.scan(prefix: keyspace.prefix) { keys in
            try await delete(keys, client, waitReplicas)
            deleted += keys.count
            progress(deleted)
        }
        return deleted
    }

    /// The keys of a script are one slot's.
    private static func delete(
        _ keys: [RedisArgument], _ client: RedisClient, _ waitReplicas: Int
    ) async throws {
        let script = RedisScript.delete
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for keys in Dictionary(grouping: keys, by: \.slot).values {
                tasks.addTask {
                    let (_, replicas) = try await client.commit(
                        script, keys: keys, arguments: [], isIdempotent: true, waitReplicas: waitReplicas,
                        deadline: .seconds(15))
                    guard replicas >= waitReplicas else {
                        throw ReplicasMissing(script: script.name, confirmed: replicas, wanted: waitReplicas)
                    }
                }
            }
            try await tasks.waitForAll()
        }
    }

    /// Deletes the pool's rows. Other pools' rows in the collection stay.
    ///
    /// - Parameter progress: gets the number of rows deleted so far.
    /// - Returns: that number at the end; 0 where there is no such collection.
    /// - Throws: `Refused` where rows are still found long after they were deleted; else what Milvus says.
    public static func milvus(
        _ settings: MilvusSettings, collection: String, pool: String, logger: Logger,
        progress: @escaping @Sendable (Int) -> Void
    ) async throws -> Int {
        let client = try MilvusClient(settings, logger: logger)
        return try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await client.run() }
            defer { tasks.cancelAll() }
            guard try await patiently({ try await client.hasCollection(collection) }) else { return 0 }
            let rows = try await patiently { try await client.openAny(collection) }
            return try await sweep(rows, Digest128(pool: pool).description, progress)
        }
    }

    private static func sweep(
        _ rows: MilvusCollection, _ pool: String, _ progress: (Int) -> Void
    ) async throws -> Int {
        var deleted = 0
        var last: Set<String> = []
        var changed = ContinuousClock.now
        var ids = try await patiently { try await rows.ids(pool: pool, limit: page) }
        while !ids.isEmpty {
            let new = Set(ids).subtracting(last)
            if !new.isEmpty {
                changed = .now
            } else if ContinuousClock.now < changed + lag {
                try await Task.sleep(for: .milliseconds(200))
            } else {
                throw Refused(description: "\(ids.count) rows were deleted and are still found")
            }
            let found = ids
            try await patiently { try await rows.delete(pool: pool, ids: found) }
            deleted += new.count
            last = Set(ids)
            progress(deleted)
            ids = try await patiently { try await rows.ids(pool: pool, limit: page) }
        }
        return deleted
    }

    private static func patiently<Value: Sendable>(_ body: () async throws -> Value) async throws -> Value {
        for _ in 1..<tries {
            let outcome = await outcome(of: body)
            guard case .failure(let error) = outcome, isPassing(error) else { return try outcome.get() }
            try await Task.sleep(for: pause)
        }
        return try await body()
    }

    private static func outcome<Value: Sendable>(
        of body: () async throws -> Value
    ) async -> Result<Value, any Error> {
        do {
            return .success(try await body())
        } catch {
            return .failure(error)
        }
    }

    private static func isPassing(_ error: any Error) -> Bool {
        switch error {
        case let error as RedisError: isPassing(error)
        case let error as MilvusError: isPassing(error.kind)
        default: error is ReplicasMissing
        }
    }

    private static func isPassing(_ error: RedisError) -> Bool {
        switch error.kind {
        case .authentication, .tls, .crossSlot, .tooLarge, .cancelled, .closed: false
        case .reply: ["LOADING", "CLUSTERDOWN", "TRYAGAIN", "MASTERDOWN"].contains(error.code)
        case .overloaded, .timeout, .connectionLost, .unavailable, .malformedReply, .tooManyRedirects: true
        }
    }

    private static func isPassing(_ kind: MilvusError.Kind) -> Bool {
        switch kind {
        case .unavailable, .deadline, .overloaded: true
        case .rejected, .mismatch, .unsupported, .cancelled: false
        }
    }
}

extension RedisScript {
    fileprivate static let delete = RedisScript(
        name: "delete", source: "return redis.call('DEL', unpack(KEYS))")
}
