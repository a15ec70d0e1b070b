/// New vectors for old memories: a file rebuilt in place, and a collection copied into another.
import Foundation
import Milvus
import Testing

@testable import Memory

/// `AGENTPOOL_STORE_MILVUS` names the server, as `host:port`.
private let server = ProcessInfo.processInfo.environment["AGENTPOOL_STORE_MILVUS"].flatMap { RedisServer($0) }

@Suite struct ReindexTests {
    private let scope = Scope.of("ann", "s")

    /// Another space: as many words as letters.
    private static let other = Embedder(model: "other", dimension: 8) { texts in
        texts.map { text in
            var vector = [Float](repeating: 0.01, count: 8)
            for byte in text.utf8 { vector[Int(byte % 8)] += 1 }
            return vector
        }
    }

    private struct Broken: Error {}

    @Test(
        "An embedded store gets vectors of another model, and is as it was where the embedder fails half-way")
    func embedded() async throws {
        let directory = try TemporaryDirectory()
        let configuration = MemoryConfiguration.patient.with { $0.bufferRounds = 1 }
        // The embedded store whatever L2 the tests run on: its index is what is rebuilt.
        let store = try EmbeddedStore.open(
            directory: directory.path, embedding: TestModel.embedder.space, logger: .quiet)
        let entries = (0..<150).map { number in Self.entry("\(number)", scope, "memory number \(number)") }
        try await store.index.upsert(entries)
        await store.close()

        let asked = Counter()
        let failing = Embedder(model: "other", dimension: 8) { texts in
            asked.add()
            if asked.count > 1 { throw Broken() }
            return try await Self.other.embed(texts)
        }
        await #expect(throws: Broken.self) {
            try await Reindexing.rebuild(
                directory: directory.path, embedder: failing, logger: .quiet, progress: { _ in })
        }
        let unchanged = try EmbeddedStore.open(
            directory: directory.path, embedding: TestModel.embedder.space, logger: .quiet)
        let query = IndexQuery(vector: TestModel.vector("memory number 7"), text: "", limit: 3)
        #expect(
            try await unchanged.index.search(scope, query).hits.contains { $0.row.id == entries[7].row.id })
        await unchanged.close()

        var done = 0
        let count = try await Reindexing.rebuild(
            directory: directory.path, embedder: Self.other, logger: .quiet, progress: { done = $0 })
        // The first 64 were gathered by the attempt that failed.
        #expect(count == 150 && done == 86)
        let rebuilt = try TestMemory(
            directory: directory, configuration: configuration, embedder: Self.other)
        let text = try #require(try await Self.other.embed([entries[7].row.summaryText]).first)
        let hits = try await rebuilt.store.index.search(
            scope, IndexQuery(vector: text, text: "", limit: 150)
        ).hits
        let found = try #require(hits.first { $0.row.id == entries[7].row.id }?.similarity)
        #expect(found > 0.9999)
        await rebuilt.store.close()
    }

    @Test(
        "A collection is copied into one of another model, all of it, twice without harm, and nothing that was forgotten",
        .enabled(if: server != nil, "AGENTPOOL_STORE_MILVUS names no server"))
    func copied() async throws {
        let server = try #require(server)
        let test = try TestMemory()
        let settings = MilvusSettings(host: server.host, port: server.port)
        let name = "test_" + UUID().uuidString.replacing("-", with: "")
        // More than a page holds, of many sessions, and one session that has many.
        let scopes = (0..<40).map { Scope.of("user \($0 % 7)", "session \($0)") }
        let entries = (0..<1300).map { number in
            Self.entry("\(number)", number < 600 ? scopes[0] : scopes[number % 40], "memory number \(number)")
        }
        try await Self.withIndex(settings, name, TestModel.embedder) { try await $0.upsert(entries) }
        let twice = name + "_other"
        for _ in 0..<2 {
            let count = try await Reindexing.copy(
                settings, from: name, to: twice, embedder: Self.other, checkpoints: test.l2, logger: .quiet,
                progress: { _ in })
            #expect(count == 1300)
        }
        try await Self.withIndex(settings, twice, Self.other) { index async throws in
            for scope in Set(scopes) {
                let wanted = entries.filter { $0.row.scope == scope }.map(\.row.id)
                let there = try await index.remaining(scope, before: .max, rows: [])
                #expect(there.sorted() == wanted.sorted())
            }
            let vector = try #require(try await Self.other.embed([entries[900].row.summaryText]).first)
            let hits = try await index.search(
                entries[900].row.scope, IndexQuery(vector: vector, text: "", limit: 40)
            ).hits
            #expect(hits.contains { $0.row == entries[900].row && ($0.similarity ?? 0) > 0.9999 })
        }
        // Forgotten by a worker that uses the first collection still, after the rows were copied.
        _ = try await test.memory.forget(scopes[0])
        _ = try await Reindexing.copy(
            settings, from: name, to: twice, embedder: Self.other, checkpoints: test.l2, logger: .quiet,
            progress: { _ in })
        try await Self.withIndex(settings, twice, Self.other) { index async throws in
            #expect(try await index.remaining(scopes[0], before: .max, rows: []).isEmpty)
            #expect(try await !index.remaining(scopes[1], before: .max, rows: []).isEmpty)
        }
        await #expect(throws: Reindexing.Refused.self) {
            try await Reindexing.copy(
                settings, from: name, to: name, embedder: Self.other, checkpoints: test.l2, logger: .quiet,
                progress: { _ in })
        }
    }

    private static func withIndex(
        _ settings: MilvusSettings, _ name: String, _ embedder: Embedder,
        _ body: @Sendable (MilvusIndex) async throws -> Void
    ) async throws {
        let index = try MilvusIndex(
            settings, pool: "default/test", collection: name, embedding: embedder.space, logger: .quiet)
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
                lastTurn: 2, time: 3, summary: text, entities: ["one", "two"], text: "user: \(text)"),
            vector: TestModel.vector(text))
    }
}

extension MemoryRow {
    fileprivate var summaryText: String {
        BatchSummary(summary: summary, entities: entities).embeddedText
    }
}
