import Testing

@testable import Memory

@Suite struct CommitTests {
    private let scope = Scope.of("ann", "s")

    @Test("A session is new, then in L1, and after its release in L2, with the same turns each time")
    func tiers() async throws {
        let test = try TestMemory()
        try await test.settled()
        let first = try await test.memory.open(scope)
        #expect(first.tier == .new && first.view.turnCount == 0)
        _ = try await first.commit(.said("one", id: "1"))
        first.end()
        let second = try await test.memory.open(scope)
        #expect(second.tier == .l1 && second.view.context.map(\.turn.said) == ["one"])
        second.end()
        try await test.memory.release(scope)
        let third = try await test.memory.open(scope)
        #expect(third.tier == .l2 && third.view == second.view)
        third.end()
    }

    @Test("A session that nobody committed to is kept nowhere") func nothingKept() async throws {
        let test = try TestMemory()
        let held = try await test.memory.open(scope)
        held.end()
        #expect(test.memory.statistics().sessions == 0)
        #expect(try await test.memory.describe(scope) == nil)
    }

    @Test("The same turn id again stores nothing and answers what is stored") func duplicate() async throws {
        let test = try TestMemory()
        try await test.turn(scope, "first words", id: "t")
        let again = try await test.turn(scope, "other words", id: "t")
        #expect(again.duplicate && again.sequence == 1 && again.stored.turn.said == "first words")
        #expect(try await test.memory.history(scope, limit: 10).count == 1)
    }

    @Test("A retry in another process, after a lost answer, doubles nothing") func retryElsewhere()
        async throws
    {
        let test = try TestMemory()
        try await test.turn(scope, "one", id: "1")
        let after = try test.reopenedAfterKill()
        let held = try await after.memory.open(scope)
        defer { held.end() }
        let id = try #require(TurnID("1"))
        #expect(try await held.knownTurn(id)?.turn.said == "one")
        #expect(try await held.commit(.said("one", id: "1")).duplicate)
        #expect(try await after.memory.history(scope, limit: 10).count == 1)
    }

    @Test("A writer that came second appends its turn unchanged after the first one's, marked concurrent")
    func stale() async throws {
        let test = try TestMemory()
        let other = test.beside()
        try await test.turn(scope, "zero", id: "0")
        let here = try await test.memory.open(scope)
        let there = try await other.open(scope)
        _ = try await there.commit(.said("theirs", id: "a"))
        let outcome = try await here.commit(.said("ours", id: "b"))
        here.end()
        there.end()
        #expect(outcome.concurrent && outcome.sequence == 3)
        #expect(here.view.context.map(\.turn.said) == ["zero", "theirs", "ours"])
        let history = try await test.memory.history(scope, limit: 10)
        #expect(history.map(\.turn.said) == ["zero", "theirs", "ours"])
        #expect(history.map(\.turn.concurrent) == [false, false, true])
        #expect(test.memory.statistics().staleCommits == 1)
    }

    @Test("A writer that lost an answer, and was overtaken since, finds its turn and doubles nothing")
    func lostAnswerThenStale() async throws {
        let test = try TestMemory()
        let other = test.beside()
        try await test.turn(scope, "zero", id: "0")
        let here = try await test.memory.open(scope)
        defer { here.end() }
        let there = try await other.open(scope)
        _ = try await there.commit(.said("mine", id: "m"))
        _ = try await there.commit(.said("later", id: "n"))
        there.end()
        #expect(try await here.commit(.said("mine", id: "m")).duplicate)
        #expect(here.view.turnCount == 3)
    }

    @Test(
        "An unfinished turn is completed in its place by a later one of its id",
        arguments: [Turn.Ending.cancelled, .failed, .running]
    ) func completed(ending: Turn.Ending) async throws {
        let test = try TestMemory()
        try await test.turn(scope, "half", id: "t", ending: ending)
        try await test.turn(scope, "next", id: "u")
        let outcome = try await test.turn(scope, "whole", id: "t")
        #expect(!outcome.duplicate && outcome.sequence == 1)
        let held = try await test.memory.open(scope)
        defer { held.end() }
        #expect(held.view.context.map(\.turn.said) == ["whole", "next"])
        #expect(try await test.memory.history(scope, limit: 10).map(\.turn.said) == ["whole", "next"])
        #expect(try await test.turn(Scope.of("ann", "x"), "y").sequence == 1)
    }

    @Test("A turn that still runs is not archived as it is: its end writes the plan") func running()
        async throws
    {
        let test = try TestMemory(configuration: .patient.with { $0.bufferRounds = 2 })
        try await test.turn(scope, "first")
        for step in ["asked", "answered"] {
            #expect(try await test.turn(scope, step, id: "t", ending: .running, archive: false).plan == nil)
        }
        let plan = try #require(try await test.turn(scope, "whole", id: "t", archive: false).plan)
        #expect(plan.first == 1 && plan.last == 2)
        #expect(await test.memory.carryOut(plan, summarize: TestModel.summarize))
        let held = try await test.memory.open(scope)
        defer { held.end() }
        #expect(held.view.checkpoint.archivedThrough == 2)
        #expect(try await test.memory.history(scope, limit: 9).map(\.turn.said) == ["first", "whole"])
    }

    @Test("A turn that never came to its end is archived with those after it") func left() async throws {
        let test = try TestMemory(configuration: .patient.with { $0.bufferRounds = 2 })
        try await test.turn(scope, "first")
        #expect(try await test.turn(scope, "asked", id: "t", ending: .running).plan == nil)
        let plan = try #require(try await test.turn(scope, "next", archive: false).plan)
        #expect(plan.first == 1 && plan.last == 3)
    }

    @Test("A turn's steps are kept with how each call ended, and shown as one reply") func steps()
        async throws
    {
        let test = try TestMemory()
        let call = ToolCall(id: "c", name: "book", arguments: "{}")
        var turn = Turn.said("book it", id: "t", ending: .running)
        turn.messages = [
            Message(role: .user, content: "book it"),
            Message(role: .assistant, content: "I book. ", toolCalls: [call]),
            Message(role: .tool, content: "17", name: "book", toolCallID: "c", toolOutcome: .unknown),
            Message(role: .assistant, content: "Booked."),
        ]
        turn.inputCount = 1
        let held = try await test.memory.open(scope)
        _ = try await held.commit(turn)
        held.end()
        let stored = try #require(try await test.beside().turn(scope, id: turn.id)).turn
        #expect(stored == turn)
        #expect(stored.steps.map(\.role) == [.assistant, .tool, .assistant])
        #expect(stored.shown.map(\.content) == ["book it", "I book. Booked."])
    }

    @Test("An unfinished turn that is archived stays as it is") func archivedStays() async throws {
        let test = try TestMemory(configuration: .patient.with { $0.bufferRounds = 2 })
        try await test.turn(scope, "half", id: "t", ending: .cancelled)
        try await test.turn(scope, "next")
        #expect(try await test.turn(scope, "whole", id: "t").duplicate)
    }

    @Test("A retry without an id is found by its body's digest, among recent turns only") func byDigest()
        async throws
    {
        let test = try TestMemory(configuration: .patient.with { $0.bufferRounds = 2 })
        let held = try await test.memory.open(scope)
        defer { held.end() }
        for number in 1...9 {
            let turn = Turn.said("\(number)", at: Int64(number), digest: "digest-\(number)")
            let outcome = try await held.commit(turn)
            if let plan = outcome.plan { await test.memory.archive(plan, summarize: TestModel.summarize) }
        }
        #expect(try await held.knownTurn(digest: "digest-9", since: 0)?.sequence == 9)
        #expect(held.view.contextStart > 2)
        #expect(try await held.knownTurn(digest: "digest-2", since: 0)?.sequence == 2)
        #expect(try await held.knownTurn(digest: "digest-2", since: 5) == nil)
        #expect(try await held.knownTurn(digest: "other", since: 0) == nil)
    }

    @Test("A turn id of long ago is found in L2") func byOldID() async throws {
        let test = try TestMemory(configuration: .patient.with { $0.bufferRounds = 2 })
        for number in 1...9 { try await test.turn(scope, "said \(number)", id: "\(number)") }
        let held = try await test.memory.open(scope)
        defer { held.end() }
        let (old, unknown) = (try #require(TurnID("1")), try #require(TurnID("10")))
        #expect(held.view.contextStart > 1)
        #expect(try await held.knownTurn(old)?.turn.said == "said 1")
        #expect(try await held.knownTurn(unknown) == nil)
    }

    @Test("The context's bytes do not grow between 10 and 1,000 turns") func boundedContext() async throws {
        let test = try TestMemory()
        var largest: [Int] = []
        for number in 1...1000 {
            try await test.turn(scope, "turn number \(1000 + number)")
            if number == 40 || number == 1000 { largest.append(test.memory.statistics().bytes) }
        }
        let held = try await test.memory.open(scope)
        defer { held.end() }
        #expect(held.view.turnCount == 1000 && held.view.context.count <= 20)
        #expect(largest[1] < 2 * largest[0])
    }

    @Test("The context stays bounded where nothing can be archived, and its start moves by whole batches")
    func boundedWithoutArchive() async throws {
        let test = try TestMemory()
        for number in 1...200 { try await test.turn(scope, "\(number)", archive: false) }
        let held = try await test.memory.open(scope)
        #expect(held.view.context.count <= 50 && held.view.contextStart % 10 == 1)
        held.end()
        try await test.memory.release(scope)
        let loaded = try await test.memory.open(scope)
        defer { loaded.end() }
        #expect(loaded.view == held.view)
    }

    @Test("A warm session's turn asks L2 for nothing but the commit") func warmTurn() async throws {
        let mortality = Mortality(dyingAt: nil)
        let counting = CountingLoads()
        let test = try TestMemory(checkpoints: {
            counting.over(MortalCheckpoints(base: $0, mortality: mortality))
        })
        for number in 1...5 { try await test.turn(scope, "\(number)") }
        #expect(counting.loads == 1)
    }

    @Test("An unconfirmed commit says so, and the same turn id settles it") func unconfirmed() async throws {
        let gate = Gate()
        let test = try TestMemory(
            configuration: .patient.with {
                // Time enough for the store to have it: on a server that is a connection's.
                $0.commitDeadline = TestStores.current.isEmbedded ? .milliseconds(50) : .seconds(3)
            },
            checkpoints: { SlowCommits(base: $0, gate: gate) })
        let held = try await test.memory.open(scope)
        await #expect(throws: MemoryError.commitUnconfirmed) { try await held.commit(.said("one", id: "1")) }
        held.end()
        gate.open()
        let patient = try test.reopenedAfterKill(configuration: .patient)
        let outcome = try await patient.turn(scope, "one", id: "1")
        #expect(outcome.sequence == 1 && outcome.duplicate)
        #expect(try await patient.memory.history(scope, limit: 10).count == 1)
    }

    @Test("History beyond its limit leaves oldest first, but nothing that is not archived")
    func historyLimit() async throws {
        let test = try TestMemory(
            configuration: .patient.with {
                $0.bufferRounds = 5
                $0.historyLimit = 8
            })
        for number in 1...20 { try await test.turn(scope, "\(number)") }
        #expect(try await test.memory.history(scope, limit: 100).map(\.sequence) == Array(13...20))
        let lazy = Scope.of("ann", "not archived")
        for number in 1...20 { try await test.turn(lazy, "\(number)", archive: false) }
        #expect(try await test.memory.history(lazy, limit: 100).count == 20)
    }

    @Test("Turns that wait for a session take it one after the other, and one too many is refused")
    func waiting() async throws {
        let test = try TestMemory(configuration: .patient.with { $0.maxWaitersPerSession = 2 })
        let scope = scope
        let held = try await test.memory.open(scope)
        await withThrowingTaskGroup(of: Void.self) { group in
            for number in 1...2 { group.addTask { try await test.turn(scope, "waiter \(number)") } }
            while test.memory.statistics().waiting < 2 { await Task.yield() }
            await #expect(throws: MemoryError.sessionBusy(waiting: 2)) { try await test.memory.open(scope) }
            held.end()
        }
        let history = try await test.memory.history(scope, limit: 10)
        #expect(history.count == 2 && history.allSatisfy { !$0.turn.concurrent })
        #expect(test.memory.statistics().staleCommits == 0)
    }

    @Test("A turn that is cancelled while it waits leaves the queue") func cancelledWaiter() async throws {
        let test = try TestMemory()
        let scope = scope
        let held = try await test.memory.open(scope)
        await withTaskGroup(of: MemoryError?.self) { group in
            group.addTask { await test.memory.errorOfOpening(scope) }
            while test.memory.statistics().waiting < 1 { await Task.yield() }
            group.cancelAll()
            #expect(await group.next() == .some(.cancelled))
        }
        #expect(test.memory.statistics().waiting == 0)
        held.end()
        try await test.turn(scope, "goes on")
    }

    @Test("A closed memory refuses turns and ends the waiting ones") func closed() async throws {
        let test = try TestMemory()
        let scope = scope
        let held = try await test.memory.open(scope)
        await withTaskGroup(of: MemoryError?.self) { group in
            group.addTask { await test.memory.errorOfOpening(scope) }
            while test.memory.statistics().waiting < 1 { await Task.yield() }
            await test.memory.close()
            #expect(await group.next() == .some(.closed))
        }
        held.end()
        await #expect(throws: MemoryError.closed) { try await test.memory.open(scope) }
    }

    @Test(
        "Sessions past the idle time leave L1 and come back from L2; active ones are counted by their last turn"
    )
    func idle() async throws {
        let test = try TestMemory(configuration: .patient.with { $0.idleTTL = .seconds(60) })
        try await test.settled()
        try await test.turn(scope, "hello")
        #expect(test.memory.statistics().activeSessions == 1)
        test.clock.advance(.seconds(61))
        #expect(test.memory.evictIdle() == 1)
        #expect(test.memory.statistics().sessions == 0 && test.memory.statistics().activeSessions == 0)
        let held = try await test.memory.open(scope)
        #expect(held.tier == .l2)
        held.end()
    }

    @Test("Many sessions over a small budget lose nothing and stay within it") func smallBudget() async throws
    {
        let test = try TestMemory(configuration: .patient.with { $0.maxSessionBytes = 20_000 })
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<50 {
                group.addTask {
                    for turn in 1...12 {
                        try await test.turn(.of("u\(number)", "s"), "turn \(turn) of \(number)")
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(test.memory.statistics().bytes <= 20_000)
        for number in 0..<50 {
            let history = try await test.memory.history(.of("u\(number)", "s"), limit: 100)
            #expect(history.map(\.turn.said) == (1...12).map { "turn \($0) of \(number)" })
        }
    }
}

extension SessionMemory {
    func errorOfOpening(_ scope: Scope) async -> MemoryError? {
        do throws(MemoryError) {
            try await open(scope).end()
            return nil
        } catch { return error }
    }
}

extension TestMemory {
    /// Another process's memory on the same stores.
    func beside() -> SessionMemory {
        SessionMemory(
            checkpoints: l2, index: store.index, embedder: TestModel.embedder,
            configuration: configuration, logger: .quiet, now: clock.tick)
    }
}
