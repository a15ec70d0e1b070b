import Testing

@testable import Memory

@Suite struct RecallTests {
    private static func recall(
        _ test: TestMemory, _ scope: Scope, _ text: String, contextStart: Int? = nil
    ) async -> Recall {
        await test.memory.recall(RecallQuery(scope: scope, text: text, contextStart: contextStart))
    }

    @Test(
        "A fact from a first session is recalled in a later one of the same principal, before and after it is archived"
    )
    func acrossSessions() async throws {
        let test = try TestMemory(configuration: .patient.with { $0.bufferRounds = 3 })
        try await test.turn(.of("ann", "first"), "my dog is called Rex")
        let early = await Self.recall(test, .of("ann", "second"), "what is my dog called?")
        #expect(early.memories.first?.kind == .fragment && early.memories.first?.session == "first")
        for number in 2...3 { try await test.turn(.of("ann", "first"), "t\(number)") }
        let later = await Self.recall(test, .of("ann", "second"), "what is my dog called?")
        #expect(later.memories.map(\.kind) == [.summary])
        #expect(later.memories.first?.excerpt.contains("Rex") == true)
    }

    @Test(
        "Nobody else's memories are recalled, however similar the names are",
        arguments: [
            Scope.of("bob", "first"), .of(nil, "first"), .of("ann", "first", credential: "other"),
            .of("an", "nfirst"), .of("ann' OR 1=1 --", "first"), .of("{ann}", "first"),
        ])
    func isolation(other: Scope) async throws {
        let test = try TestMemory(configuration: .patient.with { $0.bufferRounds = 2 })
        for number in 1...3 { try await test.turn(.of("ann", "first"), "secret number \(number)") }
        #expect(await Self.recall(test, .of("ann", "x"), "secret number").memories.count == 2)
        #expect(await Self.recall(test, other, "secret number").memories.isEmpty)
        #expect(try await test.memory.history(other, limit: 10).isEmpty)
        #expect(try await test.memory.describe(other) == nil)
    }

    @Test("Without an end user recall stays inside the session, in rows and in fragments") func sessionOnly()
        async throws
    {
        let test = try TestMemory(configuration: .patient.with { $0.bufferRounds = 2 })
        for session in ["one", "two"] {
            for number in 1...3 { try await test.turn(.of(nil, session), "secret \(session) \(number)") }
        }
        let found = await Self.recall(test, .of(nil, "one"), "secret")
        #expect(found.memories.count == 2 && found.memories.allSatisfy { $0.session == "one" })
    }

    @Test("What stands in the prompt already is left out; a search without a prompt has it")
    func contextLeftOut() async throws {
        let test = try TestMemory(configuration: .patient.with { $0.bufferRounds = 2 })
        let scope = Scope.of("ann", "s")
        for number in 1...7 { try await test.turn(scope, "banana \(number)") }
        let held = try await test.memory.open(scope)
        defer { held.end() }
        #expect(held.view.contextStart == 5)
        let during = await Self.recall(test, scope, "banana", contextStart: held.view.contextStart)
        #expect(Set(during.memories.map(\.lastTurn)) == [2, 4])
        let search = await Self.recall(test, scope, "banana")
        #expect(Set(search.memories.map(\.lastTurn)) == [2, 4, 6, 7])
    }

    @Test("A fragment that answers the query stands before summaries that hardly do") func fragmentFirst()
        async throws
    {
        let test = try TestMemory(configuration: .patient.with { $0.bufferRounds = 2 })
        for number in 1...40 {
            try await test.turn(.of("ann", "old"), "we talked about number \(number) and the garden")
        }
        try await test.turn(.of("ann", "new"), "the garden gate code is 9921")
        let found = await Self.recall(test, .of("ann", "third"), "what is the code of the garden gate?")
        #expect(found.memories.first?.text.contains("9921") == true)
        #expect(found.memories.count == 6)
    }

    @Test(
        "What was said on a day is recalled by the day, before and after it is archived", arguments: [1, 10])
    func day(rounds: Int) async throws {
        let test = try TestMemory(configuration: .patient.with { $0.bufferRounds = rounds })
        // The clock begins on 15 January 2027.
        for day in 15...18 {
            try await test.turn(.of("ann", "\(day)"), "I met somebody at the station")
            test.clock.advance(.seconds(86_400))
        }
        let asked = "whom did I meet on the 16 January 2027?"
        let found = await Self.recall(test, .of("ann", "now"), asked).memories
        #expect(found.first?.session == "16" && found.first?.kind == (rounds == 1 ? .summary : .fragment))
        #expect(found.count == 4)
    }

    @Test("A late embedding is skipped and counted; the words find the memory all the same")
    func lateEmbedding() async throws {
        let embedder = Embedder(model: "test", dimension: TestModel.dimension) { texts in
            if texts.contains(where: { $0.contains("slow") }) { try await Gate().pass() }
            return texts.map(TestModel.vector)
        }
        let test = try TestMemory(
            configuration: .patient.with {
                $0.bufferRounds = 2
                $0.recall.embeddingDeadline = .milliseconds(20)
            }, embedder: embedder)
        for number in 1...2 { try await test.turn(.of("ann", "s"), "pears are \(number)") }
        let found = await Self.recall(test, .of("ann", "t"), "slow pears")
        #expect(found.skipped == [.embedding] && found.memories.count == 1)
        #expect(test.memory.statistics().skippedEmbeddings == 1)
    }

    @Test("A failing embedder is skipped like a late one") func failingEmbedding() async throws {
        struct Broken: Error {}
        let embedder = Embedder(model: "test", dimension: TestModel.dimension) { _ in throw Broken() }
        let test = try TestMemory(embedder: embedder)
        try await test.turn(.of("ann", "s"), "pears")
        let found = await Self.recall(test, .of("ann", "t"), "pears")
        #expect(found.skipped == [.embedding] && found.memories.count == 1)
    }

    @Test("An index that never answers is skipped and counted; fragments stand") func lateIndex() async throws
    {
        let test = try TestMemory(
            configuration: .patient.with { $0.recall.deadline = .seconds(5) },
            index: { HookedIndex(base: $0) { if $0 == .search { try await Gate().pass() } } })
        try await test.turn(.of("ann", "s"), "plums")
        let found = await Self.recall(test, .of("ann", "t"), "plums")
        #expect(found.skipped == [.index] && found.memories.map(\.kind) == [.fragment])
        #expect(test.memory.statistics().skippedIndex == 1)
    }

    @Test("Fragments that never come are skipped and counted; the index's results stand") func lateFragments()
        async throws
    {
        let test = try TestMemory(
            configuration: .patient.with {
                $0.bufferRounds = 2
                $0.recall.deadline = .seconds(5)
            }, checkpoints: { SilentFragments(base: $0) })
        for number in 1...3 { try await test.turn(.of("ann", "s"), "cherries \(number)") }
        let found = await Self.recall(test, .of("ann", "t"), "cherries")
        #expect(found.skipped == [.fragments] && found.memories.map(\.kind) == [.summary])
    }

    @Test("A repeated query asks the index once, until something of the principal is archived") func cache()
        async throws
    {
        let searches = Counter()
        let test = try TestMemory(
            configuration: .patient.with { $0.bufferRounds = 2 },
            index: { HookedIndex(base: $0) { if $0 == .search { searches.add() } } })
        let (scope, other) = (Scope.of("ann", "s"), Scope.of("ann", "t"))
        for number in 1...2 { try await test.turn(scope, "grapes \(number)") }
        _ = await Self.recall(test, other, "something else")
        #expect(await Self.recall(test, other, "grapes").cached == false)
        let again = await Self.recall(test, other, "grapes")
        #expect(again.cached && again.memories.count == 1 && searches.count == 2)
        try await test.turn(scope, "grapes are in a fragment")
        #expect(await Self.recall(test, other, "grapes").memories.count == 2)
        try await test.turn(scope, "grapes 4")
        let after = await Self.recall(test, other, "grapes")
        #expect(!after.cached && after.memories.map(\.kind) == [.summary, .summary])
    }

    @Test("An answer cached here is not given after another process archived or forgot") func cacheElsewhere()
        async throws
    {
        let test = try TestMemory(configuration: .patient.with { $0.bufferRounds = 2 })
        let elsewhere = test.beside()
        let (scope, other) = (Scope.of("ann", "s"), Scope.of("ann", "t"))
        for number in 1...2 { try await test.turn(scope, "grapes \(number)") }
        for _ in 0..<3 { _ = await Self.recall(test, other, "grapes") }
        #expect(await Self.recall(test, other, "grapes").cached)
        #expect(try await elsewhere.forget(scope) == .done)
        let after = await Self.recall(test, other, "grapes")
        #expect(!after.cached && after.memories.isEmpty)
    }

    @Test("A query without words or with nothing but white space is answered, if by nothing")
    func emptyQuery() async throws {
        let test = try TestMemory()
        try await test.turn(.of("ann", "s"), "hello")
        for text in ["", "  \n", "🦊", "???"] {
            #expect(await Self.recall(test, .of("ann", "t"), text).memories.isEmpty)
        }
    }

    @Test("No more memories than asked for, best first") func topK() async throws {
        let test = try TestMemory(configuration: .patient.with { $0.bufferRounds = 1 })
        for number in 1...30 { try await test.turn(.of("ann", "s"), "melon number \(number)") }
        let found = await test.memory.recall(
            RecallQuery(scope: .of("ann", "t"), text: "melon number 17", topK: 3))
        #expect(found.memories.count == 3)
        #expect(found.memories.first?.firstTurn == 17, "\(found.memories.map { ($0.firstTurn, $0.score) })")
        #expect(found.memories.map(\.score) == found.memories.map(\.score).sorted(by: >))
        #expect(found.memories.allSatisfy { (0...1).contains($0.score) })
    }

    @Test("The cache keeps what was used lately, and no more than its limit") func boundedCache() {
        var cache = BoundedCache<Int, Int>(limit: 10)
        for number in 0..<100 {
            cache.insert(number, for: number)
            #expect(cache.value(for: 0) == 0)
        }
        let kept = (0..<100).filter { cache.value(for: $0) != nil }
        #expect(kept.count <= 10 && kept.contains(0) && kept.contains(99) && !kept.contains(50))
    }
}
