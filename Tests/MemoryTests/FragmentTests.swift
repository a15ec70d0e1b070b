import Testing

@testable import Memory

@Suite struct FragmentTests {
    private let scope = Scope.of("ann", "s")

    @Test("A session released below the threshold goes on from its buffer") func goesOn() async throws {
        let test = try TestMemory(configuration: .patient.with { $0.bufferRounds = 5 })
        for number in 1...3 { try await test.turn(scope, "t\(number)") }
        try await test.memory.release(scope)
        for number in 4...5 { try await test.turn(scope, "t\(number)") }
        #expect(try await test.rows(scope).count == 1)
        #expect(try await test.memory.describe(scope)?.rollingSummary == "t1; t2; t3; t4; t5")
    }

    @Test(
        "A fragment is archived before its checkpoint expires, and the keys live a day longer",
        .enabled(if: TestStores.current.isEmbedded)) func swept()
        async throws
    {
        let test = try TestMemory()
        for number in 1...3 { try await test.turn(scope, "apricots \(number)") }
        test.clock.advance(.seconds(166 * 3600))
        await test.maintainUntilDone()
        #expect(try await test.rows(scope).isEmpty, "it is not due yet")
        test.clock.advance(.seconds(3600 + 60))
        await test.maintainUntilDone()
        #expect(try await test.rows(scope).count == 1)
        test.clock.advance(.seconds(20 * 3600))
        await test.maintainUntilDone()
        #expect(try await test.memory.describe(scope)?.archivedThrough == 3)
        test.clock.advance(.seconds(6 * 3600))
        await test.maintainUntilDone()
        #expect(try await test.memory.describe(scope) == nil)
        #expect(test.memory.statistics().expired == 1)
        let found = await test.memory.recall(RecallQuery(scope: .of("ann", "x"), text: "apricots"))
        #expect(found.memories.map(\.kind) == [.summary])
    }

    @Test("Use renews a session's time") func renewed() async throws {
        let test = try TestMemory()
        for day in 1...10 {
            try await test.turn(.of("ann", "s"), "day \(day)")
            test.clock.advance(.seconds(5 * 86400))
            if day < 10 { await test.maintainUntilDone() }
        }
        #expect(try await test.memory.describe(scope)?.turnCount == 10)
        #expect(try await test.rows(scope).count == 1)
    }

    @Test("A swept session goes on: its next turns make the next batch") func afterSweep() async throws {
        let test = try TestMemory(configuration: .patient.with { $0.bufferRounds = 3 })
        for number in 1...2 { try await test.turn(scope, "t\(number)") }
        test.clock.advance(.seconds(168 * 3600 - 60))
        await test.maintainUntilDone()
        for number in 3...5 { try await test.turn(scope, "t\(number)") }
        #expect(try await test.memory.describe(scope)?.rollingSummary == "t1; t2\n\nt3; t4; t5")
    }

    @Test("A fragment that begins after everything was archived is swept in time too") func afterArchiving()
        async throws
    {
        let test = try TestMemory(configuration: .patient.with { $0.bufferRounds = 2 })
        for number in 1...2 { try await test.turn(scope, "t\(number)") }
        await test.maintainUntilDone()
        for _ in 0..<3 {
            test.clock.advance(.seconds(86400))
            await test.maintainUntilDone()
        }
        try await test.turn(scope, "t3")
        test.clock.advance(.seconds(168 * 3600 - 60))
        // The first pass may come by what was known before the turn, and says when to look again.
        for _ in 0..<3 {
            await test.maintainUntilDone()
            test.clock.advance(.seconds(10))
        }
        #expect(try await test.rows(scope).count == 2)
    }

    @Test(
        "A checkpoint with a time shorter than the sweep's margin is swept before its end",
        arguments: [false, true])
    func shortTime(archivedLate: Bool) async throws {
        let test = try TestMemory(
            configuration: .patient.with {
                $0.bufferRounds = 2
                $0.checkpointTTL = .seconds(60)
            })
        // Late: the fragment has begun when its session's batch is archived.
        for number in 1...(archivedLate ? 3 : 2) {
            try await test.turn(scope, "t\(number)", archive: false)
        }
        await test.maintainUntilDone()
        if !archivedLate { try await test.turn(scope, "t3") }
        for _ in 0..<6 {
            test.clock.advance(.seconds(9))
            await test.maintainUntilDone()
        }
        #expect(try await test.rows(scope).count == 2)
    }

    @Test("A fragment that could not be archived in time is kept until it is") func kept() async throws {
        let test = try TestMemory()
        try await test.turn(scope, "the boat is blue")
        test.clock.advance(.seconds(400 * 86400))
        await test.maintainUntilDone { _ in throw SummaryFailure.transient("no model") }
        #expect(try await test.memory.describe(scope)?.turnCount == 1)
        test.clock.advance(.seconds(3600))
        await test.maintainUntilDone()
        #expect(try await test.rows(scope).count == 1)
    }

    @Test("Only so many sessions and turns are searched, the most recent first") func bounds() async throws {
        let test = try TestMemory(
            configuration: .patient.with {
                $0.recall.maxFragmentSessions = 3
                $0.recall.maxFragmentTurns = 4
                $0.recall.topK = 100
            })
        for session in 1...6 {
            for number in 1...2 {
                try await test.turn(.of("ann", "s\(session)"), "kiwi \(session) \(number)")
            }
        }
        let found = await test.memory.recall(RecallQuery(scope: .of("ann", "x"), text: "kiwi"))
        #expect(Set(found.memories.map(\.session)) == ["s6", "s5"] && found.memories.count == 4)
    }

    @Test("A pass of maintenance is bounded and says that more waits") func boundedPass() async throws {
        let test = try TestMemory(configuration: .patient.with { $0.maintenanceLimit = 4 })
        for number in 0..<10 { try await test.turn(.of("u\(number)", "s"), "hello") }
        test.clock.advance(.seconds(168 * 3600 - 60))
        #expect(await test.memory.maintain(summarize: TestModel.summarize))
        #expect(test.memory.statistics().archived == 4)
        await test.maintainUntilDone()
        #expect(test.memory.statistics().archived == 10)
        #expect(await test.memory.maintain(summarize: TestModel.summarize) == false)
    }
}
