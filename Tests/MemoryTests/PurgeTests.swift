/// A whole pool is forgotten: nothing of it is left in any store, and everything of its neighbours is.
import Foundation
import Milvus
import NIOPosix
import Redis
import Testing

@testable import Memory

/// `AGENTPOOL_STORE_MILVUS` names the server, as `host:port`.
private let server = ProcessInfo.processInfo.environment["AGENTPOOL_STORE_MILVUS"].flatMap { RedisServer($0) }

@Suite struct PurgeTests {
    @Test("The embedded file goes whole, unless a process has it open, and also where a purge broke off")
    func embedded() async throws {
        let directory = try TemporaryDirectory()
        func open() throws -> EmbeddedStore {
            try EmbeddedStore.open(
                directory: directory.path, embedding: TestModel.embedder.space, logger: .quiet)
        }
        let scope = Scope.of("ann", "s")
        let store = try open()
        try await store.index.upsert([Self.entry("1", scope)])
        #expect(throws: StoreOpenError.self) { try EmbeddedStore.purge(directory: directory.path) }
        await store.close()
        #expect(try EmbeddedStore.purge(directory: directory.path))
        #expect(try !EmbeddedStore.purge(directory: directory.path))
        let files = try FileManager.default.contentsOfDirectory(atPath: directory.path)
        #expect(files == ["memory.sqlite.lock"])
        let empty = try open()
        #expect(try await empty.index.remaining(scope, before: .max, rows: []).isEmpty)
        await empty.close()

        let path = directory.path + "/memory.sqlite"
        try FileManager.default.moveItem(atPath: path, toPath: path + ".purged")
        #expect(try EmbeddedStore.purge(directory: directory.path))
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path) == files)
        #expect(try !EmbeddedStore.purge(directory: directory.path + "/nowhere"))
    }

    @Test(
        "All keys of a pool go, none of its neighbour's, and not while a worker of the pool runs",
        .enabled(if: !TestStores.current.isEmbedded))
    func redis() async throws {
        guard case .redis(let settings) = TestStores.current else { return }
        let (doomed, neighbour) = ("doomed \(UUID())", "neighbour \(UUID())")
        let waitReplicas = settings.mode == .cluster ? 1 : 0
        @Sendable func purge() async throws -> Int {
            try await Purging.redis(
                settings, group: MultiThreadedEventLoopGroup.singleton, pool: doomed,
                waitReplicas: waitReplicas, logger: .quiet, patience: .zero, progress: { _ in })
        }
        let other = try Self.memory(neighbour)
        try await other.turn(.of("ann", "s"), "I stay")
        // So many sessions that a page does not hold their keys, on every node of a cluster, in every state.
        var doing: TestMemory? = try Self.memory(doomed)
        let scopes = (0..<120).map { Scope.of("user \($0)", "session {\($0)}") }
        for (number, scope) in scopes.enumerated() {
            let memory = try #require(doing)
            for turn in 0...(number % 4) { try await memory.turn(scope, "turn \(turn)") }
        }
        _ = try await doing?.memory.forget(scopes[1])
        try await doing?.settled()
        await #expect(throws: Purging.Refused.self) { try await purge() }
        #expect(try await doing?.l2.load(scopes[0], contextLimit: 10).turnCount == 1)
        await doing?.l2.close()
        doing = nil

        var deleted = 0
        try await eventually {
            do {
                deleted = try await purge()
                return true
            } catch is Purging.Refused {
                // The server has not noticed yet that the worker is gone.
                return false
            }
        }
        #expect(deleted > 600)
        #expect(try await purge() == 0)
        let after = try Self.memory(doomed)
        for scope in scopes { #expect(try await after.l2.load(scope, contextLimit: 10).turnCount == 0) }
        #expect(try await other.l2.load(.of("ann", "s"), contextLimit: 10).turnCount == 1)
    }

    @Test(
        "All rows of a pool go from a collection, whoever's they are, and none of its neighbour's",
        .enabled(if: server != nil, "AGENTPOOL_STORE_MILVUS names no server"))
    func milvus() async throws {
        let server = try #require(server)
        let settings = MilvusSettings(host: server.host, port: server.port)
        let collection = "test_" + UUID().uuidString.replacing("-", with: "")
        @Sendable func purge(_ pool: String) async throws -> Int {
            try await Purging.milvus(
                settings, collection: collection, pool: pool, logger: .quiet, progress: { _ in })
        }
        #expect(try await purge("doomed") == 0)
        let scopes = (0..<30).map { Scope.of("user \($0)", "s") }
        let entries = (0..<1200).map { Self.entry("\($0)", scopes[$0 % scopes.count]) }
        try await Self.withIndex(settings, "doomed", collection) { index in
            try await index.upsert(entries)
        }
        try await Self.withIndex(settings, "neighbour", collection) { index in
            try await index.upsert([Self.entry("neighbour", scopes[0])])
            #expect(try await purge("doomed") == 1200)
            #expect(try await purge("doomed") == 0)
            for scope in scopes.dropFirst() {
                #expect(try await index.remaining(scope, before: .max, rows: []).isEmpty)
            }
            let left = try await index.remaining(scopes[0], before: .max, rows: [])
            #expect(left == [Self.entry("neighbour", scopes[0]).row.id])
        }
    }

    private static func memory(_ pool: String) throws -> TestMemory {
        try TestMemory(
            configuration: .patient.with { $0.bufferRounds = 2 }, pool: pool)
    }

    private static func withIndex(
        _ settings: MilvusSettings, _ pool: String, _ collection: String,
        _ body: @Sendable (MilvusIndex) async throws -> Void
    ) async throws {
        let index = try MilvusIndex(
            settings, pool: pool, collection: collection, embedding: TestModel.embedder.space, logger: .quiet)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await index.run(retention: .seconds(86400 * 36500), now: { 0 }) }
            while index.textSearch == nil { try await Task.sleep(for: .milliseconds(50)) }
            try await body(index)
            group.cancelAll()
        }
        await index.close()
    }

    private static func entry(_ id: String, _ scope: Scope) -> IndexEntry {
        IndexEntry(
            row: MemoryRow(
                id: "\(scope.session)-\(id)", scope: scope, generation: 5, agent: "a", firstTurn: 1,
                lastTurn: 2, time: 3, summary: "memory \(id)", entities: ["one"], text: "user: \(id)"),
            vector: TestModel.vector("memory \(id)"))
    }
}

/// A server notices a closed connection after some moments.
private func eventually(_ condition: () async throws -> Bool) async throws {
    for _ in 0..<600 {
        if try await condition() { return }
        try await Task.sleep(for: .milliseconds(100))
    }
    Issue.record("it did not become so")
}
