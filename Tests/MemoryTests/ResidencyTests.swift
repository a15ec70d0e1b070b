/// What L1 holds of the embedded stores is what a read from disk would give, whatever was written in between.
import Testing

@testable import Memory

@Suite(.enabled(if: TestStores.current.isEmbedded)) struct ResidencyTests {
    private static let words = [
        "garage", "code", "dog", "Rex", "4711", "painting", "garden", "gate", "locker", "parcel", "Zürich",
        "猫",
    ]

    private static func text(_ random: inout SeededGenerator) -> String {
        (0..<Int.random(in: 1...8, using: &random)).map { _ in
            (words.randomElement(using: &random) ?? "") + (Bool.random(using: &random) ? " " : "\n")
        }
        .joined()
    }

    private static func entry(_ id: String, _ scope: Scope, _ random: inout SeededGenerator) -> IndexEntry {
        let text = text(&random)
        return IndexEntry(
            row: MemoryRow(
                id: id, scope: scope, generation: 0, agent: "a", firstTurn: 1, lastTurn: 2,
                time: Int64.random(in: 0...2, using: &random) * 86_400_000, summary: text,
                entities: ["one", "two"], text: text + " said"),
            vector: TestModel.vector(text))
    }

    /// By id, for neither answer has an order.
    private static func found(_ answer: IndexAnswer) -> [String: IndexHit] {
        Dictionary(answer.hits.map { ($0.row.id, $0) }, uniquingKeysWith: { $1 })
    }

    private static func onDisk(_ test: TestMemory, _ scope: Scope, _ query: IndexQuery) async throws
        -> IndexAnswer
    {
        try await test.store.read { db in
            guard let search = try EmbeddedSearch(db, scope) else { return IndexAnswer(hits: []) }
            return try search.answer(query, totals: search.totals())
        }
    }

    @Test("A search in L1 finds what a search on disk finds, after any writes", arguments: 1...4)
    func index(seed: UInt64) async throws {
        let test = try TestMemory()
        let index = test.store.index
        let scopes = [Scope.of("ann", "s"), .of("ann", "t"), .of("bob", "s"), .of(nil, "s")]
        var random = SeededGenerator(seed: seed)
        for _ in 0..<120 {
            let scope = scopes.randomElement(using: &random) ?? scopes[0]
            let id = "row-\(scope.session)-\(Int.random(in: 0..<9, using: &random))"
            switch Int.random(in: 0..<6, using: &random) {
            case 0...1: try await index.upsert([Self.entry(id, scope, &random)])
            case 2: try await index.delete(scope, rows: [id])
            default:
                let text = Self.text(&random)
                // Without a limit, for among equals either may take the last place.
                let query = IndexQuery(
                    vector: Bool.random(using: &random) ? TestModel.vector(text) : nil, text: text, limit: 100
                )
                let held = try await index.search(scope, query)
                let read = try await Self.onDisk(test, scope, query)
                #expect(held.statistics == read.statistics)
                let (left, right) = (Self.found(held), Self.found(read))
                #expect(left.mapValues(\.row) == right.mapValues(\.row))
                for (id, hit) in left {
                    #expect(abs((hit.similarity ?? -1) - (right[id]?.similarity ?? -1)) < 1e-6)
                    #expect(abs((hit.relevance ?? -1) - (right[id]?.relevance ?? -1)) < 1e-9)
                    #expect(abs((hit.passage ?? -1) - (right[id]?.passage ?? -1)) < 1e-9)
                }
            }
        }
    }

    @Test("Searches and writes side by side leave nothing old in L1") func race() async throws {
        let test = try TestMemory()
        let (index, scope) = (test.store.index, Scope.of("ann", "s"))
        let query = IndexQuery(vector: TestModel.vector("garage code"), text: "garage code", limit: 1000)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for writer in 0..<4 {
                group.addTask {
                    var random = SeededGenerator(seed: UInt64(writer))
                    for number in 0..<40 {
                        try await index.upsert([Self.entry("\(writer)-\(number)", scope, &random)])
                        if number % 5 == 4 {
                            try await index.delete(scope, rows: ["\(writer)-\(number - 2)"])
                        }
                    }
                }
                group.addTask { for _ in 0..<60 { _ = try await index.search(scope, query) } }
            }
            try await group.waitForAll()
        }
        let held = try await index.search(scope, query)
        #expect(held.statistics?.documents == 4 * 32)
        #expect(Set(Self.found(held).keys) == Set(Self.found(try await Self.onDisk(test, scope, query)).keys))
    }

    @Test(
        "Fragments held in L1 are those on disk, after any turns, archiving and forgetting", arguments: 1...4)
    func fragments(seed: UInt64) async throws {
        let test = try TestMemory(configuration: .patient.with { $0.bufferRounds = 3 })
        let scopes = [Scope.of("ann", "one"), .of("ann", "two"), .of("ann", "three"), .of("bob", "one")]
        var random = SeededGenerator(seed: seed)
        for number in 0..<80 {
            let scope = scopes.randomElement(using: &random) ?? scopes[0]
            switch Int.random(in: 0..<8, using: &random) {
            case 0...3: try await test.turn(scope, "turn \(number)", archive: Bool.random(using: &random))
            case 4: if Int.random(in: 0..<4, using: &random) == 0 { _ = try await test.memory.forget(scope) }
            case 5: await test.maintainUntilDone()
            default: break
            }
            for scope in scopes {
                let held = try await test.memory.open(scope)
                let start = held.view.contextStart
                held.end()
                for limit in [
                    FragmentLimit(sessions: 16, turns: 128, ownTurnsBefore: start),
                    FragmentLimit(sessions: 16, turns: 128),
                ] {
                    let kept = try await test.store.checkpoints.fragments(scope, limit: limit)
                    let read = try await test.store.checkpoints.readFragments(scope, limit: limit)
                    #expect(Set(kept.turns) == Set(read.turns))
                    #expect(kept.forgetting == read.forgetting)
                    #expect(kept.archiveGeneration == read.archiveGeneration)
                }
            }
        }
    }

    @Test("What was read before a change is not kept after it") func coherence() {
        let owner = Digest128(parts: ["owner"])
        var cache = CoherentCache<[Int]>(limit: 100)
        let mark = cache.mark(of: owner)
        cache.changed(owner)
        cache.keep(for: owner, since: mark, beginning: [1]) { $0.count }
        #expect(cache.value(for: owner) == nil)
        cache.keep(for: owner, since: cache.mark(of: owner), beginning: [1]) { $0.count }
        cache.changed(owner) {
            $0.append(2); return $0.count
        }
        #expect(cache.value(for: owner) == [1, 2])
        cache.changed(owner)
        #expect(cache.value(for: owner) == nil)
    }

    @Test("A cache bounded by cost keeps within it, and takes nothing that is larger than half of it")
    func costs() {
        var cache = BoundedCache<Int, String>(limit: 100)
        cache.insert("large", for: 0, cost: 51)
        #expect(cache.value(for: 0) == nil)
        for key in 1...20 { cache.insert("value", for: key, cost: 20) }
        let kept = (1...20).filter { cache.value(for: $0) != nil }
        #expect(kept.contains(20) && kept.count >= 2 && kept.count <= 5)
        cache.modify(20) {
            $0 += "s"; return 21
        }
        #expect(cache.value(for: 20) == "values")
        cache.modify(20) { _ in nil }
        #expect(cache.value(for: 20) == nil)
    }
}
