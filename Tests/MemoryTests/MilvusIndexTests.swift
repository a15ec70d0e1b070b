/// L3 on a real Milvus: what the memory asks of an index, and that L1 holds what the server has.
import Foundation
import Logging
import Testing

@testable import Memory

/// `AGENTPOOL_STORE_MILVUS` names the server, as `host:port`.
private let server = ProcessInfo.processInfo.environment["AGENTPOOL_STORE_MILVUS"].flatMap { RedisServer($0) }

@Suite(.enabled(if: server != nil, "AGENTPOOL_STORE_MILVUS names no server")) struct MilvusIndexTests {
    private static func withIndex(_ body: (MilvusIndex) async throws -> Void) async throws {
        let server = try #require(server)
        let index = try MilvusIndex(
            MilvusSettings(host: server.host, port: server.port), pool: "default/test",
            collection: "test_" + UUID().uuidString.replacing("-", with: ""),
            embedding: TestModel.embedder.space,
            logger: .quiet)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await index.run(retention: .seconds(86400 * 36500), now: { 0 }) }
            while index.textSearch == nil { try await Task.sleep(for: .milliseconds(50)) }
            try await body(index)
            group.cancelAll()
        }
        await index.close()
    }

    private static func entry(_ id: String, _ scope: Scope, _ text: String) -> IndexEntry {
        IndexEntry(
            row: MemoryRow(
                id: "\(scope.session)-\(id)", scope: scope, generation: 5, agent: "a", firstTurn: 1,
                lastTurn: 2,
                time: 3, summary: text, entities: ["one", "two"], text: "user: \(text)"),
            vector: TestModel.vector(text))
    }

    private static func query(_ text: String, generation: Int64? = nil, byVector: Bool = true) -> IndexQuery {
        IndexQuery(
            vector: byVector ? TestModel.vector(text) : nil, text: text, limit: 12, generation: generation)
    }

    @Test("Finds a principal's rows by vector and by words, and nobody else's") func finds() async throws {
        try await Self.withIndex { index in
            let (ann, bob) = (Scope.of("ann", "s"), Scope.of("bob", "s"))
            try await index.upsert([
                Self.entry("1", ann, "the garage code is 4711"), Self.entry("2", ann, "my dog is called Rex"),
                Self.entry("1", bob, "the garage code is 9999"),
            ])
            try await eventually { try await index.search(ann, Self.query("garage code")).hits.count == 1 }
            for byVector in [true, false] {
                let answer = try await index.search(ann, Self.query("garage code", byVector: byVector))
                let best = answer.hits.max { ($0.relevance ?? 0) < ($1.relevance ?? 0) }
                #expect(best?.row == Self.entry("1", ann, "the garage code is 4711").row)
                #expect(answer.hits.allSatisfy { $0.row.scope.principal == ann.principal })
            }
        }
    }

    @Test("Once warm, L1 answers what the server would, until the archive generation is another") func warm()
        async throws
    {
        try await Self.withIndex { index in
            let ann = Scope.of("ann", "s")
            try await index.upsert([Self.entry("1", ann, "the garage code is 4711")])
            try await index.warm(ann, generation: 1)
            try await index.upsert([Self.entry("2", ann, "the garage is painted green")])
            let held = try await index.search(ann, Self.query("garage", generation: 1))
            #expect(held.hits.map(\.row.id) == [Self.entry("1", ann, "").row.id])
            #expect(held.statistics?.documents == 1)
            try await index.warm(ann, generation: 2)
            #expect(try await index.search(ann, Self.query("garage", generation: 2)).hits.count == 2)
            try await eventually {
                try await index.search(ann, Self.query("garage", generation: 3)).hits.count == 2
            }
        }
    }

    @Test("A memory on it is archived, recalled in another session, and forgotten in all tiers") func memory()
        async throws
    {
        try await Self.withIndex { index in
            let test = try TestMemory(
                configuration: .patient.with { $0.bufferRounds = 2 }, index: { _ in index })
            let (first, second) = (Scope.of("ann", "first"), Scope.of("ann", "second"))
            for said in ["my dog is called Rex", "the gate code is 9921"] { try await test.turn(first, said) }
            let asked = RecallQuery(scope: second, text: "what is the gate code?")
            try await eventually {
                await test.memory.recall(asked).memories.first?.excerpt.contains("9921") == true
            }
            await test.memory.warm(second)
            #expect(await test.memory.recall(asked).memories.first?.kind == .summary)
            _ = try await test.memory.forget(first)
            await test.maintainUntilDone()
            #expect(await test.memory.recall(asked).memories.isEmpty)
            #expect(try await index.remaining(first, before: .max, rows: []).isEmpty)
        }
    }

    @Test("Before the collection is open every call says so") func notOpen() async throws {
        let index = try MilvusIndex(
            MilvusSettings(host: "127.0.0.1", port: 1), pool: "default/test", collection: "never",
            embedding: TestModel.embedder.space,
            logger: .quiet)
        await #expect(throws: IndexNotOpen.self) { try await index.check() }
        await #expect(throws: IndexNotOpen.self) {
            try await index.search(.of("ann", "s"), Self.query("x"))
        }
    }
}

/// Bounded reads show a write after some tenths of a second.
private func eventually(_ condition: () async throws -> Bool) async throws {
    for _ in 0..<100 {
        if try await condition() { return }
        try await Task.sleep(for: .milliseconds(100))
    }
    Issue.record("it did not become so")
}
