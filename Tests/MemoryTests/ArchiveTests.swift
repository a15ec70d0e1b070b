import Synchronization
import Testing

@testable import Memory

@Suite struct ArchiveTests {
    private let scope = Scope.of("ann", "s")

    @Test(
        "25 turns at 10 rounds make exactly two memories, and a fact of the 23rd turn is found all the same")
    func twoMemories() async throws {
        let test = try TestMemory()
        for number in 1...25 {
            try await test.turn(scope, number == 23 ? "my locker code is 4711" : "turn number \(number)")
        }
        let rows = try await test.rows(scope)
        #expect(rows.count == 2)
        let found = await test.memory.recall(RecallQuery(scope: scope, text: "what is the locker code?"))
        #expect(found.memories.first?.text.contains("4711") == true)
        #expect(found.memories.first?.kind == .fragment && found.memories.first?.firstTurn == 23)
        #expect(try await test.memory.describe(scope)?.archivedThrough == 20)
    }

    @Test("A plan is carried out once, however many try at the same time") func once() async throws {
        let test = try TestMemory()
        let calls = Counter()
        var plan: ArchivePlan?
        for number in 1...10 { plan = try await test.turn(scope, "\(number)", archive: false).plan }
        let due = try #require(plan)
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<20 {
                group.addTask {
                    await test.memory.archive(due) { request in
                        calls.add()
                        return try await TestModel.summarize(request)
                    }
                }
            }
        }
        #expect(calls.count == 1)
        #expect(try await test.rows(scope) == [due.batchID])
        await test.memory.archive(due, summarize: TestModel.summarize)
        #expect(test.memory.statistics().archived == 1)
    }

    @Test("The rows carry whose they are, their turns, their words, and a vector of the model's dimension")
    func rowContent() async throws {
        let test = try TestMemory()
        for number in 1...10 { try await test.turn(scope, "apple number \(number)") }
        let found = try await test.store.index.search(
            scope, IndexQuery(vector: TestModel.vector("apple"), text: "apple", limit: 5))
        let hit = try #require(found.hits.first)
        #expect(hit.row.scope == scope && hit.row.firstTurn == 1 && hit.row.lastTurn == 10)
        #expect(hit.row.entities == ["test"] && hit.row.text.contains("I heard: apple number 7"))
        #expect((hit.similarity ?? 0) > 0 && (hit.relevance ?? 0) > 0)
    }

    @Test("After a batch the context holds it and the tail, and the rolling summary says what it was")
    func contextAfter() async throws {
        let test = try TestMemory(configuration: .patient.with { $0.bufferRounds = 3 })
        for number in 1...7 { try await test.turn(scope, "t\(number)") }
        let held = try await test.memory.open(scope)
        #expect(held.view.context.map(\.sequence) == [4, 5, 6, 7] && held.view.archivedThrough == 6)
        #expect(held.view.rollingSummary == "t1; t2; t3\n\nt4; t5; t6")
        held.end()
        try await test.memory.release(scope)
        let loaded = try await test.memory.open(scope)
        #expect(loaded.view == held.view)
        loaded.end()
    }

    @Test("The summariser is given the turns in order and the summary of what came before") func request()
        async throws
    {
        let test = try TestMemory(configuration: .patient.with { $0.bufferRounds = 2 })
        let seen = Mutex<[SummaryRequest]>([])
        for number in 1...4 {
            try await test.turn(scope, "t\(number)") { request in
                seen.withLock { $0.append(request) }
                return BatchSummary(summary: "S\(request.turns[0].sequence)", entities: [])
            }
        }
        let requests = seen.withLock { $0 }
        #expect(requests.map { $0.turns.map(\.sequence) } == [[1, 2], [3, 4]])
        #expect(requests.map(\.previousSummary) == ["", "S1"])
    }

    @Test("A batch too large for the model is split in halves until it fits, all under names of the batch")
    func split() async throws {
        let test = try TestMemory(configuration: .patient.with { $0.bufferRounds = 5 })
        var outcome: CommitOutcome?
        for number in 1...5 {
            outcome = try await test.turn(scope, "t\(number)") { request in
                guard request.turns.count <= 2 else { throw SummaryFailure.tooLarge }
                return try await TestModel.summarize(request)
            }
        }
        let batch = try #require(outcome?.plan?.batchID)
        #expect(try await test.rows(scope) == ["/a", "/ba", "/bb"].map { batch + $0 })
        #expect(try await test.memory.describe(scope)?.rollingSummary == "t1; t2\n\nt3\n\nt4; t5")
        #expect(try await test.memory.describe(scope)?.archivedThrough == 5)
    }

    @Test("A batch whose text does not fit a row is split, so that all its words are found")
    func splitByText() async throws {
        let test = try TestMemory(configuration: .patient.with { $0.bufferRounds = 4 })
        let filler = String(repeating: "lorem ipsum ", count: 2500)
        for number in 1...4 { try await test.turn(scope, filler + "needle\(number)") }
        #expect(try await test.rows(scope).count > 1)
        let found = try await test.store.index.search(
            scope, IndexQuery(vector: nil, text: "needle4", limit: 5))
        #expect(found.hits.count == 1 && found.hits.first?.row.text.contains("needle4") == true)
    }

    @Test("What the model may manage later is tried again, later each time, and then archived once")
    func transient() async throws {
        let test = try TestMemory(configuration: .patient.with { $0.bufferRounds = 2 })
        let calls = Counter()
        let failing: Summarizer = { _ in
            calls.add()
            throw SummaryFailure.transient("no capacity")
        }
        for number in 1...2 { try await test.turn(scope, "t\(number)", summarize: failing) }
        await test.maintainUntilDone(summarize: failing)
        #expect(calls.count == 1, "the next attempt is not due yet")
        test.clock.advance(.seconds(3))
        await test.maintainUntilDone(summarize: failing)
        #expect(calls.count == 2)
        #expect(test.memory.statistics().plansPending == 1 && test.memory.statistics().archiveRetries == 2)
        test.clock.advance(.seconds(600))
        await test.maintainUntilDone()
        #expect(try await test.rows(scope).count == 1)
        #expect(test.memory.statistics().plansPending == 0)
    }

    @Test("A batch that fails for good is parked and reported, its turns stay findable, and later ones go on")
    func parked() async throws {
        let test = try TestMemory(configuration: .patient.with { $0.bufferRounds = 2 })
        let refusing: Summarizer = { _ in throw SummaryFailure.permanent("the model refuses") }
        try await test.turn(scope, "the password is swordfish", summarize: refusing)
        try await test.turn(scope, "t2", summarize: refusing)
        for number in 3...4 { try await test.turn(scope, "t\(number)") }
        let health = await test.memory.health()
        #expect(health.plansParked == 1 && health.parked.values.first == "the model refuses")
        #expect(try await test.memory.describe(scope)?.archivedThrough == 4)
        let found = await test.memory.recall(RecallQuery(scope: scope, text: "password"))
        #expect(found.memories.first?.text.contains("swordfish") == true)
        test.clock.advance(.seconds(100 * 86400))
        await test.maintainUntilDone()
        #expect(try await test.memory.describe(scope) != nil, "a session with a parked batch does not expire")
    }

    @Test("A claim that its holder let go is taken over when it has expired, and not before") func takeover()
        async throws
    {
        let test = try TestMemory(configuration: .patient.with { $0.bufferRounds = 2 })
        try await test.turn(scope, "t1")
        let plan = try #require(try await test.turn(scope, "t2", archive: false).plan)
        let time = test.clock.now
        let answer = try await test.l2.claim(
            plan, token: "gone", until: time + 60_000, now: time)
        guard case .granted = answer else {
            Issue.record("the claim was not granted")
            return
        }
        await test.maintainUntilDone()
        #expect(try await test.rows(scope).isEmpty)
        test.clock.advance(.seconds(61))
        await test.maintainUntilDone()
        #expect(try await test.rows(scope) == [plan.batchID])
        let late = try await test.l2.finish(
            ArchiveClaim(plan: plan, token: "gone"), rows: [plan.batchID], rollingSummary: "late")
        guard case .lost(rows: [plan.batchID]) = late else {
            Issue.record("a lost claim could finish")
            return
        }
        #expect(try await test.memory.describe(scope)?.rollingSummary == "t1; t2")
    }

    @Test("Batches of a session are archived in order, also when they are asked for the other way round")
    func inOrder() async throws {
        let test = try TestMemory(configuration: .patient.with { $0.bufferRounds = 2 })
        var plans: [ArchivePlan] = []
        for number in 1...6 {
            if let plan = try await test.turn(scope, "t\(number)", archive: false).plan { plans.append(plan) }
        }
        for plan in plans.reversed() { await test.memory.archive(plan, summarize: TestModel.summarize) }
        await test.maintainUntilDone()
        #expect(try await test.memory.describe(scope)?.rollingSummary == "t1; t2\n\nt3; t4\n\nt5; t6")
        #expect(try await test.rows(scope).count == 3)
    }

    @Test("A turn that is completed while its batch is being summarised is in the memory as completed")
    func completedMeanwhile() async throws {
        let test = try TestMemory(configuration: .patient.with { $0.bufferRounds = 2 })
        try await test.turn(scope, "t1")
        let plan = try #require(
            try await test.turn(scope, "half", id: "t", ending: .failed, archive: false).plan)
        let scope = scope
        await test.memory.archive(plan) { request in
            try await test.turn(scope, "whole", id: "t")
            return try await TestModel.summarize(request)
        }
        await test.maintainUntilDone()
        let found = try await test.store.index.search(
            scope, IndexQuery(vector: nil, text: "whole half", limit: 5))
        #expect(found.hits.map(\.row.summary) == ["t1; whole"])
    }

    @Test("While L3 is away no model is asked, and afterwards everything is archived in order") func outage()
        async throws
    {
        let outage = Switch()
        outage.turn(on: true)
        struct Away: Error {}
        let test = try TestMemory(
            configuration: .patient.with { $0.bufferRounds = 2 },
            index: { base in
                HookedIndex(base: base) { call in
                    if call != .search, outage.isOn { throw Away() }
                }
            })
        for number in 1...6 {
            try await test.turn(scope, "t\(number)") { _ in
                Issue.record("asked while L3 was away")
                throw SummaryFailure.permanent("")
            }
        }
        guard case .failing = await test.memory.health().index else {
            Issue.record("the outage is not reported")
            return
        }
        outage.turn(on: false)
        await test.maintainUntilDone()
        #expect(try await test.memory.describe(scope)?.rollingSummary == "t1; t2\n\nt3; t4\n\nt5; t6")
    }

    @Test(
        "A session that begins anew after its keys expired does not overwrite its old memories",
        .enabled(if: TestStores.current.isEmbedded))
    func rebirth() async throws {
        let test = try TestMemory(configuration: .patient.with { $0.bufferRounds = 2 })
        for number in 1...2 { try await test.turn(scope, "old \(number)") }
        test.clock.advance(.seconds(9 * 86400))
        test.memory.evictIdle()
        await test.maintainUntilDone()
        #expect(try await test.memory.describe(scope) == nil)
        for number in 1...2 { try await test.turn(scope, "new \(number)") }
        #expect(try await test.rows(scope).count == 2)
    }
}
