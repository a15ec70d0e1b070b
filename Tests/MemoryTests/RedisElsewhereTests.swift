/// Workers that share a Redis: each believes its L1 until another writes to what it holds, and hears of that.
import Foundation
import Testing

@testable import Memory

@Suite(.enabled(if: !TestStores.current.isEmbedded)) struct RedisElsewhereTests {
    /// Two workers of one pool.
    private struct Pair {
        let ours: TestMemory
        let theirs: SessionMemory
        let store: RedisCheckpoints
        private let kept: any CheckpointStore

        init() async throws {
            let pool = UUID().uuidString
            let configuration = MemoryConfiguration.patient.with { $0.bufferRounds = 4 }
            let first = try TestMemory(configuration: configuration)
            let mine = TestStores.current.checkpoints(
                first.store, configuration: configuration, clock: first.clock, pool: pool)
            kept = TestStores.current.checkpoints(
                first.store, configuration: configuration, clock: first.clock, pool: pool)
            ours = try TestMemory(
                sharing: first, clock: first.clock, configuration: configuration, checkpoints: { _ in mine })
            theirs = SessionMemory(
                checkpoints: kept, index: first.store.index, embedder: TestModel.embedder,
                configuration: configuration, logger: .quiet, now: first.clock.tick)
            store = try #require((mine as? RunningRedis)?.base as? RedisCheckpoints)
            for memory in [ours.memory, theirs] {
                try #require(await comesTrue { memory.checkpoints.otherWriters == .heard })
            }
        }

        func tellTheirs(_ scope: Scope, _ text: String) async throws {
            let held = try await theirs.open(scope)
            defer { held.end() }
            _ = try await held.commit(.said(text))
        }

        func fragments(_ scope: Scope) async throws -> [String] {
            try await store.fragments(scope, limit: FragmentLimit(sessions: 8, turns: 50)).turns.map(
                \.stored.turn.said)
        }

        /// As a recall in the session asks for them, from L1 or not.
        func recalled(_ scope: Scope, by store: any CheckpointStore) async throws -> Fragments {
            let held = try await ours.memory.open(scope)
            let start = held.view.contextStart
            held.end()
            return try await store.fragments(
                scope, limit: FragmentLimit(sessions: 8, turns: 50, ownTurnsBefore: start))
        }

        /// Never writes, so it holds nothing in L1.
        var reader: any CheckpointStore { kept }

        /// Commands that the store has sent so far.
        var commands: Int { store.client.statistics().commands }
    }

    private let scope = Scope.of("ann", "s")
    private let other = Scope.of("ann", "t")

    @Test("A worker that keeps a session asks Redis for nothing but its commits") func noReads() async throws
    {
        let pair = try await Pair()
        try await pair.ours.turn(scope, "one", archive: false)
        #expect(try await pair.fragments(other) == ["one"])
        for number in 2...3 {
            try await pair.ours.turn(scope, "turn \(number)", archive: false)
            _ = try await pair.fragments(other)
        }
        let held = try await pair.ours.memory.open(scope)
        #expect(held.tier == .l1)
        held.end()
        _ = try await pair.fragments(other)
        // Heartbeats apart, which go on by the clock.
        let before = pair.commands
        for _ in 0..<200 { #expect(try await pair.fragments(other) == ["one", "turn 2", "turn 3"]) }
        #expect(pair.commands - before < 100)
    }

    @Test(
        "Archiving of one's own takes archived turns out of L1 and leaves the others, without a read")
    func archiving() async throws {
        let pair = try await Pair()
        try await pair.ours.turn(other, "in another session", archive: false)
        var reads = 0
        for number in 1...12 {
            try await pair.ours.turn(scope, "turn \(number)", archive: true)
            let before = pair.commands
            for _ in 0..<100 { _ = try await pair.recalled(scope, by: pair.store) }
            // The first is a read of everything; heartbeats go on by the clock.
            if pair.commands - before >= 50 { reads += 1 }
            let fragments = try await pair.recalled(scope, by: pair.store)
            let read = try await pair.recalled(scope, by: pair.reader)
            #expect(
                fragments.turns == read.turns && fragments.archiveGeneration == read.archiveGeneration)
            #expect(fragments.turns.map(\.stored.turn.said) == ["in another session"])
        }
        #expect(reads == 0 && pair.ours.memory.statistics().archived == 3)
        // From the other session's side the un-archived turns of this one are fragments.
        try await pair.ours.turn(scope, "turn 13", archive: false)
        #expect(try await pair.fragments(other).sorted() == ["in another session", "turn 13"])
    }

    @Test(
        "What L1 holds of fragments is what L2 has, after any turns, archiving and forgetting",
        arguments: 1...3)
    func coherent(seed: UInt64) async throws {
        let pair = try await Pair()
        let scopes = [scope, other, Scope.of("ann", "u"), .of("bob", "s")]
        var random = SeededGenerator(seed: seed)
        var generations: Set<Int64> = []
        for number in 0..<60 {
            let scope = scopes.randomElement(using: &random) ?? scopes[0]
            switch Int.random(in: 0..<8, using: &random) {
            case 0...5:
                try await pair.ours.turn(scope, "turn \(number)", archive: Bool.random(using: &random))
            case 6:
                if Int.random(in: 0..<4, using: &random) == 0 {
                    _ = try await pair.ours.memory.forget(scope)
                }
            default: await pair.ours.maintainUntilDone()
            }
            for scope in scopes {
                let kept = try await pair.recalled(scope, by: pair.store)
                let read = try await pair.recalled(scope, by: pair.reader)
                #expect(Set(kept.turns) == Set(read.turns))
                #expect(kept.forgetting == read.forgetting)
                // The first turn begins a generation, in which nothing is archived: none says the same.
                let isFirst = kept.archiveGeneration == 0
                #expect(isFirst || kept.archiveGeneration == read.archiveGeneration)
                generations.insert(kept.archiveGeneration)
            }
        }
        #expect(generations.count > 3)
    }

    @Test("What another worker says is recalled, and its session read anew") func heard() async throws {
        let pair = try await Pair()
        try await pair.ours.turn(scope, "mine", archive: false)
        _ = try await pair.fragments(other)
        try await pair.ours.turn(scope, "mine too", archive: false)
        #expect(try await pair.fragments(other) == ["mine", "mine too"])
        try await pair.tellTheirs(scope, "theirs")
        #expect(await comesTrue { (try? await pair.fragments(other)) == ["mine", "mine too", "theirs"] })
        let held = try await pair.ours.memory.open(scope)
        defer { held.end() }
        #expect(held.tier == .l2 && held.view.context.map(\.turn.said) == ["mine", "mine too", "theirs"])
    }

    @Test("A session that another worker forgets leaves L1, and is recalled no more") func forgotten()
        async throws
    {
        let pair = try await Pair()
        try await pair.ours.turn(scope, "secret", archive: false)
        _ = try await pair.fragments(other)
        try await pair.ours.turn(scope, "secret too", archive: false)
        #expect(try await pair.fragments(other).count == 2)
        _ = try await pair.theirs.forget(scope)
        #expect(await comesTrue { (try? await pair.fragments(other)) == [] })
        #expect(await comesTrue { pair.ours.memory.statistics().sessions == 0 })
        let held = try await pair.ours.memory.open(scope)
        defer { held.end() }
        #expect(held.tier == .new && held.view.context.isEmpty)
    }

    @Test("A session that was only read does not stay in L1, for nobody would tell of its changes")
    func onlyRead()
        async throws
    {
        let pair = try await Pair()
        try await pair.tellTheirs(scope, "theirs")
        for _ in 0..<2 {
            let held = try await pair.ours.memory.open(scope)
            #expect(held.tier == .l2)
            held.end()
        }
        try await pair.ours.turn(scope, "mine", archive: false)
        let held = try await pair.ours.memory.open(scope)
        #expect(held.tier == .l1 && held.view.turnCount == 2)
        held.end()
    }

    @Test("While a worker would hear nobody it believes nothing in L1") func deaf() async throws {
        let pair = try await Pair()
        try await pair.ours.turn(scope, "one", archive: false)
        pair.store.elsewhere.receive(.deaf)
        #expect(pair.ours.memory.statistics().sessions == 0)
        try await pair.ours.turn(scope, "two", archive: false)
        let held = try await pair.ours.memory.open(scope)
        #expect(held.tier == .l2 && held.view.turnCount == 2)
        held.end()
        pair.store.elsewhere.receive(.listening)
        try await pair.ours.turn(scope, "three", archive: false)
        #expect(try await pair.fragments(other) == ["one", "two", "three"])
    }
}

/// Waits for what another process brings about; false when ten seconds are over.
func comesTrue(_ condition: () async -> Bool) async -> Bool {
    for _ in 0..<1000 {
        if await condition() { return true }
        do { try await Task.sleep(for: .milliseconds(10)) } catch { return false }
    }
    return false
}
