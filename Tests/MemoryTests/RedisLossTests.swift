/// L2 on a Redis that loses keys: noticed where they must be there, and only there.
import Redis
import Testing

@testable import Memory

@Suite(.enabled(if: !TestStores.current.isEmbedded)) struct RedisLossTests {
    private static func store(_ test: TestMemory) throws -> RedisCheckpoints {
        try #require((test.l2 as? RunningRedis)?.base as? RedisCheckpoints)
    }

    @Test("A first commit that never arrived leaves nothing that counts as lost") func neverArrived()
        async throws
    {
        let test = try TestMemory()
        let (store, scope) = (try Self.store(test), Scope.of("ann", "s"))
        try await store.schedule(
            CommitRequest(
                scope: scope, turn: .said("one"), known: Checkpoint(), policy: store.policy,
                now: test.clock.now))
        #expect(try await store.load(scope, contextLimit: 10).turnCount == 0)
        #expect(store.losses.count == 0)
        await test.maintainUntilDone()
        try await test.turn(scope, "one")
        #expect(store.losses.count == 0)
    }

    @Test("A session that was forgotten, or that two workers begin at once, is no loss") func noLoss()
        async throws
    {
        let test = try TestMemory()
        let (store, scope) = (try Self.store(test), Scope.of("ann", "s"))
        try await test.turn(scope, "one")
        _ = try await test.memory.forget(scope)
        await test.maintainUntilDone()
        try await test.turn(scope, "two")
        let twice = Scope.of("ann", "twice")
        for text in ["three", "four"] {
            let answer = try await store.commit(
                CommitRequest(
                    scope: twice, turn: .said(text), known: Checkpoint(), policy: store.policy,
                    now: test.clock.now))
            await test.maintainUntilDone()
            if case .stale = answer { #expect(text == "four") } else { #expect(text == "three") }
        }
        #expect(store.losses.count == 0)
    }

    @Test("Keys that are gone before their time are counted and told", arguments: [false, true])
    func evicted(onlyTheTurns: Bool) async throws {
        let test = try TestMemory()
        let (store, scope) = (try Self.store(test), Scope.of("ann", "s"))
        try await test.turn(scope, "one")
        await test.maintainUntilDone()
        let keys = store.keyspace.keys(scope).all
        let gone = onlyTheTurns ? [keys[4]] : keys
        for key in gone {
            _ = try await store.client.send(RedisCommand("DEL", [key], key: key, isIdempotent: true))
        }
        #expect(try await store.load(scope, contextLimit: 10).turnCount == 0)
        if !onlyTheTurns {
            // Told when somebody takes it for a new session.
            try await test.memory.release(scope)
            try await test.turn(scope, "two", archive: false)
        }
        #expect(store.losses.count == 1)
        #expect(await test.memory.health().warnings.contains { $0.contains("noeviction") })
    }
}
