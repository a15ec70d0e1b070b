/// L2's cache of what recalls found: the same question at another worker asks neither L3 nor the embedder.
import Foundation
import Testing

@testable import Memory

@Suite(.enabled(if: !TestStores.current.isEmbedded)) struct SharedRecallTests {
    /// An index that a server would be asked for; counts how often.
    private struct RemoteIndex: MemoryIndex {
        let base: any MemoryIndex
        let asked: Counter

        var textSearch: TextSearch? { base.textSearch }
        var embedding: EmbeddingSpace { base.embedding }
        func upsert(_ entries: [IndexEntry]) async throws { try await base.upsert(entries) }
        func search(_ scope: Scope, _ query: IndexQuery) async throws -> IndexAnswer {
            asked.add()
            var answer = try await base.search(scope, query)
            answer.isLocal = false
            return answer
        }
        func warm(_ scope: Scope, generation: Int64) async throws {}
        func delete(_ scope: Scope, rows: [String]) async throws {
            try await base.delete(scope, rows: rows)
        }
        func remaining(_ scope: Scope, before generation: Int64, rows: [String]) async throws
            -> [String]
        {
            try await base.remaining(scope, before: generation, rows: rows)
        }
        func check() async throws { try await base.check() }
        func close() async {}
    }

    /// A pool with a memory, and workers that have nothing in L1.
    private struct Pool {
        let first: TestMemory
        let asked = Counter()
        let embedded = Counter()

        init(pool: String = UUID().uuidString) async throws {
            let asked = asked
            first = try TestMemory(
                configuration: .patient.with { $0.bufferRounds = 2 }, pool: pool,
                index: { RemoteIndex(base: $0, asked: asked) })
            for said in ["my dog is called Rex", "the gate code is 9921"] {
                try await first.turn(.of("ann", "told"), said)
            }
        }

        /// Shares the stores, as another worker does.
        func worker() throws -> SessionMemory {
            let (asked, embedded) = (asked, embedded)
            let embedder = Embedder(model: "test", dimension: TestModel.dimension) { texts in
                embedded.add()
                return try await TestModel.embedder.embed(texts)
            }
            return SessionMemory(
                checkpoints: first.l2, index: RemoteIndex(base: first.store.index, asked: asked),
                embedder: embedder, configuration: first.configuration, logger: .quiet,
                now: first.clock.tick)
        }

        /// Asks as a turn does, with what comes after it.
        @discardableResult
        func recall(_ text: String, at memory: SessionMemory) async throws -> Recall {
            let scope = Scope.of("ann", "asks")
            // What L1 holds of fragments would be believed, and L2 not asked.
            memory.checkpoints.released(scope)
            let found = await memory.recall(RecallQuery(scope: scope, text: text))
            await memory.warm(scope)
            return found
        }
    }

    private let question = "what is the gate code?"

    @Test("What one worker found in L3 the others find in L2, until something is archived")
    func shared()
        async throws
    {
        let pool = try await Pool()
        pool.first.clock.advance(.seconds(11))
        let found = try await pool.recall(question, at: try pool.worker())
        #expect(!found.cached && found.memories.first?.excerpt.contains("9921") == true)
        #expect(pool.asked.count == 1)
        let other = try pool.worker()
        let again = try await pool.recall(question, at: other)
        #expect(again.cached && again.memories == found.memories && again.skipped.isEmpty)
        #expect(other.statistics().recallSharedHits == 1)
        // Now it is in that worker's L1.
        #expect(try await pool.recall(question, at: other).cached)
        #expect(other.statistics().recallHits == 1)
        #expect(pool.asked.count == 1)
        #expect(try await !pool.recall("what is my dog called?", at: try pool.worker()).cached)
        #expect(pool.asked.count == 2)

        for said in ["the gate code is 1200 now", "I like tulips"] {
            try await pool.first.turn(.of("ann", "told"), said)
        }
        let anew = try await pool.recall(question, at: try pool.worker())
        #expect(!anew.cached && anew.memories.contains { $0.excerpt.contains("1200") })
    }

    @Test(
        "What is found within ten seconds of an archiving is not kept: an L3 that lags may not have it yet"
    )
    func settles() async throws {
        let pool = try await Pool()
        try await pool.recall(question, at: try pool.worker())
        #expect(try await !pool.recall(question, at: try pool.worker()).cached)
        pool.first.clock.advance(.seconds(11))
        #expect(try await !pool.recall(question, at: try pool.worker()).cached)
        #expect(try await pool.recall(question, at: try pool.worker()).cached)
        pool.first.clock.advance(.seconds(15 * 60))
        #expect(try await !pool.recall(question, at: try pool.worker()).cached)
    }

    @Test("Eight answers of a principal are kept, the last ones") func bounded() async throws {
        let pool = try await Pool()
        pool.first.clock.advance(.seconds(11))
        let questions = (1...9).map { "what is the gate code \($0)?" }
        for question in questions { try await pool.recall(question, at: try pool.worker()) }
        var cached: [Bool] = []
        // From the last on: what is asked anew takes a place of its own.
        for question in questions.reversed() {
            cached.append(try await pool.recall(question, at: try pool.worker()).cached)
        }
        #expect(cached == Array(repeating: true, count: 8) + [false])
        let store = try #require((pool.first.l2 as? RunningRedis)?.base as? RedisCheckpoints)
        let scope = Scope.of("ann", "asks")
        let large = String(repeating: "x", count: RedisRecalled.largest + 1)
        let fragments = try await store.fragments(scope, limit: FragmentLimit(sessions: 8, turns: 8))
        for (text, isKept) in [(large, false), (String(large.dropLast()), true)] {
            let query = Digest128(parts: [text])
            try await store.keepRecalled(
                text, for: query, scope, generation: fragments.archiveGeneration, now: pool.first.clock.now)
            store.released(scope)
            let kept = try await store.fragments(
                scope, limit: FragmentLimit(sessions: 8, turns: 8), recalling: query)
            #expect((kept.recalled == text) == isKept)
        }
    }

    @Test("A session that is forgotten takes what was kept with it, from the store too")
    func forgotten()
        async throws
    {
        let pool = try await Pool()
        pool.first.clock.advance(.seconds(11))
        try await pool.recall(question, at: try pool.worker())
        let store = try #require((pool.first.l2 as? RunningRedis)?.base as? RedisCheckpoints)
        func kept() async throws -> Int {
            var keys = 0
            try await store.client.scan(prefix: store.keyspace.prefix) { page in
                keys += page.count { String(decoding: $0.bytes, as: UTF8.self).contains("}:recalled") }
            }
            return keys
        }
        #expect(try await kept() == 2)
        _ = try await pool.first.memory.forget(.of("ann", "told"))
        #expect(try await kept() == 0)
        #expect(try await pool.recall(question, at: try pool.worker()).memories.isEmpty)
    }

    @Test("What is kept comes back as it was, and anything else is a miss") func coding() throws {
        let scope = Scope.of("ann", "s")
        var statistics = TermStatistics(documents: 3, frequencies: ["gate": 2])
        (statistics.lines, statistics.lineFrequencies) = (9, ["gate": 4])
        (statistics.passages, statistics.passageTerms) = (7, 70)
        let row = MemoryRow(
            id: "1", scope: Scope.of("ann", "\"\0\n{🙂}"), generation: 5, agent: "a", firstTurn: 1,
            lastTurn: 2, time: 3, summary: "s\n", entities: ["one"], text: "\u{1}")
        let hit = IndexHit(row: row, similarity: 0.5, relevance: nil, passage: 0.1)
        let findings = IndexFindings(hits: [hit], statistics: statistics, byVector: true)
        let back = try #require(RecallCoding.decode(try RecallCoding.encode(findings), scope))
        #expect(back.hits == [hit] && back.statistics == statistics && back.byVector && back.isWhole)
        for text in ["", "{}", "[1]", "\0"] { #expect(RecallCoding.decode(text, scope) == nil) }
    }
}
