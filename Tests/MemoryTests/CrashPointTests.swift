import Foundation
import TestSupport
import Testing

@testable import Memory

@Suite struct CrashPointTests {
    private static let scope = Scope.of("ann", "s")
    private static let configuration = MemoryConfiguration.patient.with { $0.bufferRounds = 3 }

    /// Runs `scenario` once for every point at which the process can die, and hands what a new process finds.
    private static func atEveryPoint(
        _ scenario: (TestMemory) async throws -> Void,
        check: (TestMemory, _ point: Int) async throws -> Void
    ) async throws -> Int {
        for point in 0... {
            let mortality = Mortality(dyingAt: point)
            let test = try TestMemory(
                configuration: configuration,
                checkpoints: { MortalCheckpoints(base: $0, mortality: mortality) },
                index: { MortalIndex(base: $0, mortality: mortality) })
            do {
                try await scenario(test)
            } catch {
                // The process died in the middle of a call: that is the point.
                #expect(mortality.isDead, "\(error)")
            }
            try await check(try test.reopenedAfterKill(), point)
            guard mortality.isDead else { return point }
        }
        return 0
    }

    @Test(
        "Wherever archiving dies, no turn is lost, none is doubled, and the memories are those of an undisturbed run"
    )
    func archiving() async throws {
        let points = try await Self.atEveryPoint { test in
            for number in 1...7 { try await test.turn(Self.scope, "said \(number)", id: "\(number)") }
        } check: { after, point in
            // The client goes on with the same ids where it saw no end.
            for number in 1...7 { try await after.turn(Self.scope, "said \(number)", id: "\(number)") }
            await after.maintainUntilDone()
            let history = try await after.memory.history(Self.scope, limit: 100)
            #expect(history.map(\.turn.said) == (1...7).map { "said \($0)" }, "died at \(point)")
            #expect(try await after.rows(Self.scope).count == 2, "died at \(point)")
            let session = try #require(try await after.memory.describe(Self.scope))
            #expect(session.archivedThrough == 6, "died at \(point)")
            #expect(session.rollingSummary == "said 1; said 2; said 3\n\nsaid 4; said 5; said 6")
        }
        #expect(points > 20)
    }

    @Test("Wherever archiving of a split batch dies, its rows are those of an undisturbed run")
    func splitting() async throws {
        let halving: Summarizer = { request in
            guard request.turns.count < 3 else { throw SummaryFailure.tooLarge }
            return try await TestModel.summarize(request)
        }
        _ = try await Self.atEveryPoint { test in
            for number in 1...3 {
                try await test.turn(Self.scope, "said \(number)", id: "\(number)", summarize: halving)
            }
        } check: { after, point in
            for number in 1...3 {
                try await after.turn(Self.scope, "said \(number)", id: "\(number)", archive: false)
            }
            // The model takes whole batches now: what the first attempt left behind must not stay beside.
            await after.maintainUntilDone()
            let rows = try await after.rows(Self.scope)
            let isWhole = rows.count == 1 && !rows[0].contains("/")
            let isSplit = rows.count == 2 && rows.allSatisfy { $0.contains("/") }
            #expect(isWhole || isSplit, "died at \(point): \(rows)")
        }
    }

    @Test("Wherever forgetting dies, it is finished by the next process, or had not begun") func forgetting()
        async throws
    {
        let points = try await Self.atEveryPoint { test in
            for number in 1...4 { try await test.turn(Self.scope, "secret \(number)", id: "\(number)") }
            _ = try await test.memory.forget(Self.scope)
            try await test.turn(Self.scope, "fresh", id: "1")
        } check: { after, point in
            await after.maintainUntilDone()
            let history = try await after.memory.history(Self.scope, limit: 100).map(\.turn.said)
            let hadBegun =
                try await after.l2.load(Self.scope, contextLimit: 0).generation > 0
            if hadBegun {
                #expect(history == [] || history == ["fresh"], "died at \(point)")
                #expect(try await after.rows(Self.scope).isEmpty, "died at \(point)")
                #expect(try await after.store.occurrences(of: "secret") == 0, "died at \(point)")
            } else {
                let whole = (1...4).map { "secret \($0)" }
                #expect(history == Array(whole.prefix(history.count)), "died at \(point)")
            }
            #expect(await after.memory.health().forgetsPending == 0)
        }
        #expect(points > 20)
    }

    @Test("Wherever the sweep dies, the fragment is archived once") func sweeping() async throws {
        _ = try await Self.atEveryPoint { test in
            try await test.turn(Self.scope, "said 1", id: "1")
            test.clock.advance(.seconds(168 * 3600 - 60))
            await test.maintainUntilDone()
        } check: { after, point in
            try await after.turn(Self.scope, "said 1", id: "1")
            after.clock.advance(.seconds(168 * 3600 - 60))
            await after.maintainUntilDone()
            #expect(try await after.rows(Self.scope).count == 1, "died at \(point)")
        }
    }

    @Test("A store that acknowledges too early, on purpose, loses an acknowledged turn to a kill")
    func negativeControl() async throws {
        let directory = try TemporaryDirectory()
        let store = try EmbeddedStore.open(
            directory: directory.path, embedding: TestModel.embedder.space, logger: .quiet)
        let clock = TestClock()
        let early = SessionMemory(
            checkpoints: EarlyAcknowledgingStore(store.checkpoints, delay: .seconds(3600)),
            index: store.index,
            embedder: TestModel.embedder, configuration: Self.configuration, logger: .quiet, now: clock.tick)
        let held = try await early.open(Self.scope)
        let outcome = try await held.commit(.said("acknowledged"))
        held.end()
        #expect(outcome.sequence == 1)
        let copy = try TemporaryDirectory()
        for name in ["memory.sqlite", "memory.sqlite-wal"] {
            try FileManager.default.copyItem(
                atPath: directory.path + "/" + name, toPath: copy.path + "/" + name)
        }
        let after = try TestMemory(directory: copy)
        #expect(try await after.memory.history(Self.scope, limit: 10).isEmpty)
        #expect(
            try await early.history(Self.scope, limit: 10).count == 1, "its own reads see what it answered")
    }
}
